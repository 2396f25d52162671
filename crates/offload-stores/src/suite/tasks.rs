//! Tasks: submission, claims, ends, and what happens when a node is gone.

use super::{Open, all_pages};
use offload_api::Priority;
use offload_pipeline::records::{
    Claim, ClaimRequest, Claimed, Created, EndState, Idempotency, StoreError, Stores, Task, TaskEnd,
    TaskFilter, TaskRequest, TaskStatus,
};
use std::collections::HashSet;

pub(super) fn task(number: u64, tenant_id: &str) -> Task {
    Task {
        id: format!("task_{number:04}"),
        tenant_id: tenant_id.to_owned(),
        user_id: "ann".to_owned(),
        key_id: "key_0123456789abcdef".to_owned(),
        workload_type: "matrix_multiply".to_owned(),
        priority: Priority::Medium,
        status: TaskStatus::Queued,
        attempts: 0,
        token: 0,
        created_at_ms: 1000 + number,
        not_before_ms: 0,
        deadline_ms: 1_000_000,
        started_at_ms: None,
        finished_at_ms: None,
        request_id: format!("r{number}"),
        callback: None,
        gpu_time_us: 0,
        result_bytes: 0,
        error: None,
    }
}

pub(super) fn create(stores: &dyn Stores, task: &Task) {
    let created = stores.tasks().create(task, &request(&task.id), None, 1000);
    assert_eq!(created, Ok(Created::New));
}

fn request(text: &str) -> TaskRequest {
    TaskRequest {
        route: "matrix/multiply".to_owned(),
        content_type: "application/json".to_owned(),
        body: text.as_bytes().to_vec(),
    }
}

pub(super) fn claim(stores: &dyn Stores, node: &str, now_ms: u64, limit: usize) -> Vec<Claimed> {
    let request = ClaimRequest { node, now_ms, lease_ms: 500, limit, age_ms: [60_000, 120_000] };
    stores.tasks().claim(&request).expect("claimed")
}

fn ids(claimed: &[Claimed]) -> Vec<&str> {
    claimed.iter().map(|c| c.task.id.as_str()).collect()
}

pub(super) fn end(claimed: &Claimed, state: EndState) -> TaskEnd {
    TaskEnd {
        claim: Claim { id: claimed.task.id.clone(), token: claimed.task.token },
        state,
        at_ms: 5000,
        gpu_time_us: 7,
    }
}

fn completed(claimed: &Claimed) -> TaskEnd {
    end(claimed, EndState::Completed(b"{}".to_vec()))
}

fn status(stores: &dyn Stores, id: &str) -> TaskStatus {
    stores.tasks().get("a", id).expect("read").expect("there").status
}

/// Every field is read back; the request comes with the claim, the result with the end; another tenant sees nothing.
pub fn a_task_is_read_back_at_every_stage(open: &Open) {
    let stores = open();
    let given = Task { callback: Some(vec![0, 255]), priority: Priority::Realtime, ..task(1, "a") };
    create(stores.as_ref(), &given);
    assert_eq!(stores.tasks().get("a", &given.id), Ok(Some(given.clone())));
    assert_eq!(stores.tasks().get("b", &given.id), Ok(None));
    assert_eq!(stores.tasks().open_count(), Ok(1));

    let claimed = claim(stores.as_ref(), "n", 2000, 10);
    assert_eq!(claimed[0].request, request(&given.id));
    let running = Task {
        status: TaskStatus::Running,
        attempts: 1,
        token: 1,
        started_at_ms: Some(2000),
        ..given.clone()
    };
    assert_eq!(claimed[0].task, running);
    assert_eq!(stores.tasks().result("a", &given.id), Ok(None));

    let result = b"{\"x\":\xff}".to_vec();
    let ends = [end(&claimed[0], EndState::Completed(result.clone()))];
    assert_eq!(stores.tasks().end(&ends), Ok(vec![true]));
    let done = stores.tasks().get("a", &given.id).expect("read").expect("there");
    assert_eq!((done.status, done.finished_at_ms, done.gpu_time_us), (TaskStatus::Completed, Some(5000), 7));
    assert_eq!(done.result_bytes, result.len() as u64);
    assert_eq!(stores.tasks().result("a", &given.id), Ok(Some(result)));
    assert_eq!(stores.tasks().result("b", &given.id), Ok(None));
    assert_eq!(stores.tasks().open_count(), Ok(0));
}

/// The same key and the same submission: the same task. The same key and another: neither. Per tenant.
pub fn a_submission_under_a_key_is_made_once(open: &Open) {
    let stores = open();
    let submit = |task: &Task, key: &str, digest: u8| {
        let idempotency = Idempotency { key: key.to_owned(), digest: [digest; 32] };
        stores.tasks().create(task, &request("x"), Some(&idempotency), 1000)
    };
    let first = task(1, "a");
    assert_eq!(submit(&first, "k", 1), Ok(Created::New));
    assert_eq!(submit(&task(2, "a"), "k", 1), Ok(Created::Before(Box::new(first.clone()))));
    assert_eq!(submit(&task(3, "a"), "k", 2), Ok(Created::Differs));
    assert_eq!(submit(&task(4, "b"), "k", 2), Ok(Created::New));
    assert_eq!(submit(&task(5, "a"), "l", 1), Ok(Created::New));
    assert!(matches!(submit(&task(6, "a"), "", 1), Err(StoreError::Invalid(_))));
    assert!(matches!(submit(&task(6, "a"), "a\nb", 1), Err(StoreError::Invalid(_))));
    let listed = stores.tasks().list(&of("a"), None, 10).expect("listed").items;
    assert_eq!(listed.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(), ["task_0005", "task_0001"]);
}

/// A tenant's queue is bounded, and only its own.
pub fn a_tenants_queue_is_bounded(open: &Open) {
    let stores = open();
    let submit = |task: &Task| stores.tasks().create(task, &request("x"), None, 2);
    assert_eq!(submit(&task(1, "a")), Ok(Created::New));
    assert_eq!(submit(&task(2, "a")), Ok(Created::New));
    assert_eq!(submit(&task(3, "a")), Ok(Created::Full(2)));
    assert_eq!(submit(&task(4, "b")), Ok(Created::New));
    claim(stores.as_ref(), "n", 2000, 1);
    assert_eq!(submit(&task(3, "a")), Ok(Created::New));
}

fn of(tenant_id: &str) -> TaskFilter {
    TaskFilter { tenant_id: Some(tenant_id.to_owned()), ..TaskFilter::default() }
}

/// Urgent before patient, tenants in turn, old before new; and what waited long enough counts as more urgent.
pub fn claims_are_by_class_then_by_turn_then_by_age(open: &Open) {
    let stores = open();
    let at = |number, tenant: &str, priority| Task { priority, ..task(number, tenant) };
    for number in 0..3 {
        create(stores.as_ref(), &at(number, "a", Priority::Low));
    }
    create(stores.as_ref(), &at(3, "a", Priority::Medium));
    create(stores.as_ref(), &at(4, "a", Priority::Medium));
    create(stores.as_ref(), &at(5, "b", Priority::Medium));
    create(stores.as_ref(), &at(6, "b", Priority::Realtime));
    create(stores.as_ref(), &Task { not_before_ms: 3000, ..at(7, "b", Priority::Realtime) });
    assert_eq!(stores.tasks().ahead("task_0000"), Ok(5));
    assert_eq!(stores.tasks().ahead("task_0006"), Ok(0));
    let order = ["task_0006", "task_0003", "task_0005", "task_0004"];
    assert_eq!(ids(&claim(stores.as_ref(), "n", 2000, 4)), order);
    // A minute on, the low ones are medium, and older than this one.
    create(stores.as_ref(), &Task { created_at_ms: 62_000, ..at(8, "a", Priority::Medium) });
    assert_eq!(ids(&claim(stores.as_ref(), "n", 62_500, 2)), ["task_0006", "task_0007"], "leases are over");
    let order = [0, 5, 1, 2, 3, 4, 8].map(|n| format!("task_{n:04}"));
    assert_eq!(ids(&claim(stores.as_ref(), "n", 62_501, 10)), order);
}

/// Two nodes never have one task, whatever they do at once.
pub fn concurrent_claims_share_nothing(open: &Open) {
    let stores = open();
    for number in 0..40 {
        create(stores.as_ref(), &task(number, "a"));
    }
    let claimed: Vec<String> = std::thread::scope(|scope| {
        let nodes: Vec<_> = (0..4)
            .map(|i| {
                scope.spawn(move || {
                    let (stores, node) = (open(), format!("n{i}"));
                    let mut mine = Vec::new();
                    loop {
                        let batch = claim(stores.as_ref(), &node, 2000, 3);
                        if batch.is_empty() {
                            return mine;
                        }
                        mine.extend(batch.into_iter().map(|c| c.task.id));
                    }
                })
            })
            .collect();
        nodes.into_iter().flat_map(|n| n.join().expect("a node")).collect()
    });
    assert_eq!(claimed.len(), 40);
    assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), 40);
}

/// A claim is renewed or over; the end of a claim that is over is not recorded, and the next one's is.
pub fn a_lost_claim_ends_nothing(open: &Open) {
    let stores = open();
    create(stores.as_ref(), &task(1, "a"));
    let first = claim(stores.as_ref(), "n1", 2000, 1);
    let mine = Claim { id: "task_0001".to_owned(), token: first[0].task.token };
    assert_eq!(stores.tasks().renew("n1", std::slice::from_ref(&mine), 3000), Ok(vec![]));
    assert_eq!(stores.tasks().renew("n2", std::slice::from_ref(&mine), 9000), Ok(vec![mine.clone()]));
    assert_eq!(ids(&claim(stores.as_ref(), "n2", 2999, 1)), [""; 0]);
    let second = claim(stores.as_ref(), "n2", 3000, 1);
    assert_eq!((ids(&second), second[0].task.attempts), (vec!["task_0001"], 2));
    assert_eq!(stores.tasks().renew("n1", std::slice::from_ref(&mine), 9000), Ok(vec![mine]));
    assert_eq!(stores.tasks().end(&[completed(&first[0])]), Ok(vec![false]));
    assert_eq!(status(stores.as_ref(), "task_0001"), TaskStatus::Running);
    assert_eq!(stores.tasks().end(&[completed(&second[0])]), Ok(vec![true]));
    assert_eq!(stores.tasks().end(&[completed(&second[0])]), Ok(vec![false]));
}

/// What a node had when it stopped is queued again for whoever comes first; other nodes keep theirs.
pub fn a_node_that_starts_anew_leaves_its_claims(open: &Open) {
    let stores = open();
    for number in 0..4 {
        create(stores.as_ref(), &task(number, "a"));
    }
    let mine = claim(stores.as_ref(), "n1", 2000, 2);
    claim(stores.as_ref(), "n2", 2000, 1);
    drop(stores);
    let stores = open();
    assert_eq!(stores.tasks().recover("n1"), Ok(2));
    let again = claim(stores.as_ref(), "n1", 2001, 10);
    assert_eq!(ids(&again), ["task_0000", "task_0001", "task_0003"]);
    assert_eq!(again[0].task.attempts, 2);
    assert_eq!(stores.tasks().end(&[completed(&mine[0])]), Ok(vec![false]));
}

/// A task can be put back, as an attempt or not, and is not claimed before its time.
pub fn a_task_is_put_back(open: &Open) {
    let stores = open();
    create(stores.as_ref(), &task(1, "a"));
    for (now_ms, counts, attempts) in [(2000, true, 1), (4000, false, 1), (6000, true, 2)] {
        let claimed = claim(stores.as_ref(), "n", now_ms, 1);
        let again = EndState::Again { not_before_ms: now_ms + 1000, counts };
        assert_eq!(stores.tasks().end(&[end(&claimed[0], again)]), Ok(vec![true]));
        assert_eq!(ids(&claim(stores.as_ref(), "n", now_ms + 999, 1)), [""; 0]);
        let task = stores.tasks().get("a", "task_0001").expect("read").expect("there");
        assert_eq!((task.status, task.attempts), (TaskStatus::Queued, attempts));
    }
}

/// A queued or running task is cancelled at once; a final one stays what it is.
pub fn cancelling_is_for_what_is_not_final(open: &Open) {
    let stores = open();
    create(stores.as_ref(), &task(1, "a"));
    create(stores.as_ref(), &task(2, "a"));
    assert_eq!(stores.tasks().cancel("b", "task_0001", 9), Ok(None));
    let cancelled = stores.tasks().cancel("a", "task_0001", 9).expect("cancelled").expect("there");
    assert_eq!((cancelled.status, cancelled.finished_at_ms), (TaskStatus::Cancelled, Some(9)));
    let running = claim(stores.as_ref(), "n", 2000, 1);
    assert_eq!(ids(&running), ["task_0002"]);
    stores.tasks().cancel("a", "task_0002", 10).expect("cancelled");
    assert_eq!(stores.tasks().end(&[completed(&running[0])]), Ok(vec![false]));
    let again = stores.tasks().cancel("a", "task_0002", 11).expect("cancelled").expect("there");
    assert_eq!((again.status, again.finished_at_ms), (TaskStatus::Cancelled, Some(10)));
    assert_eq!(ids(&claim(stores.as_ref(), "n", 9000, 1)), [""; 0]);
}

/// A dead letter keeps its request and runs again when asked; nothing else does.
pub fn a_dead_letter_is_retried(open: &Open) {
    let stores = open();
    create(stores.as_ref(), &task(1, "a"));
    assert_eq!(stores.tasks().retry("a", "task_0001", 2000, 9000), Err(StoreError::Conflict));
    let claimed = claim(stores.as_ref(), "n", 2000, 1);
    let dead = EndState::Without(TaskStatus::DeadLetter, "{\"error\":\"internal\"}".to_owned());
    assert_eq!(stores.tasks().end(&[end(&claimed[0], dead)]), Ok(vec![true]));
    let filter = TaskFilter { status: Some(TaskStatus::DeadLetter), ..of("a") };
    let letters = stores.tasks().list(&filter, None, 10).expect("listed").items;
    assert_eq!(letters[0].error.as_deref(), Some("{\"error\":\"internal\"}"));
    assert_eq!(stores.tasks().retry("b", "task_0001", 2000, 9000), Err(StoreError::NotFound));
    let queued = stores.tasks().retry("a", "task_0001", 2000, 9000).expect("queued");
    assert_eq!((queued.status, queued.attempts, queued.deadline_ms), (TaskStatus::Queued, 0, 9000));
    let again = claim(stores.as_ref(), "n", 3000, 1);
    assert_eq!(again[0].request, claimed[0].request);
    assert_eq!(stores.tasks().end(&[completed(&again[0])]), Ok(vec![true]));
    assert_eq!(stores.tasks().retry("a", "task_0001", 2000, 9000), Err(StoreError::Conflict));
}

/// What waited too long fails; what ended long ago is forgotten, and its idempotency key with it.
pub fn old_tasks_expire_and_are_pruned(open: &Open) {
    let stores = open();
    let idempotency = Idempotency { key: "k".to_owned(), digest: [1; 32] };
    let first = Task { deadline_ms: 3000, ..task(1, "a") };
    let submit = |task: &Task| stores.tasks().create(task, &request("x"), Some(&idempotency), 9);
    assert_eq!(submit(&first), Ok(Created::New));
    create(stores.as_ref(), &task(2, "a"));
    assert_eq!(stores.tasks().expire(2999, "late"), Ok(0));
    assert_eq!(stores.tasks().expire(3000, "late"), Ok(1));
    let late = stores.tasks().get("a", "task_0001").expect("read").expect("there");
    assert_eq!((late.status, late.error.as_deref()), (TaskStatus::Failed, Some("late")));
    assert_eq!(stores.tasks().prune(3000), Ok(0));
    assert_eq!(stores.tasks().prune(3001), Ok(1));
    assert_eq!(stores.tasks().get("a", "task_0001"), Ok(None));
    assert_eq!(status(stores.as_ref(), "task_0002"), TaskStatus::Queued);
    assert_eq!(submit(&task(3, "a")), Ok(Created::New));
}

/// Newest first, nothing twice, nothing missed, and only what was asked for.
pub fn listings_are_filtered_and_paged(open: &Open) {
    let stores = open();
    for number in 0..10 {
        let created_at_ms = 1000 + number / 3;
        create(stores.as_ref(), &Task { created_at_ms, ..task(number, "a") });
        create(stores.as_ref(), &Task { workload_type: "batch".to_owned(), ..task(100 + number, "b") });
    }
    let listed = all_pages(|cursor| stores.tasks().list(&of("a"), cursor, 3), |_| {});
    let expected: Vec<String> = (0..10).rev().map(|n| format!("task_{n:04}")).collect();
    assert_eq!(listed.into_iter().map(|t| t.id).collect::<Vec<_>>(), expected);
    let batches = TaskFilter { workload_type: Some("batch".to_owned()), ..TaskFilter::default() };
    assert_eq!(stores.tasks().list(&batches, None, 100).expect("listed").items.len(), 10);
    let running = TaskFilter { status: Some(TaskStatus::Running), ..TaskFilter::default() };
    assert_eq!(stores.tasks().list(&running, None, 100).expect("listed").items, []);
    assert!(matches!(stores.tasks().list(&of("a"), Some("x"), 3), Err(StoreError::Invalid(_))));
}

/// What a deleted tenant left is not the next one's of that id.
pub fn a_deleted_tenant_takes_its_tasks(open: &Open) {
    let stores = open();
    let tenant = super::tenant(stores.as_ref(), "a");
    create(stores.as_ref(), &task(1, "a"));
    create(stores.as_ref(), &task(2, "b"));
    stores.callbacks().replace_secret("a", b"s").expect("stored");
    stores.tenants().delete("a", tenant.revision).expect("deleted");
    super::tenant(stores.as_ref(), "a");
    assert_eq!(stores.tasks().get("a", "task_0001"), Ok(None));
    assert_eq!(stores.callbacks().secret("a"), Ok(None));
    assert!(stores.tasks().get("b", "task_0002").expect("read").is_some());
}
