//! Hostile requests: each has its promised status, and afterwards the service lives, has not grown, and has
//! written no secret into its log.

mod batches;
mod bodies;
mod credentials;
mod encodings;
mod protocol;
mod silence;

use crate::jose::encode;
use crate::service::{Service, assert_within, comes};
use crate::wire::{Reply, request};
use serde_json::json;
use std::time::Duration;

const MULTIPLY: &str = "/api/v1/workloads/matrix/multiply";
const MAX_BODY_BYTES: usize = 4 << 20;
const MAX_DECODED_BYTES: usize = 1 << 20;
const TIMEOUT_MS: u64 = 1000;
/// What all cases of one table together may add to the resident memory.
const MAX_GROWTH_BYTES: u64 = 64 << 20;
const GOOD: &[u8] = br#"{"inputs": {"a": [[1, 2], [3, 4]], "b": [[5, 6], [7, 8]]}}"#;

/// A service with small limits and a talkative log, and what it must not say.
struct Siege {
    service: Service,
    token: String,
    secrets: Vec<String>,
    resident_bytes: u64,
}

impl Siege {
    fn lay() -> Siege {
        let service = Service::start(&[
            ("LOG__LEVEL", "debug"),
            ("SERVER__MAX_BODY_BYTES", &MAX_BODY_BYTES.to_string()),
            ("SERVER__MAX_DECODED_BYTES", &MAX_DECODED_BYTES.to_string()),
            ("SERVER__HEADER_TIMEOUT_MS", &TIMEOUT_MS.to_string()),
            ("SERVER__BODY_TIMEOUT_MS", &TIMEOUT_MS.to_string()),
            ("AUTH__REFRESH_MS", "100"),
        ]);
        let token = service.token(&service.key);
        let key = service.key.clone();
        // A first round over every worker and lane, so that growth is not their first use.
        for _ in 0..8 {
            let ones = vec![vec![1; 200]; 200];
            service.post(MULTIPLY, &json!({"a": ones, "b": ones, "cache": false})).expect(200);
        }
        let resident_bytes = service.resident_bytes();
        Siege { secrets: vec![key, token.clone()], service, token, resident_bytes }
    }

    /// A POST of these bytes with the key.
    fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.service.call("POST", path, &[("x-api-key", &self.service.key)], body)
    }

    /// [`Siege::post`] to `matrix/multiply` with further headers, as bytes.
    fn bytes(&self, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let mut all = vec![("x-api-key", self.service.key.as_str())];
        all.extend_from_slice(headers);
        request("POST", MULTIPLY, &all, body)
    }

    /// The end of every table.
    fn withstood(mut self) {
        let good = self.post(MULTIPLY, GOOD).expect(200);
        assert_within(&good, &json!({"result": [[19, 22], [43, 50]]}));
        self.service.call("GET", "/health/ready", &[], b"").expect(200);
        assert!(self.service.is_running());
        // Buffers are given back a little after their answers.
        let limit = self.resident_bytes + MAX_GROWTH_BYTES;
        let small = comes(Duration::from_secs(5), || self.service.resident_bytes() <= limit);
        assert!(small, "grew from {} to {} bytes", self.resident_bytes, self.service.resident_bytes());
        self.secrets.extend(private_key(&self.service));
        self.service.terminate();
        let status = self.service.wait();
        let log = self.service.log();
        assert!(status.success(), "{log}");
        assert!(log.contains("DEBUG"), "the log was to be talkative");
        assert!(!log.contains("panicked"), "{log}");
        for secret in &self.secrets {
            assert!(!log.contains(secret.as_str()), "{secret} stands in the log");
        }
    }
}

/// A piece of the signing key's secret half in the spellings a log could have, read from the data directory.
fn private_key(service: &Service) -> Vec<String> {
    // PKCS#8: version 0, rsaEncryption.
    const START: [u8; 15] = [2, 1, 0, 0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
    let folder = std::fs::read_dir(service.folder.path().join("data")).expect("the data directory");
    let files = folder.map(|f| f.expect("a file").path()).filter(|p| p.is_file());
    let found = files.into_iter().find_map(|path| {
        let bytes = std::fs::read(path).ok()?;
        let at = bytes.windows(START.len()).position(|w| w == START)?;
        // The secret exponent begins some 300 bytes in; a multiple of three keeps base64's alignment.
        bytes.get(at - 4 + 600..at - 4 + 648).map(<[u8]>::to_vec)
    });
    let piece = found.expect("the signing key is in the data directory");
    let hex: String = piece.iter().map(|b| format!("{b:02x}")).collect();
    let url = encode(&piece);
    vec![hex, url.replace('-', "+").replace('_', "/"), url, format!("{piece:?}").replace(['[', ']'], "")]
}

/// `open` so many times, around `inside`, and `close` as often.
fn nested(open: &str, inside: &str, close: &str, depth: usize) -> String {
    [open.repeat(depth), inside.to_string(), close.repeat(depth)].concat()
}
