//! Several handles to one deployment: what one does the others see, and of several at once one is first.

use super::{Open, api_key, audit_record, signing_key, tenant};
use offload_pipeline::records::{AuditFilter, StoreError, Stores, Tenant};
use std::sync::{Arc, Barrier};
use std::thread;

/// Runs `f` at once on that many threads, each with a handle of its own.
fn at_once<T: Send>(open: &Open, nodes: usize, f: impl Fn(usize, &dyn Stores) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(nodes);
    let run = |node: usize| {
        let stores: Arc<dyn Stores> = open();
        barrier.wait();
        f(node, stores.as_ref())
    };
    thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..nodes).map(|node| scope.spawn(move || run(node))).collect();
        threads.into_iter().map(|t| t.join().expect("no panic")).collect()
    })
}

/// What one handle has stored, another reads, and may change.
pub fn two_handles_see_each_other(open: &Open) {
    let (here, there) = (open(), open());
    let stored = tenant(here.as_ref(), "a");
    assert_eq!(there.tenants().get("a"), Ok(Some(stored.clone())));
    let changed = there.tenants().update(&Tenant { suspended: true, ..stored.clone() }).expect("updated");
    assert_eq!(here.tenants().get("a"), Ok(Some(changed)));
    assert_eq!(here.tenants().update(&stored), Err(StoreError::Conflict));

    let key = here.keys().create(&api_key(1, "a")).expect("created");
    assert!(there.keys().by_hash(&key.hash).expect("read").expect("there").is_live(500));
    there.keys().revoke(&key.key_id, 500).expect("revoked");
    assert!(!here.keys().by_hash(&key.hash).expect("read").expect("there").is_live(500));

    there.signing_keys().insert(&signing_key("k", 10)).expect("inserted");
    assert_eq!(here.signing_keys().list().expect("listed").len(), 1);
    there.audit().append(&[audit_record(1, "a")]).expect("appended");
    assert_eq!(here.audit().query(&AuditFilter::default(), None, 10).expect("queried").items.len(), 1);
}

/// Whoever caches by it never misses a change and is never disturbed by the audit trail.
pub fn the_change_counter_moves_with_every_change_and_with_nothing_else(open: &Open) {
    let (here, there) = (open(), open());
    let mut last = here.change_counter().expect("counted");
    let mut moved = |what: &str, expected: bool| {
        let (now, seen) = (here.change_counter().expect("counted"), there.change_counter().expect("counted"));
        assert_eq!(now, seen, "{what}");
        assert_eq!(now > last, expected, "{what}: {last} and {now}");
        last = now;
    };
    let stored = tenant(there.as_ref(), "a");
    moved("a tenant is created", true);
    let stored = there.tenants().update(&stored).expect("updated");
    moved("a tenant is updated", true);
    let key = there.keys().create(&api_key(1, "a")).expect("created");
    moved("a key is created", true);
    there.keys().revoke(&key.key_id, 5).expect("revoked");
    moved("a key is revoked", true);
    there.signing_keys().insert_if_newest(None, &signing_key("k1", 10)).expect("inserted");
    moved("a signing key is made", true);
    there.signing_keys().insert(&signing_key("k2", 20)).expect("inserted");
    moved("a signing key is brought", true);
    there.signing_keys().delete_expired(10).expect("removed");
    moved("a signing key expires", true);
    there.signing_keys().delete("k2").expect("removed");
    moved("a signing key is removed", true);

    there.keys().revoke(&key.key_id, 5).expect("revoked");
    moved("a key is revoked again", false);
    there.signing_keys().delete_expired(10).expect("removed");
    moved("nothing expires", false);
    there.tenants().create(&stored).expect_err("it exists");
    there.tenants().update(&Tenant { revision: 1, ..stored.clone() }).expect_err("it is stale");
    moved("a change is refused", false);
    there.audit().append(&[audit_record(1, "a")]).expect("appended");
    there.audit().prune(100, 0).expect("pruned");
    moved("the trail is written", false);
    there.tenants().delete("a", stored.revision).expect("deleted");
    moved("a tenant is deleted", true);
}

/// A restart forgets nothing, the counter and the order of the signing keys included.
pub fn everything_is_there_after_reopening(open: &Open) {
    let stores = open();
    let stored = tenant(stores.as_ref(), "a");
    let key = stores.keys().create(&api_key(1, "a")).expect("created");
    stores.signing_keys().insert(&signing_key("k1", 10)).expect("inserted");
    stores.signing_keys().insert(&signing_key("k2", 10)).expect("inserted");
    let record = audit_record(1, "a");
    stores.audit().append(std::slice::from_ref(&record)).expect("appended");
    let counter = stores.change_counter();
    drop(stores);

    let stores = open();
    assert_eq!(stores.tenants().get("a"), Ok(Some(stored)));
    assert_eq!(stores.keys().by_hash(&key.hash), Ok(Some(key)));
    assert_eq!(stores.signing_keys().list(), Ok(vec![signing_key("k2", 10), signing_key("k1", 10)]));
    assert_eq!(stores.audit().query(&AuditFilter::default(), None, 10).expect("queried").items, [record]);
    assert_eq!(stores.change_counter(), counter);
}

/// One of many is told that it made it, and what it made is what is stored.
pub fn concurrent_creations_of_an_id_have_one_winner(open: &Open) {
    for round in 0..5 {
        let id = format!("t{round}");
        let outcomes = at_once(open, 4, |node, stores| {
            stores.tenants().create(&Tenant { name: format!("node {node}"), ..Tenant::new(&id, 1) })
        });
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        assert!(lost.into_iter().all(|outcome| outcome == Err(StoreError::AlreadyExists)));
        let winner = won.into_iter().next().expect("one");
        assert_eq!(open().tenants().get(&id), winner.map(Some));
    }
}

/// Read, change, compare-and-set, again on conflict: every change of every node is in the end there.
pub fn concurrent_updates_lose_nothing(open: &Open) {
    const NODES: usize = 4;
    const UPDATES: u64 = 10;
    tenant(open().as_ref(), "a");
    at_once(open, NODES, |_, stores| {
        for _ in 0..UPDATES {
            loop {
                let mut stored = stores.tenants().get("a").expect("read").expect("there");
                stored.quota.max_dataset_bytes += 1;
                match stores.tenants().update(&stored) {
                    Ok(_) => break,
                    Err(StoreError::Conflict) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    });
    let stored = open().tenants().get("a").expect("read").expect("there");
    let changes = NODES as u64 * UPDATES;
    assert_eq!(stored.revision, 1 + changes);
    assert_eq!(stored.quota.max_dataset_bytes, Tenant::new("a", 1).quota.max_dataset_bytes + changes);
}

/// Nodes that rotate at once end with one new key, for the first and for every later one.
pub fn concurrent_rotations_make_one_key(open: &Open) {
    for round in 0..5 {
        // All have read the same newest key before any rotates.
        let newest = open().signing_keys().list().expect("listed").first().map(|key| key.kid.clone());
        let outcomes = at_once(open, 4, |node, stores| {
            let key = signing_key(&format!("round{round}node{node}"), 10);
            stores.signing_keys().insert_if_newest(newest.as_deref(), &key)
        });
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(StoreError::Conflict))));
        assert_eq!(open().signing_keys().list().expect("listed").len(), round + 1);
    }
}
