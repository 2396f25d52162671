//! Callbacks in SQLite.

use super::super::database::{Failure, from_column, to_column};
use super::TaskTables;
use crate::cursor::{decode, encode, page, page_limit};
use offload_pipeline::records::{Callbacks, DeadCallback, Delivery, DueCallback, Page, StoreError};
use rusqlite::{Connection, OptionalExtension, Row};

impl Callbacks for TaskTables {
    fn claim_due(&self, now_ms: u64, lease_ms: u64, limit: usize) -> Result<Vec<DueCallback>, StoreError> {
        self.db.write(|db| {
            // Until it is recorded it is due again when the lease is over.
            let mut statement = db.prepare_cached(
                "UPDATE callbacks SET attempts = attempts + 1, token = token + 1, due_at_ms = ?2
                 WHERE webhook_id IN (SELECT webhook_id FROM callbacks WHERE status = 'due' AND due_at_ms <= ?1
                                      ORDER BY due_at_ms LIMIT ?3)
                 RETURNING webhook_id, tenant_id, task_id, url, attempts, token",
            )?;
            let until = now_ms.saturating_add(lease_ms);
            let mut rows =
                statement.query((to_column(now_ms), to_column(until), to_column(limit as u64)))?;
            let mut due = Vec::new();
            while let Some(row) = rows.next()? {
                due.push(DueCallback {
                    webhook_id: row.get(0)?,
                    tenant_id: row.get(1)?,
                    task_id: row.get(2)?,
                    url: row.get(3)?,
                    attempts: from_column(row.get(4)?)?,
                    token: from_column(row.get(5)?)?,
                });
            }
            Ok(due)
        })
    }

    fn record(&self, deliveries: &[(DueCallback, Delivery)], at_ms: u64) -> Result<(), StoreError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        self.db.write(|db| {
            let mut statement = db.prepare_cached(
                "UPDATE callbacks SET status = ?3, due_at_ms = ?4, error = ?5, at_ms = ?6
                 WHERE webhook_id = ?1 AND token = ?2",
            )?;
            for (callback, delivery) in deliveries {
                let (status, due, error) = match delivery {
                    Delivery::Done => ("done", None, None),
                    Delivery::Again(at, error) => ("due", Some(to_column(*at)), Some(error)),
                    Delivery::Dead(error) => ("dead", None, Some(error)),
                };
                let (id, token) = (&callback.webhook_id, to_column(callback.token));
                statement.execute((id, token, status, due, error, to_column(at_ms)))?;
            }
            Ok(())
        })
    }

    fn dead(
        &self,
        tenant_id: Option<&str>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<DeadCallback>, StoreError> {
        let limit = page_limit(limit);
        // Every position is before the largest time.
        let (at_ms, id) = cursor.map(decode).transpose()?.unwrap_or((i64::MAX as u64, ""));
        let whose = if tenant_id.is_some() { "tenant_id = ?1" } else { "?1 IS NULL" };
        let items = self.db.read(|db| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT webhook_id, tenant_id, task_id, attempts, at_ms, error FROM callbacks
                 WHERE status = 'dead' AND {whose} AND (at_ms, webhook_id) < (?2, ?3)
                 ORDER BY at_ms DESC, webhook_id DESC LIMIT ?4"
            ))?;
            let mut rows = statement.query((tenant_id, to_column(at_ms), id, to_column(limit as u64 + 1)))?;
            let mut items = Vec::new();
            while let Some(row) = rows.next()? {
                items.push(dead(row)?);
            }
            Ok(items)
        })?;
        Ok(page(items, limit, |c| encode(c.at_ms, &c.webhook_id)))
    }

    fn secret(&self, tenant_id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.read(|db| secret(db, tenant_id))
    }

    fn secret_or_store(&self, tenant_id: &str, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.db.write(|db| {
            db.prepare_cached("INSERT OR IGNORE INTO webhook_secrets (tenant_id, sealed) VALUES (?1, ?2)")?
                .execute((tenant_id, sealed))?;
            secret(db, tenant_id)?.ok_or_else(|| StoreError::NotFound.into())
        })
    }

    fn replace_secret(&self, tenant_id: &str, sealed: &[u8]) -> Result<(), StoreError> {
        self.db.write(|db| {
            db.prepare_cached("INSERT OR REPLACE INTO webhook_secrets (tenant_id, sealed) VALUES (?1, ?2)")?
                .execute((tenant_id, sealed))?;
            Ok(())
        })
    }
}

fn secret(db: &Connection, tenant_id: &str) -> Result<Option<Vec<u8>>, Failure> {
    Ok(db
        .prepare_cached("SELECT sealed FROM webhook_secrets WHERE tenant_id = ?1")?
        .query_row([tenant_id], |row| row.get(0))
        .optional()?)
}

fn dead(row: &Row) -> Result<DeadCallback, Failure> {
    Ok(DeadCallback {
        webhook_id: row.get(0)?,
        tenant_id: row.get(1)?,
        task_id: row.get(2)?,
        attempts: from_column(row.get(3)?)?,
        at_ms: from_column(row.get(4)?)?,
        error: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
    })
}
