//! Signing keys in SQLite.

use super::DataDir;
use super::database::{Failure, from_column, to_column};
use offload_pipeline::records::{SigningKey, SigningKeys, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

impl SigningKeys for DataDir {
    fn list(&self) -> Result<Vec<SigningKey>, StoreError> {
        self.state.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT kid, private_pkcs8_der, n, e, created_at, not_before, retire_at, expires_at
                 FROM signing_keys ORDER BY sequence DESC",
            )?;
            let mut rows = statement.query([])?;
            let mut keys = Vec::new();
            while let Some(row) = rows.next()? {
                keys.push(signing_key(row)?);
            }
            Ok(keys)
        })
    }

    fn insert(&self, key: &SigningKey) -> Result<(), StoreError> {
        key.check()?;
        self.state.change(|db| insert(db, key))
    }

    fn insert_if_newest(&self, newest: Option<&str>, key: &SigningKey) -> Result<(), StoreError> {
        key.check()?;
        self.state.change(|db| {
            let stored: Option<String> = db
                .prepare_cached("SELECT kid FROM signing_keys ORDER BY sequence DESC LIMIT 1")?
                .query_row([], |row| row.get(0))
                .optional()?;
            if stored.as_deref() != newest {
                return Err(StoreError::Conflict.into());
            }
            insert(db, key)
        })
    }

    fn delete(&self, kid: &str) -> Result<(), StoreError> {
        self.state.change(|db| {
            match db.prepare_cached("DELETE FROM signing_keys WHERE kid = ?1")?.execute([kid])? {
                0 => Err(StoreError::NotFound.into()),
                _ => Ok(()),
            }
        })
    }

    fn delete_expired(&self, now: u64) -> Result<u64, StoreError> {
        self.state.change(|db| {
            let mut statement = db.prepare_cached("DELETE FROM signing_keys WHERE expires_at <= ?1")?;
            Ok(statement.execute([to_column(now)])? as u64)
        })
    }
}

fn insert(db: &Connection, key: &SigningKey) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT INTO signing_keys (kid, private_pkcs8_der, n, e, created_at, not_before, retire_at, expires_at)
         VALUES (:kid, :private_pkcs8_der, :n, :e, :created_at, :not_before, :retire_at, :expires_at)",
    )?
    .execute(named_params! {
        ":kid": key.kid,
        ":private_pkcs8_der": key.private_pkcs8_der,
        ":n": key.n,
        ":e": key.e,
        ":created_at": to_column(key.created_at),
        ":not_before": to_column(key.not_before),
        ":retire_at": to_column(key.retire_at),
        ":expires_at": to_column(key.expires_at),
    })?;
    Ok(())
}

fn signing_key(row: &Row) -> Result<SigningKey, Failure> {
    Ok(SigningKey {
        kid: row.get(0)?,
        private_pkcs8_der: row.get(1)?,
        n: row.get(2)?,
        e: row.get(3)?,
        created_at: from_column(row.get(4)?)?,
        not_before: from_column(row.get(5)?)?,
        retire_at: from_column(row.get(6)?)?,
        expires_at: from_column(row.get(7)?)?,
    })
}
