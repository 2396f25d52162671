//! The audit trail in SQLite.

use super::DataDir;
use super::database::{Failure, from_column, to_column};
use crate::cursor::{decode_numbers, encode, page, page_limit};
use offload_api::Priority;
use offload_pipeline::records::{Audit, AuditFilter, AuditRecord, Page, StoreError};
use rusqlite::{Row, Transaction, named_params, types::Value};

/// Records removed in one transaction: more would keep writers of other processes waiting.
const PRUNE_RECORDS: u64 = 10_000;

const SELECT: &str = "SELECT sequence, at_us, request_id, tenant_id, user_id, key_id, workload_type, workload_hash, \
                      priority, status, error, gpu_time_us, total_time_us, queue_us, cache_hit, device_id, device, \
                      bytes_in, bytes_out, node FROM audit";

impl Audit for DataDir {
    fn append(&self, batch: &[AuditRecord]) -> Result<(), StoreError> {
        batch.iter().try_for_each(AuditRecord::check)?;
        if batch.is_empty() {
            return Ok(());
        }
        self.audit.write(|db| batch.iter().try_for_each(|record| insert(db, record)))
    }

    fn query(
        &self,
        filter: &AuditFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<AuditRecord>, StoreError> {
        let limit = page_limit(limit);
        let mut sql = format!("{SELECT} WHERE 1");
        let mut values: Vec<Value> = Vec::new();
        // Only what is asked for, since an index is of no use to `? IS NULL OR column = ?`.
        let mut add = |clause: &str, value: Value| {
            sql.push_str(clause);
            values.push(value);
        };
        if let Some(tenant_id) = &filter.tenant_id {
            add(" AND tenant_id = ?", tenant_id.clone().into());
        }
        if let Some(from_us) = filter.from_us {
            add(" AND at_us >= ?", to_column(from_us).into());
        }
        if let Some(until_us) = filter.until_us {
            add(" AND at_us < ?", to_column(until_us).into());
        }
        if let Some(workload_type) = &filter.workload_type {
            add(" AND workload_type = ?", workload_type.clone().into());
        }
        if let Some(status) = filter.status {
            add(" AND status = ?", i64::from(status).into());
        }
        if let Some((at_us, sequence)) = cursor.map(decode_numbers).transpose()? {
            add(" AND (at_us, sequence) < (?, ", to_column(at_us).into());
            add("?)", to_column(sequence).into());
        }
        add(" ORDER BY at_us DESC, sequence DESC LIMIT ?", to_column(limit as u64 + 1).into());

        let items = self.audit.read(|db| {
            let mut statement = db.prepare_cached(&sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(values))?;
            let mut items = Vec::new();
            while let Some(row) = rows.next()? {
                items.push((from_column::<u64>(row.get(0)?)?, record(row)?));
            }
            Ok(items)
        })?;
        let page = page(items, limit, |(sequence, record)| encode(record.at_us, &sequence.to_string()));
        Ok(Page { items: page.items.into_iter().map(|(_, record)| record).collect(), next: page.next })
    }

    fn prune(&self, older_than_us: u64, rows_max: u64) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let count = self.audit.write(|db| {
                let old = delete_oldest(db, older_than_us, PRUNE_RECORDS)?;
                if old > 0 {
                    return Ok(old);
                }
                // Counted in the transaction that deletes: two nodes that prune at once must not each remove the
                // same excess.
                let rows: i64 =
                    db.prepare_cached("SELECT count(*) FROM audit")?.query_row([], |row| row.get(0))?;
                let excess = from_column::<u64>(rows)?.saturating_sub(rows_max);
                delete_oldest(db, u64::MAX, excess.min(PRUNE_RECORDS))
            })?;
            removed += count;
            if count == 0 {
                return Ok(removed);
            }
        }
    }
}

fn delete_oldest(db: &Transaction, before_us: u64, count: u64) -> Result<u64, Failure> {
    if count == 0 {
        return Ok(0);
    }
    let mut statement = db.prepare_cached(
        "DELETE FROM audit WHERE sequence IN
         (SELECT sequence FROM audit WHERE at_us < ?1 ORDER BY at_us, sequence LIMIT ?2)",
    )?;
    Ok(statement.execute((to_column(before_us), to_column(count)))? as u64)
}

fn insert(db: &Transaction, record: &AuditRecord) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT INTO audit (at_us, request_id, tenant_id, user_id, key_id, workload_type, workload_hash, priority,
                            status, error, gpu_time_us, total_time_us, queue_us, cache_hit, device_id, device,
                            bytes_in, bytes_out, node)
         VALUES (:at_us, :request_id, :tenant_id, :user_id, :key_id, :workload_type, :workload_hash, :priority,
                 :status, :error, :gpu_time_us, :total_time_us, :queue_us, :cache_hit, :device_id, :device,
                 :bytes_in, :bytes_out, :node)",
    )?
    .execute(named_params! {
        ":at_us": to_column(record.at_us),
        ":request_id": record.request_id,
        ":tenant_id": record.tenant_id,
        ":user_id": record.user_id,
        ":key_id": record.key_id,
        ":workload_type": record.workload_type,
        ":workload_hash": record.workload_hash,
        ":priority": record.priority.name(),
        ":status": record.status,
        ":error": record.error,
        ":gpu_time_us": to_column(record.gpu_time_us),
        ":total_time_us": to_column(record.total_time_us),
        ":queue_us": to_column(record.queue_us),
        ":cache_hit": record.cache_hit,
        ":device_id": record.device_id,
        ":device": record.device,
        ":bytes_in": to_column(record.bytes_in),
        ":bytes_out": to_column(record.bytes_out),
        ":node": record.node,
    })?;
    Ok(())
}

fn record(row: &Row) -> Result<AuditRecord, Failure> {
    let number = |column| -> Result<u64, Failure> { from_column(row.get(column)?) };
    let priority: String = row.get(8)?;
    Ok(AuditRecord {
        at_us: number(1)?,
        request_id: row.get(2)?,
        tenant_id: row.get(3)?,
        user_id: row.get(4)?,
        key_id: row.get(5)?,
        workload_type: row.get(6)?,
        workload_hash: row.get(7)?,
        priority: Priority::from_name(&priority)
            .ok_or_else(|| StoreError::Corrupt(format!("an audit record's priority: {priority}")))?,
        status: row.get(9)?,
        error: row.get(10)?,
        gpu_time_us: number(11)?,
        total_time_us: number(12)?,
        queue_us: number(13)?,
        cache_hit: row.get(14)?,
        device_id: row.get(15)?,
        device: row.get(16)?,
        bytes_in: number(17)?,
        bytes_out: number(18)?,
        node: row.get(19)?,
    })
}
