//! All datasets of this process: their newest versions, and the older ones that are still read.

use super::errors::{absent, stored};
use super::residency::Residency;
use super::usage::Usage;
use super::version::{Segment, Version};
use crate::records::{Dataset, Page, StoreError, Stores};
use offload_api::{ApiError, DatasetRef, ErrorCode};
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

/// Limits of datasets, and where ids and the time come from.
#[derive(Clone, Debug)]
pub struct CatalogConfig {
    /// Bytes of columns that are kept in memory or mapped.
    pub memory_bytes: u64,
    /// Columns of a dataset.
    pub max_columns: usize,
    /// Rows of a dataset.
    pub max_rows: u64,
    /// Segments of a dataset; a write that would make more puts them together.
    pub max_segments: usize,
    /// Datasets of a tenant.
    pub max_per_tenant: usize,
    /// 32 random hexadecimal digits.
    pub fresh_id: fn() -> String,
    /// Unix seconds.
    pub now: fn() -> u64,
}

/// Figures of all datasets together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CatalogStats {
    /// How many datasets there are.
    pub datasets: u64,
    /// Rows of their newest versions.
    pub rows: u64,
    /// Bytes of their newest versions.
    pub bytes: u64,
    /// Bytes of columns in memory.
    pub memory_bytes: u64,
    /// Bytes of columns that are mapped.
    pub mapped_bytes: u64,
}

/// A name of a tenant.
#[derive(Default)]
pub(super) struct Entry {
    /// Held by whoever writes: writes of one dataset come one after the other.
    pub(super) writing: Mutex<()>,
    state: RwLock<Versions>,
}

#[derive(Default)]
struct Versions {
    newest: Option<Arc<Version>>,
    old: Vec<Weak<Version>>,
}

impl Entry {
    pub(super) fn newest(&self) -> Option<Arc<Version>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).newest.clone()
    }

    /// Puts a version, or nothing, in the newest's place.
    pub(super) fn replace(&self, next: Option<Arc<Version>>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut state.newest, next.clone());
        state.old.retain(|v| v.strong_count() > 0);
        if let Some(old) = &old {
            state.old.push(Arc::downgrade(old));
            let kept: HashSet<&str> =
                next.iter().flat_map(|v| &v.segments).map(|s| s.about.id.as_str()).collect();
            old.segments.iter().filter(|s| !kept.contains(s.about.id.as_str())).for_each(|s| s.doom());
        }
        drop(state);
        // Perhaps its last reader was this.
        drop(old);
    }

    fn of_version(&self, asked: u64) -> Option<Arc<Version>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let old = state.old.iter().filter_map(Weak::upgrade);
        state.newest.iter().cloned().chain(old).find(|v| v.record.version == asked)
    }
}

type Entries = BTreeMap<String, BTreeMap<String, Arc<Entry>>>;

/// The datasets.
pub struct Catalog {
    pub(super) config: CatalogConfig,
    pub(super) stores: Arc<dyn Stores>,
    entries: RwLock<Entries>,
    pub(super) usage: Arc<Usage>,
    pub(super) residency: Arc<Residency>,
    pub(super) remove: Sender<String>,
}

impl Catalog {
    /// Reads what datasets there are, and removes segments that none has.
    ///
    /// # Errors
    /// When the store does not answer or the system gives no thread.
    pub fn open(config: CatalogConfig, stores: Arc<dyn Stores>) -> Result<Arc<Catalog>, StoreError> {
        let (remove, doomed) = channel::<String>();
        let files = Arc::clone(&stores);
        std::thread::Builder::new()
            .name("datasets-remove".into())
            .spawn(move || {
                while let Ok(id) = doomed.recv() {
                    if let Err(e) = files.segments().remove(&id) {
                        tracing::warn!(error = %e, segment = id, "a segment stays behind until the next start");
                    }
                }
            })
            .map_err(|e| StoreError::Io(format!("no thread: {e}")))?;
        let catalog = Catalog {
            residency: Residency::new(config.memory_bytes),
            config,
            stores,
            entries: RwLock::default(),
            usage: Arc::default(),
            remove,
        };
        let mut named = HashSet::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = catalog.stores.datasets().list_all(cursor.as_deref(), usize::MAX)?;
            for record in page.items {
                named.extend(record.segments.iter().map(|s| s.id.clone()));
                let entry = catalog.entry(&record.tenant_id, &record.name);
                entry.replace(Some(catalog.version(record, &[])));
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        for id in catalog.stores.segments().sweep()?.iter().filter(|id| !named.contains(*id)) {
            tracing::info!(segment = id, "an interrupted write left a segment; it is removed");
            catalog.stores.segments().remove(id)?;
        }
        Ok(Arc::new(catalog))
    }

    /// The version of a record, with the segments that it shares with an earlier one.
    pub(super) fn version(&self, record: Dataset, shared: &[Arc<Segment>]) -> Arc<Version> {
        let segment = |about: &crate::records::DatasetSegment| {
            shared.iter().find(|s| s.about.id == about.id).cloned().unwrap_or_else(|| {
                let share = self.usage.hold(&record.tenant_id, about.bytes);
                Segment::new(about.clone(), self.remove.clone(), share)
            })
        };
        let segments = record.segments.iter().map(segment).collect();
        Version::new(record, segments, Arc::clone(&self.stores), Arc::clone(&self.residency))
    }

    /// The entry of a name, made when it is not there.
    pub(super) fn entry(&self, tenant: &str, name: &str) -> Arc<Entry> {
        let mut all = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(tenant.to_owned()).or_default().entry(name.to_owned()).or_default())
    }

    /// Forgets a name that has no dataset, unless someone is about to write one.
    pub(super) fn forget(&self, tenant: &str, name: &str, entry: Arc<Entry>) {
        let mut all = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        // Entries are handed out under this lock alone: the map's and this one are two.
        if entry.newest().is_none()
            && Arc::strong_count(&entry) <= 2
            && let Some(own) = all.get_mut(tenant)
        {
            own.remove(name);
            if own.is_empty() {
                all.remove(tenant);
            }
        }
    }

    fn found(&self, tenant: &str, name: &str) -> Option<Arc<Entry>> {
        let all = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        all.get(tenant)?.get(name).cloned()
    }

    /// How many datasets a tenant has.
    pub(super) fn count(&self, tenant: &str) -> usize {
        let all = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        all.get(tenant).map_or(0, |own| own.values().filter(|e| e.newest().is_some()).count())
    }

    /// The newest version of a tenant's dataset.
    ///
    /// # Errors
    /// `not_found`, the same for one that is not there and one of another tenant.
    pub fn newest(&self, tenant: &str, name: &str) -> Result<Arc<Version>, ApiError> {
        self.found(tenant, name).and_then(|e| e.newest()).ok_or_else(|| absent(name))
    }

    /// A version of a tenant's dataset, the newest when none is named.
    ///
    /// # Errors
    /// `not_found`; `stale_version` when the version is not the newest and nothing reads it any more.
    pub fn at(&self, tenant: &str, name: &str, version: Option<u64>) -> Result<Arc<Version>, ApiError> {
        let entry = self.found(tenant, name).ok_or_else(|| absent(name))?;
        let newest = entry.newest().ok_or_else(|| absent(name))?;
        let Some(asked) = version else { return Ok(newest) };
        entry.of_version(asked).ok_or_else(|| {
            let current = newest.record.version;
            ApiError::new(
                ErrorCode::StaleVersion,
                format!("dataset {name} is at version {current}, version {asked} is not there"),
            )
            .with_details(json!({"dataset": name, "asked": asked, "current": current}))
        })
    }

    /// A tenant's datasets in the order of their names.
    ///
    /// # Errors
    /// The store's.
    pub fn list(
        &self,
        tenant: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Arc<Version>>, ApiError> {
        let page = self.stores.datasets().list(tenant, cursor, limit).map_err(|e| stored("a listing", &e))?;
        // What was deleted since the store was asked is left out.
        let items = page.items.iter().filter_map(|d| self.newest(tenant, &d.name).ok()).collect();
        Ok(Page { items, next: page.next })
    }

    /// Whether all these can be had without waiting for the disk.
    pub fn at_once<'a>(&self, tenant: &str, references: impl IntoIterator<Item = &'a DatasetRef>) -> bool {
        references.into_iter().all(|r| match self.at(tenant, &r.dataset, r.version) {
            Ok(version) => version.at_once(r),
            // A refusal takes no time.
            Err(_) => true,
        })
    }

    /// Bytes of a tenant's living versions.
    pub fn used_bytes(&self, tenant: &str) -> u64 {
        self.usage.of(tenant)
    }

    /// The tenants that have datasets.
    pub fn tenants(&self) -> Vec<String> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Deletes all datasets of a tenant that is gone.
    ///
    /// # Errors
    /// The store's.
    pub fn delete_all(&self, tenant: &str) -> Result<(), ApiError> {
        loop {
            let page = self.stores.datasets().list(tenant, None, usize::MAX);
            let page = page.map_err(|e| stored("a tenant's end", &e))?;
            for dataset in &page.items {
                match self.delete(tenant, &dataset.name, None) {
                    Err(e) if e.error != ErrorCode::NotFound => return Err(e),
                    _ => {}
                }
            }
            if page.next.is_none() {
                return Ok(());
            }
        }
    }

    /// Figures of now.
    pub fn stats(&self) -> CatalogStats {
        let (memory_bytes, mapped_bytes) = self.residency.bytes();
        let mut stats = CatalogStats { memory_bytes, mapped_bytes, ..CatalogStats::default() };
        let all = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        for version in all.values().flat_map(BTreeMap::values).filter_map(|e| e.newest()) {
            stats.datasets += 1;
            stats.rows = stats.rows.saturating_add(version.record.rows());
            stats.bytes = stats.bytes.saturating_add(version.record.bytes());
        }
        stats
    }
}
