//! Datasets and their rows in memory.

use super::MemoryStores;
use crate::cursor::{GONE_NAMES_MAX, decode_names, encode_names, page, page_limit};
use offload_api::Column;
use offload_pipeline::records::{Dataset, Datasets, NewColumn, Page, Segments, StoreError};
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{MutexGuard, PoisonError};

type Names = (String, String);

#[derive(Default)]
pub(super) struct Catalogue {
    datasets: BTreeMap<Names, Dataset>,
    /// Last versions of deleted names, oldest first.
    gone: Vec<(Names, u64)>,
    floors: HashMap<String, u64>,
}

/// Columns by the segment's id.
pub(super) type Pieces = BTreeMap<String, Vec<(String, Column)>>;

impl MemoryStores {
    fn catalogue(&self) -> MutexGuard<'_, Catalogue> {
        self.catalogue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pieces(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names(tenant_id: &str, name: &str) -> Names {
    (tenant_id.to_owned(), name.to_owned())
}

impl Datasets for MemoryStores {
    fn create(&self, dataset: &Dataset) -> Result<Dataset, StoreError> {
        dataset.check()?;
        let mut all = self.catalogue();
        let names = names(&dataset.tenant_id, &dataset.name);
        if all.datasets.contains_key(&names) {
            return Err(StoreError::AlreadyExists);
        }
        let floor = all.floors.get(&dataset.tenant_id).copied().unwrap_or(0);
        let last = all.gone.iter().position(|(n, _)| *n == names).map_or(0, |i| all.gone.remove(i).1);
        let stored = Dataset { version: last.max(floor) + 1, ..dataset.clone() };
        all.datasets.insert(names, stored.clone());
        Ok(stored)
    }

    fn get(&self, tenant_id: &str, name: &str) -> Result<Option<Dataset>, StoreError> {
        Ok(self.catalogue().datasets.get(&names(tenant_id, name)).cloned())
    }

    fn list(&self, tenant_id: &str, cursor: Option<&str>, limit: usize) -> Result<Page<Dataset>, StoreError> {
        let limit = page_limit(limit);
        let after = (Bound::Excluded(names(tenant_id, cursor.unwrap_or_default())), Bound::Unbounded);
        let all = self.catalogue();
        let own = all.datasets.range(after).take_while(|((t, _), _)| t == tenant_id);
        let items = own.take(limit + 1).map(|(_, d)| d.clone()).collect();
        Ok(page(items, limit, |d: &Dataset| d.name.clone()))
    }

    fn list_all(&self, cursor: Option<&str>, limit: usize) -> Result<Page<Dataset>, StoreError> {
        let limit = page_limit(limit);
        let (tenant_id, name) = cursor.map(decode_names).transpose()?.unwrap_or_default();
        let after = (Bound::Excluded(names(tenant_id, name)), Bound::Unbounded);
        let items = self.catalogue().datasets.range(after).take(limit + 1).map(|(_, d)| d.clone()).collect();
        Ok(page(items, limit, |d: &Dataset| encode_names(&d.tenant_id, &d.name)))
    }

    fn update(&self, dataset: &Dataset) -> Result<Dataset, StoreError> {
        dataset.check()?;
        let mut all = self.catalogue();
        let names = names(&dataset.tenant_id, &dataset.name);
        let stored = all.datasets.get_mut(&names).ok_or(StoreError::NotFound)?;
        if (&stored.id, stored.version) != (&dataset.id, dataset.version) {
            return Err(StoreError::Conflict);
        }
        *stored = Dataset { version: stored.version + 1, created_at: stored.created_at, ..dataset.clone() };
        Ok(stored.clone())
    }

    fn delete(&self, tenant_id: &str, name: &str, id: &str, version: u64) -> Result<(), StoreError> {
        let mut all = self.catalogue();
        let names = names(tenant_id, name);
        let stored = all.datasets.get(&names).ok_or(StoreError::NotFound)?;
        if (stored.id.as_str(), stored.version) != (id, version) {
            return Err(StoreError::Conflict);
        }
        all.datasets.remove(&names);
        all.gone.push((names, version));
        if all.gone.iter().filter(|((t, _), _)| t == tenant_id).count() > GONE_NAMES_MAX
            && let Some(oldest) = all.gone.iter().position(|((t, _), _)| t == tenant_id)
        {
            let (_, version) = all.gone.remove(oldest);
            let floor = all.floors.entry(tenant_id.to_owned()).or_insert(0);
            *floor = version.max(*floor);
        }
        Ok(())
    }
}

impl Segments for MemoryStores {
    fn write(&self, id: &str, columns: &[NewColumn<'_>]) -> Result<(), StoreError> {
        let rows = crate::segments::rows_of(columns)?;
        let unsound = || StoreError::Invalid("a run names rows that are not there".to_owned());
        let mut kept = Vec::with_capacity(columns.len());
        for c in columns {
            let column = Column::gather(&c.kind, &c.sources, c.runs).ok_or_else(unsound)?;
            debug_assert_eq!(column.rows(), rows);
            kept.push((c.name.to_owned(), column));
        }
        let mut pieces = self.pieces();
        if pieces.contains_key(id) {
            return Err(StoreError::AlreadyExists);
        }
        pieces.insert(id.to_owned(), kept);
        Ok(())
    }

    fn column(&self, id: &str, name: &str) -> Result<Column, StoreError> {
        let pieces = self.pieces();
        let columns = pieces.get(id).ok_or(StoreError::NotFound)?;
        columns.iter().find(|(n, _)| n == name).map(|(_, c)| c.clone()).ok_or(StoreError::NotFound)
    }

    fn remove(&self, id: &str) -> Result<(), StoreError> {
        self.pieces().remove(id);
        Ok(())
    }

    fn sweep(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.pieces().keys().cloned().collect())
    }

    fn in_place(&self) -> bool {
        false
    }
}
