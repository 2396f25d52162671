//! Writing: a segment reaches the disk before the metadata names it, and readers see the version after both.

use super::catalog::{Catalog, Entry};
use super::errors::{absent, beyond, invalid, stored};
use super::rows::{everything, first_met, index, is_key, upserted, without};
use super::version::{Segment, Version};
use crate::records::{Dataset, DatasetColumn, DatasetSegment, NewColumn, StoreError, check_dataset_name};
use offload_api::{ApiError, Column, ErrorCode, Run, nearest};
use serde_json::json;
use std::sync::{Arc, MutexGuard, PoisonError};

/// What a change does with its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Adds them; no key may be there already.
    Append,
    /// Puts each in the place of the row with its key, or adds it.
    Upsert,
    /// Removes the rows with these keys.
    Delete,
}

impl Mode {
    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Mode> {
        match name {
            "append" => Some(Mode::Append),
            "upsert" => Some(Mode::Upsert),
            "delete" => Some(Mode::Delete),
            _ => None,
        }
    }
}

/// A change to a dataset.
#[derive(Debug)]
pub struct Change {
    /// What to do; upsert where the dataset has a key and append otherwise, when absent.
    pub mode: Option<Mode>,
    /// The rows; for a deletion, their keys.
    pub columns: Vec<(String, Column)>,
    /// The version that the change was made for.
    pub version: Option<u64>,
}

/// Where a column stands in a body.
fn pointer(name: &str) -> String {
    format!("/columns/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn lock(entry: &Entry) -> MutexGuard<'_, ()> {
    entry.writing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Refuses a change that was made for another version.
fn expect(version: &Version, asked: Option<u64>) -> Result<(), ApiError> {
    let current = version.record.version;
    match asked {
        Some(asked) if asked != current => Err(ApiError::new(
            ErrorCode::Conflict,
            format!("the dataset is at version {current}, the change was made for version {asked}"),
        )
        .with_details(json!({"asked": asked, "current": current}))),
        _ => Ok(()),
    }
}

/// Where the rows of a new segment come from.
struct Source<'a> {
    /// By column.
    columns: Vec<Vec<Column>>,
    runs: &'a [Run],
}

impl Catalog {
    /// Makes a dataset, or puts these columns in the place of all that one has. `limit` is the tenant's quota in bytes.
    /// Says whether it is new.
    ///
    /// # Errors
    /// `invalid_request` with the pointer, `quota_exceeded`, `conflict` when it is not at `asked`.
    pub fn put(
        &self,
        (tenant, name): (&str, &str),
        columns: &[(String, Column)],
        key: Option<&str>,
        asked: Option<u64>,
        limit: u64,
    ) -> Result<(Arc<Version>, bool), ApiError> {
        check_dataset_name("the dataset's name", name).map_err(|e| stored("a name", &e))?;
        let rows = self.check(columns)?;
        if let Some(key) = key {
            let (at, column) = keyed(columns, key, "/key")?;
            index(column).map_err(|row| twice(&at, row))?;
        }
        let entry = self.entry(tenant, name);
        let outcome = self.put_into(&entry, (tenant, name), columns, (key, rows), asked, limit);
        if outcome.is_err() {
            self.forget(tenant, name, entry);
        }
        outcome
    }

    fn put_into(
        &self,
        entry: &Entry,
        (tenant, name): (&str, &str),
        columns: &[(String, Column)],
        (key, rows): (Option<&str>, usize),
        asked: Option<u64>,
        limit: u64,
    ) -> Result<(Arc<Version>, bool), ApiError> {
        let _writing = lock(entry);
        let before = entry.newest();
        match &before {
            Some(version) => expect(version, asked)?,
            None if asked.is_some() => return Err(absent(name)),
            None => {
                let (count, most) = (self.count(tenant), self.config.max_per_tenant);
                if count >= most {
                    let message = format!("the tenant has {count} datasets, the limit is {most}");
                    let details = json!({"limit": most, "raised_by": "datasets.max_per_tenant"});
                    return Err(ApiError::new(ErrorCode::QuotaExceeded, message).with_details(details));
                }
            }
        }
        let now = (self.config.now)();
        let schema: Vec<DatasetColumn> =
            columns.iter().map(|(n, c)| DatasetColumn::new(n, &c.kind())).collect();
        let runs = [Run { source: 0, rows: 0..rows }];
        let source = Source { columns: columns.iter().map(|(_, c)| vec![c.clone()]).collect(), runs: &runs };
        let record = Dataset {
            tenant_id: tenant.to_owned(),
            name: name.to_owned(),
            id: before.as_ref().map_or_else(self.config.fresh_id, |v| v.record.id.clone()),
            version: before.as_ref().map_or(0, |v| v.record.version),
            key: key.map(str::to_owned),
            columns: schema,
            segments: Vec::new(),
            created_at: before.as_ref().map_or(now, |v| v.record.created_at),
            updated_at: now,
        };
        let made = before.is_none();
        Ok((self.store(entry, record, before.as_deref(), &[], &source, limit)?, made))
    }

    /// Changes rows of a dataset; a deletion that removes nothing leaves the version as it is.
    ///
    /// # Errors
    /// `not_found`, `invalid_request` with the pointer, `quota_exceeded`; `conflict` when the dataset is not at the
    /// change's version, or an appended row has a key that is there.
    pub fn change(
        &self,
        (tenant, name): (&str, &str),
        change: &Change,
        limit: u64,
    ) -> Result<Arc<Version>, ApiError> {
        self.newest(tenant, name)?;
        let entry = self.entry(tenant, name);
        let _writing = lock(&entry);
        let before = entry.newest().ok_or_else(|| absent(name))?;
        expect(&before, change.version)?;
        let default = if before.record.key.is_some() { Mode::Upsert } else { Mode::Append };
        let mode = change.mode.unwrap_or(default);
        let rows = self.check(&change.columns)?;
        let columns = ordered(&before.record, &change.columns, mode)?;
        let key = match (&before.record.key, mode) {
            (Some(key), _) => Some(key.as_str()),
            (None, Mode::Append) => None,
            (None, _) => {
                return Err(invalid("/mode", "the dataset has no key, so rows can only be appended"));
            }
        };
        let Some(key) = key else { return self.append(&entry, &before, &columns, rows, limit) };
        let (at, keys) = keyed(&change.columns, key, "/columns")?;
        let by_key = index(keys).map_err(|row| twice(&at, row))?;
        let place = before.record.columns.iter().position(|c| c.name == key).unwrap_or(0);
        let old = before.pieces(place)?;
        match mode {
            Mode::Append => {
                if let Some((key, row)) = first_met(&old, &by_key) {
                    let message = format!("there is a row with the key {} already", key.shown());
                    return Err(ApiError::new(ErrorCode::Conflict, message)
                        .with_details(json!({"pointer": format!("{at}/{row}")})));
                }
                self.append(&entry, &before, &columns, rows, limit)
            }
            Mode::Upsert => {
                let (runs, replaced) = upserted(&old, keys, &by_key);
                if replaced == 0 {
                    return self.append(&entry, &before, &columns, rows, limit);
                }
                self.rewrite(&entry, &before, Some(&columns), &runs, limit)
            }
            Mode::Delete => {
                let (runs, gone) = without(&old, &by_key);
                if gone == 0 {
                    return Ok(before);
                }
                self.rewrite(&entry, &before, None, &runs, limit)
            }
        }
    }

    /// Adds rows as a segment of their own, or puts all segments together when they would be too many.
    fn append(
        &self,
        entry: &Entry,
        before: &Arc<Version>,
        columns: &[&Column],
        rows: usize,
        limit: u64,
    ) -> Result<Arc<Version>, ApiError> {
        if rows == 0 {
            return Ok(Arc::clone(before));
        }
        let total = before.record.rows().saturating_add(rows as u64);
        if total > self.config.max_rows {
            return Err(beyond("/columns", "rows", total, self.config.max_rows, "datasets.max_rows"));
        }
        if before.segments.len() >= self.config.max_segments {
            let mut runs = everything(&before.pieces(0)?);
            runs.push(Run { source: before.segments.len(), rows: 0..rows });
            return self.rewrite(entry, before, Some(columns), &runs, limit);
        }
        let runs = [Run { source: 0, rows: 0..rows }];
        let source = Source { columns: columns.iter().map(|c| vec![(*c).clone()]).collect(), runs: &runs };
        let record = Dataset { updated_at: (self.config.now)(), ..before.record.clone() };
        self.store(entry, record, Some(before), &before.segments, &source, limit)
    }

    /// Writes the dataset anew as one segment: these rows of the segments there are and, behind them, of `columns`.
    fn rewrite(
        &self,
        entry: &Entry,
        before: &Arc<Version>,
        columns: Option<&[&Column]>,
        runs: &[Run],
        limit: u64,
    ) -> Result<Arc<Version>, ApiError> {
        let total: u64 = runs.iter().map(|r| r.rows.len() as u64).sum();
        if total > self.config.max_rows {
            return Err(beyond("/columns", "rows", total, self.config.max_rows, "datasets.max_rows"));
        }
        let mut sources = Vec::with_capacity(before.record.columns.len());
        for i in 0..before.record.columns.len() {
            let mut pieces = before.pieces(i)?;
            pieces.extend(columns.map(|c| c[i].clone()));
            sources.push(pieces);
        }
        let source = Source { columns: sources, runs };
        let record = Dataset { updated_at: (self.config.now)(), ..before.record.clone() };
        self.store(entry, record, Some(before), &[], &source, limit)
    }

    /// Writes a segment, then the record that names it behind `kept`, then shows the version to readers.
    fn store(
        &self,
        entry: &Entry,
        mut record: Dataset,
        before: Option<&Version>,
        kept: &[Arc<Segment>],
        source: &Source<'_>,
        limit: u64,
    ) -> Result<Arc<Version>, ApiError> {
        let schema = record.columns.clone();
        let new: Vec<NewColumn<'_>> = schema
            .iter()
            .zip(&source.columns)
            .map(|(c, sources)| NewColumn {
                name: &c.name,
                kind: c.kind(),
                sources: sources.clone(),
                runs: source.runs,
            })
            .collect();
        let bytes = new.iter().fold(0, |n: u64, c| n.saturating_add(c.bytes()));
        let rows = new.first().map_or(0, |c| c.rows() as u64);
        let share = self.usage.reserve(&record.tenant_id, bytes, limit)?;
        let about = DatasetSegment { id: (self.config.fresh_id)(), rows, bytes };
        let what = format!("dataset {}/{}", record.tenant_id, record.name);
        self.stores.segments().write(&about.id, &new).map_err(|e| stored(&what, &e))?;
        drop(new);
        record.segments = kept.iter().map(|s| s.about.clone()).collect();
        record.segments.push(about.clone());
        let datasets = self.stores.datasets();
        let outcome = match before {
            None => datasets.create(&record),
            Some(_) => datasets.update(&record),
        };
        let record = match outcome {
            Ok(record) => record,
            Err(e) => self.after_failure(&record, &about.id, e).map_err(|e| stored(&what, &e))?,
        };
        let mut segments = kept.to_vec();
        segments.push(Segment::new(about, self.remove.clone(), share));
        let version = self.version(record, &segments);
        entry.replace(Some(Arc::clone(&version)));
        Ok(version)
    }

    /// A store that failed may have done it all the same. When it says that it has not, the segment goes; when it says
    /// nothing, the segment stays until the next start, because the record may name it.
    fn after_failure(&self, record: &Dataset, segment: &str, e: StoreError) -> Result<Dataset, StoreError> {
        match self.stores.datasets().get(&record.tenant_id, &record.name) {
            Ok(Some(found)) if found.segments.iter().any(|s| s.id == segment) => Ok(found),
            Ok(_) => {
                if let Err(e) = self.stores.segments().remove(segment) {
                    tracing::warn!(error = %e, segment, "a segment stays behind until the next start");
                }
                Err(e)
            }
            Err(_) => Err(e),
        }
    }

    /// Deletes a dataset; jobs that read it end as if it were there.
    ///
    /// # Errors
    /// `not_found`; `conflict` when it is not at `asked`.
    pub fn delete(&self, tenant: &str, name: &str, asked: Option<u64>) -> Result<(), ApiError> {
        self.newest(tenant, name)?;
        let entry = self.entry(tenant, name);
        {
            let _writing = lock(&entry);
            let version = entry.newest().ok_or_else(|| absent(name))?;
            expect(&version, asked)?;
            let record = &version.record;
            let datasets = self.stores.datasets();
            match datasets.delete(tenant, name, &record.id, record.version) {
                Ok(()) | Err(StoreError::NotFound) => {}
                Err(e) => return Err(stored(&format!("dataset {tenant}/{name}"), &e)),
            }
            entry.replace(None);
        }
        self.forget(tenant, name, entry);
        Ok(())
    }

    /// Refuses columns that no dataset can have; gives their number of rows.
    fn check(&self, columns: &[(String, Column)]) -> Result<usize, ApiError> {
        let Some((first, column)) = columns.first() else {
            return Err(invalid("/columns", "there is no column"));
        };
        let (count, most) = (columns.len() as u64, self.config.max_columns as u64);
        if count > most {
            return Err(beyond("/columns", "columns", count, most, "datasets.max_columns"));
        }
        let rows = column.rows();
        for (i, (name, column)) in columns.iter().enumerate() {
            let at = pointer(name);
            check_dataset_name("a column's name", name).map_err(|e| match e {
                StoreError::Invalid(text) => invalid(at.as_str(), text),
                e => stored("a name", &e),
            })?;
            if columns[..i].iter().any(|(n, _)| n == name) {
                return Err(invalid(at, format!("the column {name} is there twice")));
            }
            if column.rows() != rows {
                let message = format!("column {name} has {} rows, column {first} has {rows}", column.rows());
                return Err(invalid(at, message));
            }
            if let Column::Tensor(t) = column
                && t.shape().is_empty()
            {
                return Err(invalid(at, "a column has a value per row"));
            }
        }
        if rows as u64 > self.config.max_rows {
            return Err(beyond("/columns", "rows", rows as u64, self.config.max_rows, "datasets.max_rows"));
        }
        Ok(rows)
    }
}

/// The column that names the rows, and where it stands.
fn keyed<'a>(
    columns: &'a [(String, Column)],
    key: &str,
    asked_at: &str,
) -> Result<(String, &'a Column), ApiError> {
    let Some((_, column)) = columns.iter().find(|(n, _)| n == key) else {
        let hint = nearest(key, columns.iter().map(|(n, _)| n.as_str()))
            .map(|n| format!("; did you mean {n}?"))
            .unwrap_or_default();
        let shown: String = key.chars().take(128).collect();
        return Err(invalid(asked_at, format!("the key column {shown} is not there{hint}")));
    };
    if !is_key(column) {
        let message = format!("a key is a column of integers or texts, {key} has {}", column.kind());
        return Err(invalid(asked_at, message));
    }
    Ok((pointer(key), column))
}

fn twice(at: &str, row: usize) -> ApiError {
    invalid(format!("{at}/{row}"), "the key is there twice in the body")
}

/// The body's columns in the dataset's order; for a deletion there is only the key's.
fn ordered<'a>(
    record: &Dataset,
    columns: &'a [(String, Column)],
    mode: Mode,
) -> Result<Vec<&'a Column>, ApiError> {
    let names = || record.columns.iter().map(|c| c.name.as_str());
    for (name, column) in columns {
        let at = pointer(name);
        let Some(own) = record.columns.iter().find(|c| c.name == *name) else {
            let hint = nearest(name, names()).map(|n| format!("; did you mean {n}?")).unwrap_or_default();
            return Err(invalid(at, format!("the dataset has no column {name}{hint}")));
        };
        // Without rows a nested array has no extents, and says nothing about them.
        if own.kind() != column.kind() && column.rows() > 0 {
            let message = format!("column {name} is {}, the rows are {}", own.kind(), column.kind());
            return Err(invalid(at, message));
        }
        if mode == Mode::Delete && record.key.as_deref() != Some(name) {
            return Err(invalid(at, "a deletion takes the key column alone"));
        }
    }
    if mode == Mode::Delete {
        return Ok(Vec::new());
    }
    names()
        .map(|n| {
            let found = columns.iter().find(|(c, _)| c == n).map(|(_, c)| c);
            found.ok_or_else(|| invalid("/columns", format!("the column {n} is missing")))
        })
        .collect()
}
