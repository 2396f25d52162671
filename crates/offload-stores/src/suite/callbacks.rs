//! Callbacks: due when a task ends, delivered at least once, given up at last; and the secrets they are signed with.

use super::tasks::{claim, create, end, task};
use super::{Open, all_pages};
use offload_pipeline::records::{Delivery, DueCallback, EndState, Stores, Task, TaskStatus};

fn ended(stores: &dyn Stores, number: u64, tenant: &str, state: EndState) {
    create(stores, &Task { callback: Some(vec![number as u8]), ..task(number, tenant) });
    let claimed = claim(stores, "n", 2000, 1);
    assert_eq!(stores.tasks().end(&[end(&claimed[0], state)]), Ok(vec![true]));
}

fn due(stores: &dyn Stores, now_ms: u64) -> Vec<DueCallback> {
    stores.callbacks().claim_due(now_ms, 100, 10).expect("claimed")
}

fn record(stores: &dyn Stores, callback: &DueCallback, delivery: Delivery, at_ms: u64) {
    stores.callbacks().record(&[(callback.clone(), delivery)], at_ms).expect("recorded");
}

/// Whatever the end is; not before; not for whoever asked for none.
pub fn every_end_is_told_once_it_is_there(open: &Open) {
    let stores = open();
    create(stores.as_ref(), &task(1, "a"));
    let claimed = claim(stores.as_ref(), "n", 2000, 1);
    stores.tasks().end(&[end(&claimed[0], EndState::Completed(vec![]))]).expect("ended");
    assert_eq!(due(stores.as_ref(), 9000), []);

    ended(stores.as_ref(), 2, "a", EndState::Completed(vec![]));
    ended(stores.as_ref(), 3, "a", EndState::Without(TaskStatus::Failed, String::new()));
    for number in [4, 5] {
        create(stores.as_ref(), &Task { callback: Some(vec![number as u8]), ..task(number, "b") });
    }
    stores.tasks().cancel("b", "task_0004", 5000).expect("cancelled");
    stores.tasks().expire(1_000_000, "late").expect("expired");
    assert_eq!(due(stores.as_ref(), 4999), []);
    let mut told: Vec<_> = due(stores.as_ref(), 1_000_000)
        .into_iter()
        .map(|c| (c.task_id, c.tenant_id, c.url, c.attempts))
        .collect();
    told.sort();
    let one = |number: u8, tenant: &str| (format!("task_{number:04}"), tenant.to_owned(), vec![number], 1);
    assert_eq!(told, [one(2, "a"), one(3, "a"), one(4, "b"), one(5, "b")]);
}

/// Its id stays; an attempt that says nothing is made again; one that was overtaken records nothing.
pub fn a_delivery_is_tried_until_it_is_recorded(open: &Open) {
    let stores = open();
    ended(stores.as_ref(), 1, "a", EndState::Completed(vec![]));
    let first = due(stores.as_ref(), 5000);
    assert_eq!(due(stores.as_ref(), 5099), []);
    let second = due(stores.as_ref(), 5100);
    assert_eq!((&second[0].webhook_id, second[0].attempts), (&first[0].webhook_id, 2));
    record(stores.as_ref(), &first[0], Delivery::Done, 5150);
    record(stores.as_ref(), &second[0], Delivery::Again(8000, "refused".to_owned()), 5160);
    assert_eq!(due(stores.as_ref(), 7999), []);
    let third = due(stores.as_ref(), 8000);
    record(stores.as_ref(), &third[0], Delivery::Done, 8001);
    assert_eq!(due(stores.as_ref(), 99_000), []);
    assert_eq!(stores.tasks().prune(99_000), Ok(1));
}

/// A callback that is still due keeps its task; a dead one is listed, per tenant and in all.
pub fn a_callback_that_is_given_up_is_a_dead_letter(open: &Open) {
    let stores = open();
    for (number, tenant) in [(1, "a"), (2, "b"), (3, "a")] {
        ended(stores.as_ref(), number, tenant, EndState::Completed(vec![]));
    }
    assert_eq!(stores.tasks().prune(99_000), Ok(0), "callbacks are due");
    for (i, callback) in due(stores.as_ref(), 6000).iter().enumerate() {
        record(stores.as_ref(), callback, Delivery::Dead("status 500".to_owned()), 7000 + i as u64);
    }
    assert_eq!(due(stores.as_ref(), 99_000), []);
    let all = all_pages(|cursor| stores.callbacks().dead(None, cursor, 2), |_| {});
    assert_eq!(all.len(), 3);
    assert!(all.windows(2).all(|w| w[0].at_ms > w[1].at_ms));
    let mine = stores.callbacks().dead(Some("b"), None, 10).expect("listed").items;
    assert_eq!(mine.len(), 1);
    assert_eq!((mine[0].task_id.as_str(), mine[0].error.as_str()), ("task_0002", "status 500"));
}

/// The first that is stored wins; a replacement replaces.
pub fn a_tenant_has_one_secret(open: &Open) {
    let stores = open();
    let callbacks = stores.callbacks();
    assert_eq!(callbacks.secret("a"), Ok(None));
    assert_eq!(callbacks.secret_or_store("a", b"one"), Ok(b"one".to_vec()));
    assert_eq!(callbacks.secret_or_store("a", b"two"), Ok(b"one".to_vec()));
    callbacks.replace_secret("a", b"three").expect("replaced");
    assert_eq!(open().callbacks().secret("a"), Ok(Some(b"three".to_vec())));
    assert_eq!(callbacks.secret("b"), Ok(None));
}
