//! Records as JSON, of tenants, datasets and errors: what is read and written again is read as the same.

use offload_api::{ApiError, DatasetRef, DependsOn, OutputRef};
use offload_pipeline::records::{DatasetColumn, DatasetSegment, Quota, Tenant};

/// Whether the bytes are a record of a type; where they are, it is held against itself.
macro_rules! same {
    ($bytes:expr, $($record:ty),+) => {
        [$(match serde_json::from_slice::<$record>($bytes) {
            Err(_) => false,
            Ok(read) => {
                let text = serde_json::to_vec(&read).expect("it is written");
                let again: $record = serde_json::from_slice(&text).expect("what is written can be read");
                assert_eq!(again, read);
                true
            }
        }),+]
    };
}

pub(crate) fn record(bytes: &[u8]) -> bool {
    same!(bytes, Tenant, Quota, DatasetColumn, DatasetSegment, DatasetRef, OutputRef, DependsOn, ApiError)
        .contains(&true)
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let tenant = Tenant::new("a", 1);
    vec![
        serde_json::to_vec(&tenant).expect("it is written"),
        br#"{"max_queued_tasks":5,"allowed_families":["matrix"],"callback_hosts":["*.example.com"],"isolation":"process","max_priority":"low"}"#.to_vec(),
        br#"{"name":"v","dtype":"f32","inner":[2,3]}"#.to_vec(),
        br#"{"id":"0123456789abcdef0123456789abcdef","rows":3,"bytes":24}"#.to_vec(),
        br#"{"dataset":"docs","column":"year","version":7,"lt":2010,"ge":2000.5,"in":["de",true]}"#.to_vec(),
        br#"{"index":0,"output":"c"}"#.to_vec(),
        br#"{"table":"public.t","version":"5"}"#.to_vec(),
        br#"{"error":"overloaded","message":"m","request_id":"r","retryable":true,"retry_after_ms":5,"details":{"limit":1e300}}"#.to_vec(),
    ]
}
