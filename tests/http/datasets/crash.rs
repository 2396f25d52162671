//! The service killed in the middle of writes, again and again. Rounds: HELIOSDB_TEST_CRASH_ROUNDS, 30 when absent.

use super::{keyed, path, put, send, values};
use crate::service::{Folder, Service};
use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;

/// The largest key whose row was acknowledged, and the version it came with.
type Acknowledged = (i64, u64);

/// Adds rows until the service is gone.
fn write_on(address: std::net::SocketAddr, key: &str, name: &str, mut next: i64) -> Option<Acknowledged> {
    let mut last = None;
    let Ok(mut connection) = crate::wire::Connection::tcp(address) else { return None };
    loop {
        let body = json!({"columns": {"id": [next], "m": [[next]]}}).to_string();
        let request = crate::wire::request("PATCH", &path(name), &[("x-api-key", key)], body.as_bytes());
        if connection.send(&request).is_err() {
            return last;
        }
        let Some(reply) = connection.receive() else { return last };
        last = Some((next, reply.expect(200)["version"].as_u64().expect("a version")));
        next += 1;
    }
}

#[test]
fn what_was_acknowledged_is_there_after_every_kill_and_no_orphan_survives() {
    let rounds = std::env::var("HELIOSDB_TEST_CRASH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(30);
    let names = ["a", "b"];
    let mut folder = Folder::new();
    let mut expected: [Acknowledged; 2] = [(0, 1), (0, 1)];
    for round in 0..=rounds {
        let mut service = Service::over(folder, &[], &[]);
        if round == 0 {
            names.iter().for_each(|n| drop(put(&service, n, &keyed(&[0], &[0.0])).expect(201)));
        }
        let mut files = 0;
        for (name, (id, version)) in names.iter().zip(&mut expected) {
            let told = service.ask("GET", &path(name)).expect(200);
            let now = told["version"].as_u64().expect("a version");
            assert!(now >= *version, "round {round}: {name} fell from version {version} to {now}");
            // A write may have been done and its answer lost; never the other way round.
            let column = values(&service, name, "m");
            let got: Vec<i64> = column
                .as_array()
                .expect("rows")
                .iter()
                .map(|r| r[0].as_f64().expect("a number") as i64)
                .collect();
            assert_eq!(got, (0..got.len() as i64).collect::<Vec<_>>(), "round {round}: {name}");
            assert!(got.len() as i64 > *id, "round {round}: {name} lost row {id}, it has {}", got.len());
            (*id, *version) = (got.len() as i64 - 1, now);
            files += told["segments"].as_u64().expect("a count") as usize;
        }
        let there: HashSet<_> = std::fs::read_dir(service.folder.path().join("data/datasets"))
            .expect("a folder")
            .map(|e| e.expect("an entry").file_name())
            .collect();
        assert_eq!(there.len(), files, "round {round}: {there:?}");
        if round == rounds {
            // Every dataset takes writes still.
            names.iter().for_each(|n| {
                drop(
                    send(
                        &service,
                        &service.key,
                        "PATCH",
                        &path(n),
                        &json!({"columns": {"id": [-1], "m": [[0]]}}),
                    )
                    .expect(200),
                )
            });
            break;
        }
        let (address, key) = (service.address, service.key.clone());
        let writers: Vec<_> = names
            .iter()
            .zip(expected)
            .map(|(name, (id, _))| {
                let (key, name) = (key.clone(), *name);
                std::thread::spawn(move || write_on(address, &key, name, id + 1))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(5 + 13 * (round as u64 % 11)));
        folder = service.kill();
        for (writer, expected) in writers.into_iter().zip(&mut expected) {
            if let Some(last) = writer.join().expect("no panic") {
                *expected = last;
            }
        }
    }
}
