//! Signing keys: order, rotation, expiry.

use super::{Open, signing_key};
use offload_pipeline::records::{SigningKey, StoreError, Stores};

fn kids(stores: &dyn Stores) -> Vec<String> {
    stores.signing_keys().list().expect("listed").into_iter().map(|k| k.kid).collect()
}

/// Newest first by the order of storing, whatever the clocks of the nodes said.
pub fn the_last_stored_is_the_newest(open: &Open) {
    let stores = open();
    assert_eq!(stores.signing_keys().list(), Ok(vec![]));
    let late =
        SigningKey { created_at: 900, private_pkcs8_der: (0..=255).collect(), ..signing_key("late", 1000) };
    let early = SigningKey { created_at: 100, ..signing_key("early", 1000) };
    stores.signing_keys().insert(&late).expect("inserted");
    stores.signing_keys().insert(&early).expect("inserted");
    assert_eq!(stores.signing_keys().insert(&late), Err(StoreError::AlreadyExists));
    assert_eq!(stores.signing_keys().list(), Ok(vec![early, late.clone()]));
    assert!(!format!("{late:?}").contains("255"), "a private key was printed");
}

/// Whoever rotates from an older key than the newest is told so and stores nothing.
pub fn rotation_needs_the_newest(open: &Open) {
    let stores = open();
    let keys = stores.signing_keys();
    assert_eq!(keys.insert_if_newest(Some("k0"), &signing_key("k1", 10)), Err(StoreError::Conflict));
    assert_eq!(keys.insert_if_newest(None, &signing_key("k1", 10)), Ok(()));
    assert_eq!(keys.insert_if_newest(None, &signing_key("k2", 10)), Err(StoreError::Conflict));
    assert_eq!(keys.insert_if_newest(Some("k1"), &signing_key("k2", 10)), Ok(()));
    assert_eq!(keys.insert_if_newest(Some("k1"), &signing_key("k3", 10)), Err(StoreError::Conflict));
    assert_eq!(keys.insert_if_newest(Some("k2"), &signing_key("k1", 10)), Err(StoreError::AlreadyExists));
    assert_eq!(kids(stores.as_ref()), ["k2", "k1"]);
    let backwards = SigningKey { retire_at: 99, ..signing_key("k3", 10) };
    assert!(matches!(keys.insert(&backwards), Err(StoreError::Invalid(_))));
}

/// A key goes at the second at which it no longer verifies, or at once.
pub fn expired_keys_are_removed(open: &Open) {
    let stores = open();
    let keys = stores.signing_keys();
    for (kid, expires_at) in [("a", 10), ("b", 20), ("c", 30)] {
        keys.insert(&signing_key(kid, expires_at)).expect("inserted");
    }
    assert_eq!(keys.delete_expired(9), Ok(0));
    assert_eq!(keys.delete_expired(20), Ok(2));
    assert_eq!(kids(stores.as_ref()), ["c"]);
    assert_eq!(keys.delete("c"), Ok(()));
    assert_eq!(keys.delete("c"), Err(StoreError::NotFound));
    // An empty store rotates as a new one does.
    assert_eq!(keys.insert_if_newest(None, &signing_key("d", 40)), Ok(()));
}
