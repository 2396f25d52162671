//! The audit trail in memory.

use super::MemoryStores;
use crate::cursor::{decode_numbers, encode, page, page_limit};
use offload_pipeline::records::{Audit, AuditFilter, AuditRecord, Page, StoreError};
use std::collections::BTreeMap;

/// The records by time, then by the order in which they came.
#[derive(Default)]
pub(super) struct Trail {
    records: BTreeMap<(u64, u64), AuditRecord>,
    sequence: u64,
}

impl Audit for MemoryStores {
    fn append(&self, batch: &[AuditRecord]) -> Result<(), StoreError> {
        batch.iter().try_for_each(AuditRecord::check)?;
        let mut trail = self.trail();
        for record in batch {
            trail.sequence += 1;
            let position = (record.at_us, trail.sequence);
            trail.records.insert(position, record.clone());
        }
        Ok(())
    }

    fn query(
        &self,
        filter: &AuditFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<AuditRecord>, StoreError> {
        let limit = page_limit(limit);
        let before = cursor.map(decode_numbers).transpose()?.unwrap_or((u64::MAX, u64::MAX));
        let trail = self.trail();
        let found: Vec<_> = trail
            .records
            .range(..before)
            .rev()
            .filter(|(_, record)| filter.matches(record))
            .take(limit + 1)
            .collect();
        let page = page(found, limit, |((at_us, sequence), _)| encode(*at_us, &sequence.to_string()));
        Ok(Page {
            items: page.items.into_iter().map(|(_, record)| record.clone()).collect(),
            next: page.next,
        })
    }

    fn prune(&self, older_than_us: u64, rows_max: u64) -> Result<u64, StoreError> {
        let mut trail = self.trail();
        let before = trail.records.len();
        trail.records = trail.records.split_off(&(older_than_us, 0));
        while trail.records.len() as u64 > rows_max {
            trail.records.pop_first();
        }
        Ok((before - trail.records.len()) as u64)
    }
}
