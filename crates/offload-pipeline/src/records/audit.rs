//! The audit trail: one record for every request that was for a workload.

use super::{Page, StoreError, check_storable};
use offload_api::Priority;
use serde::Serialize;

/// The most bytes of each text in an [`AuditRecord`].
pub const AUDIT_TEXT_BYTES_MAX: usize = 256;

/// What was asked, by whom, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRecord {
    /// Unix microseconds at which the request was fully received.
    pub at_us: u64,
    /// The request's id.
    pub request_id: String,
    /// Whose it was.
    pub tenant_id: String,
    /// The user named by the key or token.
    pub user_id: String,
    /// The key it was made with.
    pub key_id: String,
    /// The operation in the metrics' form: `matrix_multiply`.
    pub workload_type: String,
    /// Hash of operation and inputs, hexadecimal: equal work has equal hashes, and no input can be read from it.
    pub workload_hash: String,
    /// The priority it was admitted with.
    pub priority: Priority,
    /// The HTTP status it was answered with.
    pub status: u16,
    /// The error's code, when there was one.
    pub error: Option<String>,
    /// Time on the device.
    pub gpu_time_us: u64,
    /// From receipt to answer.
    pub total_time_us: u64,
    /// Thereof waiting.
    pub queue_us: u64,
    /// Whether the result cache answered.
    pub cache_hit: bool,
    /// The device that ran it, if one did.
    pub device_id: Option<u32>,
    /// `cpu`, or the device's name.
    pub device: String,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// The node that answered.
    pub node: String,
}

impl AuditRecord {
    /// Refuses what no store may hold.
    pub fn check(&self) -> Result<(), StoreError> {
        if let Some(text) = self.texts().find(|t| t.len() > AUDIT_TEXT_BYTES_MAX) {
            return Err(StoreError::Invalid(format!(
                "a text of an audit record has {} bytes, more than {AUDIT_TEXT_BYTES_MAX}",
                text.len()
            )));
        }
        for (field, number) in [
            ("at_us", self.at_us),
            ("gpu_time_us", self.gpu_time_us),
            ("total_time_us", self.total_time_us),
            ("queue_us", self.queue_us),
            ("bytes_in", self.bytes_in),
            ("bytes_out", self.bytes_out),
        ] {
            check_storable(field, number)?;
        }
        Ok(())
    }

    /// The record with what [`AuditRecord::check`] would refuse cut down, because a caller who sends absurd
    /// values must not thereby escape the trail.
    pub fn clamped(mut self) -> Self {
        let texts = [
            &mut self.request_id,
            &mut self.tenant_id,
            &mut self.user_id,
            &mut self.key_id,
            &mut self.workload_type,
            &mut self.workload_hash,
            &mut self.device,
            &mut self.node,
        ];
        for text in texts.into_iter().chain(&mut self.error) {
            if text.len() > AUDIT_TEXT_BYTES_MAX {
                text.truncate(text.floor_char_boundary(AUDIT_TEXT_BYTES_MAX));
                // Thousands of these wait in a queue: give the megabyte back now.
                text.shrink_to_fit();
            }
        }
        let numbers = [
            &mut self.at_us,
            &mut self.gpu_time_us,
            &mut self.total_time_us,
            &mut self.queue_us,
            &mut self.bytes_in,
            &mut self.bytes_out,
        ];
        for number in numbers {
            *number = (*number).min(i64::MAX as u64);
        }
        self
    }

    fn texts(&self) -> impl Iterator<Item = &String> {
        [
            &self.request_id,
            &self.tenant_id,
            &self.user_id,
            &self.key_id,
            &self.workload_type,
            &self.workload_hash,
            &self.device,
            &self.node,
        ]
        .into_iter()
        .chain(&self.error)
    }
}

/// Which records to read: those that match everything that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this tenant.
    pub tenant_id: Option<String>,
    /// Not before this time, unix microseconds.
    pub from_us: Option<u64>,
    /// Before this time, unix microseconds.
    pub until_us: Option<u64>,
    /// Of this operation: `matrix_multiply`.
    pub workload_type: Option<String>,
    /// Answered with this HTTP status.
    pub status: Option<u16>,
}

impl AuditFilter {
    /// Whether the record is one of those.
    pub fn matches(&self, record: &AuditRecord) -> bool {
        self.tenant_id.as_ref().is_none_or(|t| *t == record.tenant_id)
            && self.from_us.is_none_or(|t| record.at_us >= t)
            && self.until_us.is_none_or(|t| record.at_us < t)
            && self.workload_type.as_ref().is_none_or(|w| *w == record.workload_type)
            && self.status.is_none_or(|s| s == record.status)
    }
}

/// The audit trail. Requests do not write to it themselves: [`super::AuditWriter`] does.
pub trait Audit: Send + Sync {
    /// Stores all of the batch, or nothing.
    fn append(&self, batch: &[AuditRecord]) -> Result<(), StoreError>;

    /// The records that match, latest first, at most `limit` (≤ [`super::PAGE_ITEMS_MAX`]), from `cursor` on.
    fn query(
        &self,
        filter: &AuditFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<AuditRecord>, StoreError>;

    /// Removes the records before `older_than_us`, then the oldest until `rows_max` are left; answers how many
    /// were removed.
    fn prune(&self, older_than_us: u64, rows_max: u64) -> Result<u64, StoreError>;
}
