//! The result cache as callers see it.

use super::{MULTIPLY, product, product_with};
use crate::service::{Service, assert_within};
use serde_json::{Value as Json, json};

fn hit(answer: &Json) -> bool {
    answer["cache_hit"].as_bool().expect("cache_hit")
}

#[test]
fn a_hit_is_equal_to_its_origin_and_says_that_it_is_one() {
    let service = crate::devices::with_test_devices(1, &[]);
    let cached = product_with(json!({"cache": true, "device": "cpu"}));
    let first = service.post(MULTIPLY, &cached).expect(200);
    assert!(!hit(&first));
    let second = service.post(MULTIPLY, &cached).expect(200);
    assert_within(
        &second,
        &json!({"result": first["result"], "cache_hit": true, "gpu_time_us": 0, "device_id": null,
                "computed_on": "cpu"}),
    );
    // Both shapes, and options that do not change the result, reach the same entry.
    let flat = json!({"b": [[5.0, 6], [7, 8e0]], "a": [[1, 2], [3, 4]], "cache": true, "priority": "low"});
    assert_within(&service.post(MULTIPLY, &flat).expect(200), &json!({"cache_hit": true, "priority": "low"}));
    // Another dtype is another result.
    let f32 = json!({"a": [[1, 2], [3, 4]], "b": [[5, 6], [7, 8]], "dtype": "f32", "cache": true});
    assert!(!hit(&service.post(MULTIPLY, &f32).expect(200)));

    // `false` neither looks up nor stores; absent, a job this small is not worth hashing.
    assert!(!hit(&service.post(MULTIPLY, &product_with(json!({"cache": false}))).expect(200)));
    let small = json!({"a": [[2, 2]], "b": [[3], [4]]});
    for _ in 0..2 {
        assert!(!hit(&service.post(MULTIPLY, &small).expect(200)));
    }
    let unstored = json!({"a": [[9]], "b": [[9]], "cache": false});
    service.post(MULTIPLY, &unstored).expect(200);
    assert!(!hit(&service.post(MULTIPLY, &json!({"a": [[9]], "b": [[9]], "cache": true})).expect(200)));
    // Absent, a job that takes long compared to hashing its inputs is kept: 1 s of work at the prior's rate.
    let large = json!({"a": vec![vec![1; 160]; 160], "b": vec![vec![1; 160]; 160]});
    service.post(MULTIPLY, &large).expect(200);
    assert!(
        hit(&service.post(MULTIPLY, &large).expect(200)),
        "the default caches work of 8 million operations"
    );
}

#[test]
fn an_explicit_device_is_served_only_from_there() {
    let service = crate::devices::with_test_devices(1, &[]);
    let on = |device: Json| service.post(MULTIPLY, &product_with(json!({"cache": true, "device": device})));
    assert!(!hit(&on(json!("cpu")).expect(200)));
    let gpu = on(json!("gpu")).expect(200);
    assert_within(&gpu, &json!({"cache_hit": false, "device_id": 0}));
    assert_within(
        &on(json!(0)).expect(200),
        &json!({"cache_hit": true, "gpu_time_us": 0, "device_id": null, "computed_on": "gpu:0"}),
    );
    // The device's result took the entry's place, and the CPU is not answered with it.
    assert_within(&on(json!("cpu")).expect(200), &json!({"cache_hit": false, "device": "cpu"}));
    assert!(hit(&on(json!("auto")).expect(200)));
}

#[test]
fn what_depends_on_a_table_goes_with_its_change() {
    let service = Service::start(&[]);
    let orders = json!([{"table": "public.orders"}]);
    let dependent = product_with(json!({"cache": true, "depends_on": orders}));
    let other = product_with(json!({"cache": true, "depends_on": [{"table": "public.users"}]}));
    for body in [&dependent, &other] {
        assert!(!hit(&service.post(MULTIPLY, body).expect(200)));
        assert!(hit(&service.post(MULTIPLY, body).expect(200)));
    }
    let told = service
        .post("/api/v1/cache/invalidate", &json!({"table": "public.orders", "version": 41}))
        .expect(200);
    assert_within(&told, &json!({"table": "public.orders", "version": 41}));
    assert!(!hit(&service.post(MULTIPLY, &dependent).expect(200)), "the table has changed");
    assert!(hit(&service.post(MULTIPLY, &other).expect(200)), "the other has not");

    let at = |version: Json| {
        service.post(
            MULTIPLY,
            &product_with(json!({"depends_on": [{"table": "public.orders", "version": version}]})),
        )
    };
    let stale = at(json!(40)).fails(409, "stale_version");
    assert_within(&stale, &json!({"retryable": true, "details": {"asked": 40, "current": 41}}));
    for version in [json!(41), json!(42), json!("lsn/0/16B6")] {
        at(version).expect(200);
    }
    let reply = service.ask("DELETE", "/api/v1/cache?table=public.orders").expect(200);
    assert_within(&reply, &json!({"table": "public.orders", "version": 42}));
    at(json!(41)).fails(409, "stale_version");

    assert!(hit(&service.post(MULTIPLY, &other).expect(200)));
    service.ask("DELETE", "/api/v1/cache?all").expect(200);
    assert!(!hit(&service.post(MULTIPLY, &other).expect(200)), "everything was dropped");
    service.ask("DELETE", "/api/v1/cache").fails(400, "invalid_request");
    service.post("/api/v1/cache/invalidate", &json!({"tabel": "x"})).fails(400, "invalid_request");
}

#[test]
fn tenants_never_meet_in_the_cache() {
    let service = Service::start(&[]);
    let (_, red) = service.tenant("red", json!({}), &["gpu:matrix"]);
    let (_, blue) = service.tenant("blue", json!({}), &["gpu:matrix"]);
    let body = product_with(json!({"cache": true, "depends_on": [{"table": "t", "version": 5}]}));
    for key in [&red, &blue] {
        assert!(!hit(&service.post_as(key, MULTIPLY, &body).expect(200)), "the other tenant's result");
        assert!(hit(&service.post_as(key, MULTIPLY, &body).expect(200)));
    }
    // Neither what one drops nor which versions it names touches the other.
    service.post_as(&red, "/api/v1/cache/invalidate", &json!({"table": "t", "version": 9})).expect(200);
    service.call("DELETE", "/api/v1/cache?all", &[("x-api-key", &red)], b"").expect(200);
    assert!(hit(&service.post_as(&blue, MULTIPLY, &body).expect(200)));
    service.post_as(&red, MULTIPLY, &body).fails(409, "stale_version");
    assert!(!hit(&service.post_as(&red, MULTIPLY, &product()).expect(200)));
}
