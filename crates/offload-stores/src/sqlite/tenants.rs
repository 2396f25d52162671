//! Tenants in SQLite.

use super::DataDir;
use super::database::{Failure, from_column, to_column};
use crate::cursor::{page, page_limit};
use offload_pipeline::records::{Page, Quota, StoreError, Tenant, Tenants};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

const SELECT: &str = "SELECT id, name, revision, created_at, suspended, quota FROM tenants";

impl Tenants for DataDir {
    fn create(&self, tenant: &Tenant) -> Result<Tenant, StoreError> {
        tenant.check()?;
        let tenant = Tenant { revision: 1, ..tenant.clone() };
        let quota = quota_text(&tenant.quota)?;
        // What an earlier tenant of this id left behind, should its deletion have been cut off, is not this one's.
        if <Self as Tenants>::get(self, &tenant.id)?.is_none() {
            self.tasks.forget_tenant(&tenant.id)?;
        }
        self.state.change(|db| {
            db.prepare_cached(
                "INSERT INTO tenants (id, name, revision, created_at, suspended, quota)
                 VALUES (:id, :name, 1, :created_at, :suspended, :quota)",
            )?
            .execute(named_params! {
                ":id": tenant.id,
                ":name": tenant.name,
                ":created_at": to_column(tenant.created_at),
                ":suspended": tenant.suspended,
                ":quota": quota,
            })?;
            Ok(())
        })?;
        Ok(tenant)
    }

    fn get(&self, id: &str) -> Result<Option<Tenant>, StoreError> {
        self.state.read(|db| find(db, id))
    }

    fn list(&self, cursor: Option<&str>, limit: usize) -> Result<Page<Tenant>, StoreError> {
        let limit = page_limit(limit);
        let items = self.state.read(|db| {
            // Every id is after the empty text.
            let mut statement = db.prepare_cached(&format!("{SELECT} WHERE id > ?1 ORDER BY id LIMIT ?2"))?;
            let mut rows = statement.query((cursor.unwrap_or_default(), to_column(limit as u64 + 1)))?;
            let mut items = Vec::new();
            while let Some(row) = rows.next()? {
                items.push(tenant(row)?);
            }
            Ok(items)
        })?;
        Ok(page(items, limit, |tenant| tenant.id.clone()))
    }

    fn update(&self, tenant: &Tenant) -> Result<Tenant, StoreError> {
        tenant.check()?;
        let quota = quota_text(&tenant.quota)?;
        self.state.change(|db| {
            let changed = db
                .prepare_cached(
                    "UPDATE tenants SET name = :name, suspended = :suspended, quota = :quota, revision = revision + 1
                     WHERE id = :id AND revision = :revision",
                )?
                .execute(named_params! {
                    ":id": tenant.id,
                    ":revision": to_column(tenant.revision),
                    ":name": tenant.name,
                    ":suspended": tenant.suspended,
                    ":quota": quota,
                })?;
            match (changed, find(db, &tenant.id)?) {
                (_, None) => Err(StoreError::NotFound.into()),
                (0, Some(_)) => Err(StoreError::Conflict.into()),
                (_, Some(stored)) => Ok(stored),
            }
        })
    }

    fn delete(&self, id: &str, revision: u64) -> Result<(), StoreError> {
        self.state.change(|db| {
            let changed = db
                .prepare_cached("DELETE FROM tenants WHERE id = ?1 AND revision = ?2")?
                .execute((id, to_column(revision)))?;
            match (changed, find(db, id)?) {
                (0, None) => Err(StoreError::NotFound.into()),
                (0, Some(_)) => Err(StoreError::Conflict.into()),
                _ => Ok(()),
            }
        })?;
        self.tasks.forget_tenant(id)
    }
}

fn find(db: &Connection, id: &str) -> Result<Option<Tenant>, Failure> {
    let mut statement = db.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?;
    statement.query_row([id], |row| Ok(tenant(row))).optional()?.transpose()
}

fn tenant(row: &Row) -> Result<Tenant, Failure> {
    let quota: String = row.get(5)?;
    let quota: Quota = serde_json::from_str(&quota)
        .map_err(|error| StoreError::Corrupt(format!("a tenant's quota: {error}")))?;
    Ok(Tenant {
        id: row.get(0)?,
        name: row.get(1)?,
        revision: from_column(row.get(2)?)?,
        created_at: from_column(row.get(3)?)?,
        suspended: row.get(4)?,
        quota,
    })
}

fn quota_text(quota: &Quota) -> Result<String, StoreError> {
    serde_json::to_string(quota).map_err(|error| StoreError::Invalid(error.to_string()))
}
