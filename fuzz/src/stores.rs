//! Cursors of listings, which callers send back: a place or a refusal, the same by every store.

use offload_api::Priority;
use offload_pipeline::records::{
    ApiKey, AuditFilter, AuditRecord, Page, StoreError, Stores, TaskFilter, Tenant, hash_key,
};
use offload_stores::{DataDir, MemoryStores};
use std::sync::LazyLock;

fn fill(stores: &dyn Stores) {
    for (number, id) in (1u64..).zip(["a", "b", "c"]) {
        stores.tenants().create(&Tenant::new(id, number)).expect("a tenant");
        let key = ApiKey {
            key_id: format!("key_{number:016x}"),
            tenant_id: "a".into(),
            user_id: "ann".into(),
            name: String::new(),
            scopes: Vec::new(),
            hash: hash_key(id),
            last_four: "wxyz".into(),
            created_at: 100,
            expires_at: None,
            revoked_at: None,
            revision: 1,
        };
        stores.keys().create(&key).expect("a key");
    }
    let record = |at_us| AuditRecord {
        at_us,
        request_id: "r".into(),
        tenant_id: "a".into(),
        user_id: String::new(),
        key_id: String::new(),
        workload_type: "matrix_multiply".into(),
        workload_hash: String::new(),
        priority: Priority::Low,
        status: 200,
        error: None,
        gpu_time_us: 0,
        total_time_us: 0,
        queue_us: 0,
        cache_hit: false,
        device_id: None,
        device: "cpu".into(),
        bytes_in: 0,
        bytes_out: 0,
        node: String::new(),
    };
    stores.audit().append(&[record(5), record(5), record(9)]).expect("a trail");
}

fn both() -> &'static [Box<dyn Stores>; 2] {
    static BOTH: LazyLock<[Box<dyn Stores>; 2]> = LazyLock::new(|| {
        let folder = std::env::temp_dir().join(format!("hgo-fuzz-cursors-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let all: [Box<dyn Stores>; 2] = [
            Box::new(MemoryStores::new().expect("memory")),
            Box::new(DataDir::open(&folder).expect("a data directory")),
        ];
        all.iter().for_each(|s| fill(s.as_ref()));
        all
    });
    &BOTH
}

type Listed = Result<(Vec<String>, Option<String>), StoreError>;

/// Every listing from a cursor on: what is on its page, and where the next begins.
fn listings(stores: &dyn Stores, cursor: Option<&str>) -> [Listed; 6] {
    fn page<T: std::fmt::Debug>(page: Result<Page<T>, StoreError>) -> Listed {
        page.map(|p| (p.items.iter().map(|i| format!("{i:?}")).collect(), p.next))
    }
    let (tasks, trail) = (TaskFilter::default(), AuditFilter::default());
    [
        page(stores.tenants().list(cursor, 1)),
        page(stores.keys().list("a", cursor, 1)),
        page(stores.audit().query(&trail, cursor, 1)),
        page(stores.tasks().list(&tasks, cursor, 1)),
        page(stores.callbacks().dead(None, cursor, 1)),
        page(stores.datasets().list_all(cursor, 1)),
    ]
}

pub(crate) fn cursor(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let [memory, disk] = both();
    let (one, other) = (listings(memory.as_ref(), Some(text)), listings(disk.as_ref(), Some(text)));
    for (one, other) in one.iter().zip(&other) {
        for outcome in [one, other] {
            assert!(matches!(outcome, Ok(_) | Err(StoreError::Invalid(_))), "{outcome:?}");
        }
        assert_eq!(one, other, "the stores disagree");
    }
    // Some take any text for a place; these two say whether it is one that they gave.
    one[2].is_ok() || one[5].is_ok()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> =
        ["5.1", "9223372036854775807.9", "0.0", "tenant/name"].map(|s| s.as_bytes().to_vec()).into();
    let [_, _, trail, ..] = listings(both()[0].as_ref(), None);
    seeds.extend(trail.into_iter().filter_map(|(_, next)| next).map(String::into_bytes));
    seeds
}
