//! Tenants: creation, reading, revisions, deletion, listing.

use super::{Open, all_pages, api_key, tenant};
use offload_api::Priority;
use offload_pipeline::records::{Isolation, Quota, StoreError, Tenant};

/// Every field is read back, the revision is the store's.
pub fn created_tenants_are_read_back(open: &Open) {
    let stores = open();
    let given = Tenant {
        id: "acme-1_x".to_owned(),
        name: "Acme „Ünïcode“ 'quoted' \"twice\"; DROP TABLE tenants".to_owned(),
        revision: 99,
        created_at: 1_700_000_000,
        suspended: true,
        quota: Quota {
            max_device_memory_bytes: i64::MAX as u64,
            max_host_memory_bytes: 0,
            max_concurrent_tasks: u32::MAX,
            max_queued_tasks: 1,
            max_requests_per_minute: 2,
            max_dataset_bytes: 3,
            allowed_families: Some(vec!["matrix".to_owned(), "time_series".to_owned()]),
            isolation: Isolation::Process,
            callback_hosts: Some(vec!["*.example.com".to_owned(), "10.0.0.7".to_owned()]),
            max_priority: Priority::Realtime,
        },
    };
    let stored = stores.tenants().create(&given).expect("created");
    assert_eq!(stored, Tenant { revision: 1, ..given });
    assert_eq!(stores.tenants().get("acme-1_x"), Ok(Some(stored)));
    assert_eq!(stores.tenants().get("acme"), Ok(None));
    assert_eq!(tenant(stores.as_ref(), "plain").quota, Quota::default());
}

/// A second tenant of an id is refused and changes nothing.
pub fn ids_are_unique(open: &Open) {
    let stores = open();
    let first = tenant(stores.as_ref(), "a");
    let second = Tenant { name: "other".to_owned(), ..first.clone() };
    assert_eq!(stores.tenants().create(&second), Err(StoreError::AlreadyExists));
    assert_eq!(stores.tenants().get("a"), Ok(Some(first)));
}

/// Compare-and-set: who read an older revision is told so.
pub fn an_update_needs_the_current_revision(open: &Open) {
    let stores = open();
    let first = tenant(stores.as_ref(), "a");
    let renamed = Tenant { name: "new".to_owned(), created_at: 12345, ..first.clone() };
    let second = stores.tenants().update(&renamed).expect("updated");
    assert_eq!(second, Tenant { revision: 2, created_at: first.created_at, ..renamed });
    assert_eq!(stores.tenants().get("a"), Ok(Some(second.clone())));

    let stale = Tenant { suspended: true, ..first };
    assert_eq!(stores.tenants().update(&stale), Err(StoreError::Conflict));
    let future = Tenant { revision: 3, ..second.clone() };
    assert_eq!(stores.tenants().update(&future), Err(StoreError::Conflict));
    assert_eq!(stores.tenants().get("a"), Ok(Some(second)));
    assert_eq!(stores.tenants().update(&Tenant::new("absent", 0)), Err(StoreError::NotFound));
}

/// Deletion is compare-and-set too; the keys go with the tenant, those of others stay.
pub fn a_deletion_needs_the_current_revision_and_takes_the_keys(open: &Open) {
    let stores = open();
    let doomed = tenant(stores.as_ref(), "doomed");
    tenant(stores.as_ref(), "other");
    for (number, id) in [(1, "doomed"), (2, "doomed"), (3, "other")] {
        stores.keys().create(&api_key(number, id)).expect("created");
    }
    assert_eq!(stores.tenants().delete("doomed", 2), Err(StoreError::Conflict));
    assert_eq!(stores.tenants().delete("absent", 1), Err(StoreError::NotFound));
    assert!(stores.keys().by_hash(&api_key(1, "").hash).expect("read").is_some());

    assert_eq!(stores.tenants().delete("doomed", doomed.revision), Ok(()));
    assert_eq!(stores.tenants().get("doomed"), Ok(None));
    for number in [1, 2] {
        assert_eq!(stores.keys().by_hash(&api_key(number, "").hash), Ok(None));
        assert_eq!(stores.keys().get(&api_key(number, "").key_id), Ok(None));
    }
    assert!(stores.keys().get(&api_key(3, "").key_id).expect("read").is_some());
    assert_eq!(stores.tenants().delete("doomed", 1), Err(StoreError::NotFound));
    // A new tenant of the same name is a new tenant.
    assert_eq!(tenant(stores.as_ref(), "doomed").revision, 1);
    assert_eq!(stores.keys().list("doomed", None, 10).expect("listed").items, []);
}

/// Nothing twice, nothing missed, whatever is inserted between the pages.
pub fn paging_is_stable_under_inserts(open: &Open) {
    let stores = open();
    let first: Vec<String> = (0..10).map(|i| format!("t{i}0")).collect();
    for id in &first {
        tenant(stores.as_ref(), id);
    }
    let listed = all_pages(
        |cursor| stores.tenants().list(cursor, 3),
        |page| {
            if page <= 3 {
                tenant(stores.as_ref(), &format!("a{page}"));
                tenant(stores.as_ref(), &format!("t{page}5"));
            }
        },
    );
    let ids: Vec<&str> = listed.iter().map(|t| t.id.as_str()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert!(first.iter().all(|id| ids.contains(&id.as_str())), "{ids:?}");
    // A listing that ends with a full page says that it ends.
    assert_eq!(stores.tenants().list(None, 16).expect("listed").next, None);
    assert!(stores.tenants().list(None, 15).expect("listed").next.is_some());
}
