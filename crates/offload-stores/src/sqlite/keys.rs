//! API keys in SQLite.

use super::DataDir;
use super::database::{Failure, from_column, to_column};
use crate::cursor::{decode, encode, page, page_limit};
use offload_pipeline::records::{ApiKey, Keys, Page, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

const SELECT: &str = "SELECT key_id, tenant_id, user_id, name, scopes, hash, last_four, created_at, expires_at, \
                      revoked_at, revision FROM keys";

impl Keys for DataDir {
    fn create(&self, key: &ApiKey) -> Result<ApiKey, StoreError> {
        key.check()?;
        let key = ApiKey { revision: 1, ..key.clone() };
        let scopes =
            serde_json::to_string(&key.scopes).map_err(|error| StoreError::Invalid(error.to_string()))?;
        self.state.change(|db| {
            db.prepare_cached(
                "INSERT INTO keys (key_id, tenant_id, user_id, name, scopes, hash, last_four, created_at,
                                   expires_at, revoked_at, revision)
                 VALUES (:key_id, :tenant_id, :user_id, :name, :scopes, :hash, :last_four, :created_at,
                         :expires_at, :revoked_at, 1)",
            )?
            .execute(named_params! {
                ":key_id": key.key_id,
                ":tenant_id": key.tenant_id,
                ":user_id": key.user_id,
                ":name": key.name,
                ":scopes": scopes,
                ":hash": key.hash,
                ":last_four": key.last_four,
                ":created_at": to_column(key.created_at),
                ":expires_at": key.expires_at.map(to_column),
                ":revoked_at": key.revoked_at.map(to_column),
            })?;
            Ok(())
        })?;
        Ok(key)
    }

    fn by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        let found = self.state.read(|db| find(db, "hash = ?1", hash))?;
        // The index compares until the first difference, which tells an attacker something about a hash that he
        // cannot choose; the decision itself is made in constant time.
        Ok(found.filter(|key| key.has_hash(hash)))
    }

    fn get(&self, key_id: &str) -> Result<Option<ApiKey>, StoreError> {
        self.state.read(|db| find(db, "key_id = ?1", key_id))
    }

    fn list(&self, tenant_id: &str, cursor: Option<&str>, limit: usize) -> Result<Page<ApiKey>, StoreError> {
        let limit = page_limit(limit);
        // Every key is after the empty id at time 0.
        let (created_at, key_id) = cursor.map(decode).transpose()?.unwrap_or((0, ""));
        let items = self.state.read(|db| {
            let mut statement = db.prepare_cached(&format!(
                "{SELECT} WHERE tenant_id = ?1 AND (created_at, key_id) > (?2, ?3)
                 ORDER BY created_at, key_id LIMIT ?4"
            ))?;
            let mut rows =
                statement.query((tenant_id, to_column(created_at), key_id, to_column(limit as u64 + 1)))?;
            let mut items = Vec::new();
            while let Some(row) = rows.next()? {
                items.push(api_key(row)?);
            }
            Ok(items)
        })?;
        Ok(page(items, limit, |key| encode(key.created_at, &key.key_id)))
    }

    fn revoke(&self, key_id: &str, at: u64) -> Result<ApiKey, StoreError> {
        self.state.change(|db| {
            db.prepare_cached(
                "UPDATE keys SET revoked_at = ?2, revision = revision + 1
                 WHERE key_id = ?1 AND (revoked_at IS NULL OR revoked_at > ?2)",
            )?
            .execute((key_id, to_column(at)))?;
            Ok(find(db, "key_id = ?1", key_id)?.ok_or(StoreError::NotFound)?)
        })
    }
}

fn find(db: &Connection, which: &str, value: impl rusqlite::ToSql) -> Result<Option<ApiKey>, Failure> {
    let mut statement = db.prepare_cached(&format!("{SELECT} WHERE {which}"))?;
    statement.query_row([value], |row| Ok(api_key(row))).optional()?.transpose()
}

fn api_key(row: &Row) -> Result<ApiKey, Failure> {
    let scopes: String = row.get(4)?;
    let time = |column| -> Result<Option<u64>, Failure> {
        row.get::<_, Option<i64>>(column)?.map(from_column).transpose()
    };
    Ok(ApiKey {
        key_id: row.get(0)?,
        tenant_id: row.get(1)?,
        user_id: row.get(2)?,
        name: row.get(3)?,
        scopes: serde_json::from_str(&scopes)
            .map_err(|error| StoreError::Corrupt(format!("a key's scopes: {error}")))?,
        hash: row.get(5)?,
        last_four: row.get(6)?,
        created_at: from_column(row.get(7)?)?,
        expires_at: time(8)?,
        revoked_at: time(9)?,
        revision: from_column(row.get(10)?)?,
    })
}
