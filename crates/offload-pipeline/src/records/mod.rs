//! What outlives a process: tenants, API keys, signing keys, tasks and their callbacks, the audit trail, and the
//! traits of the stores that keep them.
//!
//! The traits are shaped for several nodes over one store. A mutation names the revision it was computed from
//! and fails with [`StoreError::Conflict`] when another node was first; nothing here reads a clock, so every
//! time is an argument. Identifiers are checked by the record types (`check`), so that all stores refuse the
//! same things.

mod audit;
mod audit_writer;
mod callback;
mod dataset;
mod key;
mod segment;
mod signing;
mod task;
mod tenant;

pub use audit::{AUDIT_TEXT_BYTES_MAX, Audit, AuditFilter, AuditRecord};
pub use audit_writer::{AuditWriter, AuditWriterConfig};
pub use callback::{Callbacks, DeadCallback, Delivery, DueCallback};
pub use dataset::{Dataset, DatasetColumn, DatasetSegment, Datasets, check_dataset_name};
pub use key::{ApiKey, Keys, hash_key};
pub use offload_core::device::Isolation;
pub use segment::{NewColumn, Segments};
pub use signing::{SigningKey, SigningKeys};
pub use task::{
    Claim, ClaimRequest, Claimed, Created, EndState, Idempotency, Task, TaskEnd, TaskFilter, TaskRequest,
    TaskStatus, Tasks,
};
pub use tenant::{Quota, Tenant, Tenants};

/// The most items that one page of a listing has; a larger `limit` is lowered to it, 0 is raised to 1.
pub const PAGE_ITEMS_MAX: usize = 1000;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another writer was first: read again, decide again.
    #[error("the record was changed by another writer")]
    Conflict,
    /// The thing to change, or the thing that it belongs to, is not there.
    #[error("no such record")]
    NotFound,
    /// The identifier is taken.
    #[error("the record already exists")]
    AlreadyExists,
    /// The record or the cursor breaks a rule; the text names the field and the limit, and is fit for callers.
    #[error("{0}")]
    Invalid(String),
    /// The disk is full; nothing was changed, and the same call works once there is room.
    #[error("the store's disk is full")]
    Full,
    /// What is stored cannot be read as what it should be; the text is for the log.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
    /// Anything else that the disk or the network did; the text is for the log.
    #[error("the store failed: {0}")]
    Io(String),
}

/// A part of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the listing's order.
    pub items: Vec<T>,
    /// Where the next page begins: an opaque text to hand back, or none after the last page. Whatever is
    /// inserted meanwhile, no item is given twice and none that was there from the first page on is missed.
    pub next: Option<String>,
}

/// All the stores of one deployment.
pub trait Stores: Send + Sync {
    /// Who may use the service.
    fn tenants(&self) -> &dyn Tenants;
    /// What they authenticate with.
    fn keys(&self) -> &dyn Keys;
    /// What tokens are signed with.
    fn signing_keys(&self) -> &dyn SigningKeys;
    /// What was run.
    fn audit(&self) -> &dyn Audit;
    /// What was promised.
    fn tasks(&self) -> &dyn Tasks;
    /// Who is told of its end.
    fn callbacks(&self) -> &dyn Callbacks;
    /// What datasets there are.
    fn datasets(&self) -> &dyn Datasets;
    /// Their rows.
    fn segments(&self) -> &dyn Segments;
    /// A number that grows with every change to tenants, keys or signing keys by any process, and with nothing
    /// else. Cheap enough to poll many times a second: whoever caches records drops them when it moved. Read it
    /// *before* reading what is cached, so that a change in between is seen at the next poll.
    fn change_counter(&self) -> Result<u64, StoreError>;
}

/// Refuses a human's name for something when it is too long or would disturb a terminal or a log line.
fn check_label(field: &str, text: &str) -> Result<(), StoreError> {
    const BYTES_MAX: usize = 256;
    if text.len() > BYTES_MAX {
        return Err(StoreError::Invalid(format!("{field} is longer than {BYTES_MAX} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(StoreError::Invalid(format!("{field} has a control character")));
    }
    Ok(())
}

/// Refuses an identifier that is not 1 to 64 characters of `[a-z0-9]` and `extra`.
fn check_identifier(field: &str, text: &str, extra: &str) -> Result<(), StoreError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || extra.contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
        return Err(StoreError::Invalid(format!(
            "{field} must be 1 to 64 characters of a-z, 0-9 and {extra}"
        )));
    }
    Ok(())
}

/// Refuses a number that a signed 64-bit column cannot hold.
fn check_storable(field: &str, number: u64) -> Result<(), StoreError> {
    match i64::try_from(number) {
        Ok(_) => Ok(()),
        Err(_) => Err(StoreError::Invalid(format!("{field} is larger than {}", i64::MAX))),
    }
}
