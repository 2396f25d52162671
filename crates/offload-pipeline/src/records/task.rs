//! Tasks: work that was promised and outlives the connection, the process and the node that took it.
//!
//! A task is run at least once and its end is recorded exactly once: whoever runs it holds a lease and a token, and
//! an end that comes with an older token is not recorded.

use super::{Page, StoreError, check_identifier, check_storable};
use offload_api::Priority;

/// The most bytes of an idempotency key, a route and the like.
const TEXT_BYTES_MAX: usize = 256;

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskStatus {
    /// It waits, for its first run or another.
    Queued,
    /// A node has it.
    Running,
    /// It ended with a result.
    Completed,
    /// It ended without, and would again.
    Failed,
    /// Its owner does not want it any more.
    Cancelled,
    /// What could have helped was tried as often as allowed.
    DeadLetter,
}

impl TaskStatus {
    /// All, in the order of a life.
    pub const ALL: [TaskStatus; 6] = [
        TaskStatus::Queued,
        TaskStatus::Running,
        TaskStatus::Completed,
        TaskStatus::Failed,
        TaskStatus::Cancelled,
        TaskStatus::DeadLetter,
    ];

    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            TaskStatus::Queued => "queued",
            TaskStatus::Running => "running",
            TaskStatus::Completed => "completed",
            TaskStatus::Failed => "failed",
            TaskStatus::Cancelled => "cancelled",
            TaskStatus::DeadLetter => "dead_letter",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<TaskStatus> {
        TaskStatus::ALL.into_iter().find(|s| s.name() == name)
    }

    /// Whether nothing more will happen by itself.
    pub const fn is_final(self) -> bool {
        !matches!(self, TaskStatus::Queued | TaskStatus::Running)
    }
}

/// A task without its request and its result, which may be large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// 1 to 64 characters of `[a-z0-9_]`; never given twice.
    pub id: String,
    /// Whose.
    pub tenant_id: String,
    /// Whose within the tenant.
    pub user_id: String,
    /// The key it was submitted with; it runs only while that key lives.
    pub key_id: String,
    /// What it runs: `matrix_multiply`, or `batch`.
    pub workload_type: String,
    /// The priority it was admitted at.
    pub priority: Priority,
    /// Where it is.
    pub status: TaskStatus,
    /// Runs begun.
    pub attempts: u32,
    /// Grows with every claim and with what ends one.
    pub token: u64,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// Unix milliseconds before which it is not claimed again.
    pub not_before_ms: u64,
    /// Unix milliseconds at which it times out.
    pub deadline_ms: u64,
    /// Unix milliseconds of its last claim.
    pub started_at_ms: Option<u64>,
    /// Unix milliseconds of its end.
    pub finished_at_ms: Option<u64>,
    /// The request that submitted it.
    pub request_id: String,
    /// Where its end is told; sealed, because such addresses hold secrets.
    pub callback: Option<Vec<u8>>,
    /// Microseconds on a GPU.
    pub gpu_time_us: u64,
    /// Bytes of its result.
    pub result_bytes: u64,
    /// Why it has no result, as the body of an error.
    pub error: Option<String>,
}

/// What a task runs, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRequest {
    /// Family and operation, or `batch`: what stood in the path.
    pub route: String,
    /// The body's media type.
    pub content_type: String,
    /// The body, sealed.
    pub body: Vec<u8>,
}

/// A caller's name for a submission, so that sending it again does not do it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The caller's key, within the tenant.
    pub key: String,
    /// A digest of what was submitted.
    pub digest: [u8; 32],
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is a new task.
    New,
    /// The same was submitted before, as this task.
    Before(Box<Task>),
    /// Something else was submitted under this key.
    Differs,
    /// The tenant has this many tasks queued, which is its limit.
    Full(u32),
}

/// A task that a node may run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The task; its `token` proves the claim.
    pub task: Task,
    /// What it runs.
    pub request: TaskRequest,
}

/// A node's claim on a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The task.
    pub id: String,
    /// Its token when it was claimed.
    pub token: u64,
}

/// How many tasks a claim may take, and from when on they are the claimer's.
#[derive(Clone, Debug)]
pub struct ClaimRequest<'a> {
    /// Who claims.
    pub node: &'a str,
    /// Unix milliseconds.
    pub now_ms: u64,
    /// How long the claim holds unless it is renewed.
    pub lease_ms: u64,
    /// At most so many.
    pub limit: usize,
    /// After so long a queued task counts as one class more urgent: low as medium, and medium as high.
    pub age_ms: [u64; 2],
}

/// How a claimed task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEnd {
    /// The claim; an older one is not recorded.
    pub claim: Claim,
    /// What it is now.
    pub state: EndState,
    /// Unix milliseconds.
    pub at_ms: u64,
    /// Microseconds on a GPU.
    pub gpu_time_us: u64,
}

/// What a claimed task is from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndState {
    /// It has this result: the members of the answer's body.
    Completed(Vec<u8>),
    /// It has none: the status, and the body of the error.
    Without(TaskStatus, String),
    /// It is queued again from this time on; whether the run counts as an attempt.
    Again {
        /// Unix milliseconds.
        not_before_ms: u64,
        /// Whether the run counts.
        counts: bool,
    },
}

/// Which tasks a listing shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Of this tenant; of all when absent.
    pub tenant_id: Option<String>,
    /// In this status.
    pub status: Option<TaskStatus>,
    /// Of this kind.
    pub workload_type: Option<String>,
}

impl Task {
    /// Refuses what no store may hold.
    pub fn check(&self) -> Result<(), StoreError> {
        check_identifier("id", &self.id, "_")?;
        check_identifier("workload_type", &self.workload_type, "_")?;
        for (field, number) in [
            ("created_at_ms", self.created_at_ms),
            ("not_before_ms", self.not_before_ms),
            ("deadline_ms", self.deadline_ms),
        ] {
            check_storable(field, number)?;
        }
        Ok(())
    }
}

impl Idempotency {
    /// Refuses a key that no store may hold: 1 to 256 printable ASCII characters.
    pub fn check(&self) -> Result<(), StoreError> {
        let key = &self.key;
        if key.is_empty() || key.len() > TEXT_BYTES_MAX || !key.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Err(StoreError::Invalid(format!(
                "the idempotency key must be 1 to {TEXT_BYTES_MAX} printable ascii characters"
            )));
        }
        Ok(())
    }
}

/// The tasks. Several nodes may work on one store: a claim is one node's until its lease is over.
pub trait Tasks: Send + Sync {
    /// Stores a new task, queued, unless `idempotency` names a submission that is there already, or the tenant has
    /// `queued_max` tasks queued.
    fn create(
        &self,
        task: &Task,
        request: &TaskRequest,
        idempotency: Option<&Idempotency>,
        queued_max: u32,
    ) -> Result<Created, StoreError>;

    /// The task of that tenant and id, if there is one.
    fn get(&self, tenant_id: &str, id: &str) -> Result<Option<Task>, StoreError>;

    /// The result of a completed task: the members of its answer's body.
    fn result(&self, tenant_id: &str, id: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Tasks, newest first, at most `limit`, from `cursor` on.
    fn list(&self, filter: &TaskFilter, cursor: Option<&str>, limit: usize)
    -> Result<Page<Task>, StoreError>;

    /// Queued tasks that would be claimed before this one; 0 when it is not queued.
    fn ahead(&self, id: &str) -> Result<u64, StoreError>;

    /// Claims queued tasks, and those whose lease is over: the most urgent first, and within a class a task of each
    /// tenant in turn.
    fn claim(&self, request: &ClaimRequest<'_>) -> Result<Vec<Claimed>, StoreError>;

    /// Keeps these claims until then; answers those that are not the node's any more.
    fn renew(&self, node: &str, claims: &[Claim], lease_until_ms: u64) -> Result<Vec<Claim>, StoreError>;

    /// Records ends, all or none of them, and for each whether it was recorded: a claim that is over is not. The
    /// callback of a task that is final from now on is due from now on.
    fn end(&self, ends: &[TaskEnd]) -> Result<Vec<bool>, StoreError>;

    /// Ends every claim of a node that has started anew: its tasks are queued again, with the attempt counted.
    /// Answers how many.
    fn recover(&self, node: &str) -> Result<u64, StoreError>;

    /// Cancels a task that is not final, whoever runs it, and answers it as it is now: [`TaskStatus::Cancelled`], or
    /// the final status it had. `None` when there is no such task.
    fn cancel(&self, tenant_id: &str, id: &str, at_ms: u64) -> Result<Option<Task>, StoreError>;

    /// Queues a dead letter again with all its attempts, until the new deadline. [`StoreError::NotFound`] when there
    /// is no such task, [`StoreError::Conflict`] when it is no dead letter.
    fn retry(&self, tenant_id: &str, id: &str, now_ms: u64, deadline_ms: u64) -> Result<Task, StoreError>;

    /// Ends queued tasks whose deadline is over with this error, and answers how many.
    fn expire(&self, now_ms: u64, error: &str) -> Result<u64, StoreError>;

    /// Forgets final tasks that ended before then and have no callback left, and answers how many.
    fn prune(&self, finished_before_ms: u64) -> Result<u64, StoreError>;

    /// Tasks queued and running.
    fn open_count(&self) -> Result<u64, StoreError>;
}
