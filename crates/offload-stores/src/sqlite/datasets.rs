//! Datasets in SQLite, apart from their rows.

use super::DataDir;
use super::database::{Failure, from_column, to_column};
use crate::cursor::{GONE_NAMES_MAX, decode_names, encode_names, page, page_limit};
use offload_pipeline::records::{Dataset, Datasets, Page, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};
use serde::Serialize;
use serde::de::DeserializeOwned;

const SELECT: &str =
    "SELECT tenant_id, name, id, version, key, columns, segments, created_at, updated_at FROM datasets";

impl Datasets for DataDir {
    fn create(&self, dataset: &Dataset) -> Result<Dataset, StoreError> {
        dataset.check()?;
        let (columns, segments) = (text(&dataset.columns)?, text(&dataset.segments)?);
        self.datasets.write(|db| {
            let (tenant_id, name) = (&dataset.tenant_id, &dataset.name);
            if find(db, tenant_id, name)?.is_some() {
                return Err(StoreError::AlreadyExists.into());
            }
            let last: i64 = db
                .prepare_cached(
                    "SELECT max(coalesce((SELECT version FROM gone WHERE tenant_id = ?1 AND name = ?2), 0),
                                coalesce((SELECT version FROM floors WHERE tenant_id = ?1), 0))",
                )?
                .query_row((tenant_id, name), |row| row.get(0))?;
            let version = last.saturating_add(1);
            db.prepare_cached(
                "INSERT INTO datasets (tenant_id, name, id, version, key, columns, segments, created_at, updated_at)
                 VALUES (:tenant_id, :name, :id, :version, :key, :columns, :segments, :created_at, :updated_at)",
            )?
            .execute(named_params! {
                ":tenant_id": tenant_id,
                ":name": name,
                ":id": dataset.id,
                ":version": version,
                ":key": dataset.key,
                ":columns": columns,
                ":segments": segments,
                ":created_at": to_column(dataset.created_at),
                ":updated_at": to_column(dataset.updated_at),
            })?;
            db.prepare_cached("DELETE FROM gone WHERE tenant_id = ?1 AND name = ?2")?
                .execute((tenant_id, name))?;
            Ok(Dataset { version: from_column(version)?, ..dataset.clone() })
        })
    }

    fn get(&self, tenant_id: &str, name: &str) -> Result<Option<Dataset>, StoreError> {
        self.datasets.read(|db| find(db, tenant_id, name))
    }

    fn list(&self, tenant_id: &str, cursor: Option<&str>, limit: usize) -> Result<Page<Dataset>, StoreError> {
        let limit = page_limit(limit);
        let items = self.datasets.read(|db| {
            // Every name is after the empty text.
            let sql = format!("{SELECT} WHERE tenant_id = ?1 AND name > ?2 ORDER BY name LIMIT ?3");
            let mut statement = db.prepare_cached(&sql)?;
            let rows =
                statement.query((tenant_id, cursor.unwrap_or_default(), to_column(limit as u64 + 1)))?;
            all(rows)
        })?;
        Ok(page(items, limit, |dataset| dataset.name.clone()))
    }

    fn list_all(&self, cursor: Option<&str>, limit: usize) -> Result<Page<Dataset>, StoreError> {
        let limit = page_limit(limit);
        let (tenant_id, name) = cursor.map(decode_names).transpose()?.unwrap_or_default();
        let items = self.datasets.read(|db| {
            let sql =
                format!("{SELECT} WHERE (tenant_id, name) > (?1, ?2) ORDER BY tenant_id, name LIMIT ?3");
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query((tenant_id, name, to_column(limit as u64 + 1)))?;
            all(rows)
        })?;
        Ok(page(items, limit, |dataset| encode_names(&dataset.tenant_id, &dataset.name)))
    }

    fn update(&self, dataset: &Dataset) -> Result<Dataset, StoreError> {
        dataset.check()?;
        let (columns, segments) = (text(&dataset.columns)?, text(&dataset.segments)?);
        self.datasets.write(|db| {
            let changed = db
                .prepare_cached(
                    "UPDATE datasets SET key = :key, columns = :columns, segments = :segments,
                                         updated_at = :updated_at, version = version + 1
                     WHERE tenant_id = :tenant_id AND name = :name AND id = :id AND version = :version",
                )?
                .execute(named_params! {
                    ":tenant_id": dataset.tenant_id,
                    ":name": dataset.name,
                    ":id": dataset.id,
                    ":version": to_column(dataset.version),
                    ":key": dataset.key,
                    ":columns": columns,
                    ":segments": segments,
                    ":updated_at": to_column(dataset.updated_at),
                })?;
            match (changed, find(db, &dataset.tenant_id, &dataset.name)?) {
                (_, None) => Err(StoreError::NotFound.into()),
                (0, Some(_)) => Err(StoreError::Conflict.into()),
                (_, Some(stored)) => Ok(stored),
            }
        })
    }

    fn delete(&self, tenant_id: &str, name: &str, id: &str, version: u64) -> Result<(), StoreError> {
        self.datasets.write(|db| {
            let changed = db
                .prepare_cached(
                    "DELETE FROM datasets WHERE tenant_id = ?1 AND name = ?2 AND id = ?3 AND version = ?4",
                )?
                .execute((tenant_id, name, id, to_column(version)))?;
            if changed == 0 {
                return Err(match find(db, tenant_id, name)? {
                    None => StoreError::NotFound.into(),
                    Some(_) => StoreError::Conflict.into(),
                });
            }
            db.prepare_cached("INSERT INTO gone (tenant_id, name, version) VALUES (?1, ?2, ?3)")?
                .execute((tenant_id, name, to_column(version)))?;
            forget(db, tenant_id)
        })
    }
}

/// Keeps the last versions of so many deleted names, and of the older ones the highest.
fn forget(db: &Transaction, tenant_id: &str) -> Result<(), Failure> {
    let oldest: Option<(i64, i64)> = db
        .prepare_cached(
            "SELECT sequence, version FROM gone WHERE tenant_id = ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?2",
        )?
        .query_row((tenant_id, to_column(GONE_NAMES_MAX as u64)), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((sequence, version)) = oldest {
        db.prepare_cached(
            "INSERT INTO floors (tenant_id, version) VALUES (?1, ?2)
             ON CONFLICT (tenant_id) DO UPDATE SET version = max(version, excluded.version)",
        )?
        .execute((tenant_id, version))?;
        db.prepare_cached("DELETE FROM gone WHERE sequence = ?1")?.execute([sequence])?;
    }
    Ok(())
}

fn find(db: &Connection, tenant_id: &str, name: &str) -> Result<Option<Dataset>, Failure> {
    let mut statement = db.prepare_cached(&format!("{SELECT} WHERE tenant_id = ?1 AND name = ?2"))?;
    statement.query_row([tenant_id, name], |row| Ok(dataset(row))).optional()?.transpose()
}

fn all(mut rows: rusqlite::Rows<'_>) -> Result<Vec<Dataset>, Failure> {
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(dataset(row)?);
    }
    Ok(items)
}

fn dataset(row: &Row) -> Result<Dataset, Failure> {
    Ok(Dataset {
        tenant_id: row.get(0)?,
        name: row.get(1)?,
        id: row.get(2)?,
        version: from_column(row.get(3)?)?,
        key: row.get(4)?,
        columns: parsed("columns", row.get(5)?)?,
        segments: parsed("segments", row.get(6)?)?,
        created_at: from_column(row.get(7)?)?,
        updated_at: from_column(row.get(8)?)?,
    })
}

fn parsed<T: DeserializeOwned>(what: &str, text: String) -> Result<T, Failure> {
    serde_json::from_str(&text)
        .map_err(|error| StoreError::Corrupt(format!("a dataset's {what}: {error}")).into())
}

fn text(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Invalid(error.to_string()))
}
