//! API keys: creation, lookup, revocation, listing.

use super::{Open, all_pages, api_key, tenant};
use offload_pipeline::records::{ApiKey, StoreError, hash_key};

/// Every field is read back, by hash and by id.
pub fn created_keys_are_read_back(open: &Open) {
    let stores = open();
    tenant(stores.as_ref(), "a");
    let given = ApiKey {
        name: "nightly 'load' 🦀".to_owned(),
        expires_at: Some(2_000_000_000),
        revoked_at: Some(1_900_000_000),
        revision: 5,
        ..api_key(1, "a")
    };
    let stored = stores.keys().create(&given).expect("created");
    assert_eq!(stored, ApiKey { revision: 1, ..given });
    assert_eq!(stores.keys().by_hash(&hash_key("1")), Ok(Some(stored.clone())));
    assert_eq!(stores.keys().get(&stored.key_id), Ok(Some(stored)));
    assert_eq!(stores.keys().by_hash(&hash_key("2")), Ok(None));
    assert_eq!(stores.keys().get("key_ffffffffffffffff"), Ok(None));

    let bare = ApiKey { user_id: String::new(), name: String::new(), scopes: vec![], ..api_key(2, "a") };
    assert_eq!(stores.keys().create(&bare), Ok(bare.clone()));
    assert_eq!(stores.keys().get(&bare.key_id), Ok(Some(bare)));
}

/// Neither an id nor a secret twice, and no key of nobody.
pub fn ids_and_hashes_are_unique_and_tenants_must_exist(open: &Open) {
    let stores = open();
    tenant(stores.as_ref(), "a");
    tenant(stores.as_ref(), "b");
    let first = stores.keys().create(&api_key(1, "a")).expect("created");
    let same_id = ApiKey { hash: hash_key("9"), ..api_key(1, "b") };
    assert_eq!(stores.keys().create(&same_id), Err(StoreError::AlreadyExists));
    let same_hash = ApiKey { hash: hash_key("1"), ..api_key(2, "b") };
    assert_eq!(stores.keys().create(&same_hash), Err(StoreError::AlreadyExists));
    assert_eq!(stores.keys().create(&api_key(3, "absent")), Err(StoreError::NotFound));
    assert_eq!(stores.keys().list("a", None, 10).expect("listed").items, [first]);
    assert_eq!(stores.keys().list("b", None, 10).expect("listed").items, []);
    assert_eq!(stores.keys().list("absent", None, 10).expect("listed").items, []);
}

/// Oldest first, those of one moment by id; nothing twice, nothing missed.
pub fn paging_is_stable_under_inserts(open: &Open) {
    let stores = open();
    tenant(stores.as_ref(), "a");
    tenant(stores.as_ref(), "b");
    let create = |number: u64, tenant_id: &str, created_at: u64| {
        let key = ApiKey { created_at, ..api_key(number, tenant_id) };
        stores.keys().create(&key).expect("created")
    };
    // Pairs of the same moment, and ids that do not follow the time.
    let first: Vec<ApiKey> = (0..10).map(|i| create(100 - i, "a", 1000 + i / 2)).collect();
    let listed = all_pages(
        |cursor| stores.keys().list("a", cursor, 3),
        |page| {
            if page <= 3 {
                let page = page as u64;
                create(200 + page, "a", 5);
                create(300 + page, "a", 1002);
                create(400 + page, "b", 1002);
            }
        },
    );
    assert!(listed.is_sorted_by_key(|k| (k.created_at, k.key_id.clone())));
    let mut ids: Vec<&str> = listed.iter().map(|k| k.key_id.as_str()).collect();
    assert!(first.iter().all(|k| ids.contains(&k.key_id.as_str())));
    assert!(listed.iter().all(|k| k.tenant_id == "a"));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), listed.len(), "a key was listed twice");
}

/// Revoking again changes nothing, revoking earlier does.
pub fn revocation_is_idempotent_and_the_earliest_holds(open: &Open) {
    let stores = open();
    tenant(stores.as_ref(), "a");
    let key = stores.keys().create(&api_key(1, "a")).expect("created");
    assert!(key.is_live(u64::MAX));

    let planned = stores.keys().revoke(&key.key_id, 5000).expect("revoked");
    assert_eq!((planned.revoked_at, planned.revision), (Some(5000), 2));
    assert!(planned.is_live(4999) && !planned.is_live(5000));
    assert_eq!(stores.keys().revoke(&key.key_id, 5000), Ok(planned.clone()));
    assert_eq!(stores.keys().revoke(&key.key_id, 6000), Ok(planned));

    // A planned end must not keep anyone from ending it now.
    let now = stores.keys().revoke(&key.key_id, 300).expect("revoked");
    assert_eq!((now.revoked_at, now.revision), (Some(300), 3));
    assert_eq!(stores.keys().by_hash(&key.hash), Ok(Some(now)));
    assert_eq!(stores.keys().revoke("key_ffffffffffffffff", 1), Err(StoreError::NotFound));
}
