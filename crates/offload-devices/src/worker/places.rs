//! Who has which place for a worker of its own. A place is a share of a device's memory, or a slice of a card.

use super::host::{WorkerHost, WorkerSettings};
use offload_core::TenantId;
use offload_core::device::{Descriptor, DeviceError, Slice};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a worker that has to go may take to end before the job that waits for its place goes elsewhere.
const HANDOVER: Duration = Duration::from_secs(5);

/// Where a worker of one tenant may be.
pub(super) struct Place {
    selector: String,
    descriptor: Descriptor,
    settings: WorkerSettings,
    /// The slice that it is, where it is one.
    slice: Option<Slice>,
    /// Of places with the same part one is used at a time.
    part: u32,
    /// Bytes that a job may need there: an estimate, until a worker there has said what it has.
    holds_bytes: AtomicU64,
}

impl Place {
    /// One of the shares of a device.
    pub(super) fn share(
        selector: &str,
        descriptor: &Descriptor,
        settings: &WorkerSettings,
        number: u32,
    ) -> Place {
        Place {
            selector: selector.to_owned(),
            descriptor: descriptor.clone(),
            settings: settings.clone(),
            slice: None,
            part: number,
            holds_bytes: AtomicU64::new(u64::MAX),
        }
    }

    /// A slice of a card, for jobs of so many bytes.
    pub(super) fn slice(
        selector: &str,
        card: &Descriptor,
        settings: WorkerSettings,
        slice: Slice,
        holds_bytes: u64,
    ) -> Place {
        let (uuid, memory_bytes, units) = (Some(slice.uuid.clone()), slice.memory_bytes, slice.units);
        Place {
            selector: selector.to_owned(),
            descriptor: Descriptor { uuid, memory_bytes, units, ..card.clone() },
            settings,
            part: slice.part,
            slice: Some(slice),
            holds_bytes: AtomicU64::new(holds_bytes),
        }
    }

    fn holds_bytes(&self) -> u64 {
        self.holds_bytes.load(Ordering::Relaxed)
    }
}

/// A tenant's own worker.
pub(super) struct OwnWorker {
    pub(super) host: WorkerHost,
    place: Arc<Place>,
    /// Jobs that it has or is about to get.
    jobs: AtomicUsize,
    used_at: AtomicU64,
}

impl OwnWorker {
    fn at(place: Arc<Place>) -> OwnWorker {
        let host = WorkerHost::new(place.selector.clone(), place.descriptor.clone(), place.settings.clone());
        OwnWorker { host, place, jobs: AtomicUsize::new(0), used_at: AtomicU64::new(0) }
    }

    /// Whether it holds a job of so many bytes.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn holds(&self, bytes: u64) -> Result<(), DeviceError> {
        if let Some(bytes) = self.host.opened_bytes() {
            self.place.holds_bytes.store(bytes, Ordering::Relaxed);
        }
        let holds = self.place.holds_bytes();
        if bytes <= holds {
            return Ok(());
        }
        let whose = if self.place.slice.is_some() { "the tenant's slice" } else { "the tenant's own worker" };
        let device = self.place.descriptor.id;
        Err(DeviceError::Unsupported(format!(
            "needs {bytes} device bytes, {whose} of device {device} has {holds}"
        )))
    }

    fn is_idle(&self) -> bool {
        self.jobs.load(Ordering::Acquire) == 0
    }
}

/// A job that is counted at a tenant's worker until this is dropped, however the job ends.
pub(super) struct AtWork(pub(super) Arc<OwnWorker>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.jobs.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Looks which places there are now.
pub(super) type Look = Box<dyn Fn() -> Result<Vec<Place>, String> + Send + Sync>;

/// The places of a device. A tenant gets the smallest that holds its first job, and keeps it until another comes when all
/// are taken: that gets the place of the tenant whose last job is the longest ago.
pub(super) struct Places {
    /// What they are, in words: `slices for tenants of device 0`.
    what: String,
    look: Option<Look>,
    /// A worker did not start, so the places may have changed.
    stale: AtomicBool,
    clock: AtomicU64,
    state: Mutex<State>,
}

struct State {
    places: Vec<Arc<Place>>,
    workers: HashMap<TenantId, Arc<OwnWorker>>,
    /// Workers that had to go, until their processes have ended.
    leaving: Vec<Arc<OwnWorker>>,
}

/// What there is for a job of a tenant that has no place.
enum Found {
    Free(Arc<Place>),
    /// A place that is free once this worker has ended.
    Leaving(Arc<OwnWorker>),
    /// The place of a tenant that has no job there.
    Idle(TenantId, Arc<OwnWorker>),
}

/// When a job is to run.
enum Turn {
    Now(AtWork),
    /// Once this worker has ended.
    After(Arc<OwnWorker>),
}

impl Places {
    /// These places. With a `look` they are looked for again after a worker did not start.
    pub(super) fn new(places: Vec<Place>, what: String, look: Option<Look>) -> Places {
        let places = places.into_iter().map(Arc::new).collect();
        Places {
            what,
            look,
            stale: AtomicBool::new(false),
            clock: AtomicU64::new(0),
            state: Mutex::new(State { places, workers: HashMap::new(), leaving: Vec::new() }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is complete between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tenant's worker, while it has one.
    pub(super) fn worker(&self, tenant: &TenantId) -> Option<Arc<OwnWorker>> {
        self.lock().workers.get(tenant).map(Arc::clone)
    }

    /// Whether that is the tenant's worker now.
    pub(super) fn has(&self, tenant: &TenantId, worker: &Arc<OwnWorker>) -> bool {
        self.worker(tenant).is_some_and(|w| Arc::ptr_eq(&w, worker))
    }

    /// Those of the places that are slices: each with the worker that has it, and whether its part is taken.
    pub(super) fn slices(&self) -> Vec<(Slice, Option<Arc<OwnWorker>>, bool)> {
        let state = self.lock();
        let view = |place: &Arc<Place>| {
            let worker = state.workers.values().find(|w| Arc::ptr_eq(&w.place, place));
            Some((place.slice.clone()?, worker.map(Arc::clone), state.taken(place.part)))
        };
        state.places.iter().filter_map(view).collect()
    }

    /// Why a job of so many bytes would get no place; `None` when it would.
    pub(super) fn declines(&self, tenant: &TenantId, bytes: u64) -> Option<DeviceError> {
        // What was seen last counts for nothing then.
        if self.stale.load(Ordering::Relaxed) {
            return None;
        }
        let state = self.lock();
        match state.workers.get(tenant) {
            Some(worker) => worker.holds(bytes).err(),
            None => self.find(&state, bytes).err(),
        }
    }

    /// A worker did not start.
    pub(super) fn doubt(&self) {
        self.stale.store(self.look.is_some(), Ordering::Relaxed);
    }

    /// A tenant's worker for a job of so many bytes, which is counted there.
    ///
    /// # Errors
    /// [`DeviceError::NoPlace`] when all places are at work, [`DeviceError::Unsupported`] when none is large enough.
    pub(super) fn take(&self, tenant: &TenantId, bytes: u64) -> Result<AtWork, DeviceError> {
        self.look_again();
        let until = Instant::now() + HANDOVER;
        loop {
            match self.turn(tenant, bytes)? {
                Turn::Now(at_work) => return Ok(at_work),
                // Nobody is on a place while the one before may still be there.
                Turn::After(leaving) if leaving.host.await_end(until) => {}
                Turn::After(_) => {
                    return Err(DeviceError::NoPlace(format!("one of the {} is not free yet", self.what)));
                }
            }
        }
    }

    fn turn(&self, tenant: &TenantId, bytes: u64) -> Result<Turn, DeviceError> {
        let mut state = self.lock();
        state.leaving.retain(|w| !w.host.has_ended());
        let present = state.workers.get(tenant).map(Arc::clone);
        let worker = match present {
            Some(worker) => worker,
            None => match self.find(&state, bytes)? {
                Found::Free(place) => {
                    if let Some(slice) = &place.slice {
                        tracing::info!(device = place.descriptor.id, %tenant, slice = slice.uuid, "a tenant gets a slice");
                    }
                    let worker = Arc::new(OwnWorker::at(place));
                    state.workers.insert(tenant.clone(), Arc::clone(&worker));
                    worker
                }
                Found::Leaving(worker) => return Ok(Turn::After(worker)),
                Found::Idle(other, worker) => {
                    state.dismiss(&other, &worker, "its place is another tenant's");
                    return Ok(Turn::After(worker));
                }
            },
        };
        worker.holds(bytes)?;
        // Under the lock: from here on it is not idle.
        worker.jobs.fetch_add(1, Ordering::AcqRel);
        worker.used_at.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Ok(Turn::Now(AtWork(worker)))
    }

    /// The smallest place that holds so many bytes and can be had.
    fn find(&self, state: &State, bytes: u64) -> Result<Found, DeviceError> {
        let mut large: Vec<_> = state.places.iter().filter(|p| p.holds_bytes() >= bytes).collect();
        if large.is_empty() {
            let most = state.places.iter().map(|p| p.holds_bytes()).max();
            return Err(DeviceError::Unsupported(match most {
                Some(most) => {
                    format!("needs {bytes} device bytes, the largest of the {} has {most}", self.what)
                }
                None => format!("there are no {}", self.what),
            }));
        }
        large.sort_by_key(|p| (p.holds_bytes(), p.descriptor.units));
        if let Some(place) = large.iter().find(|p| !state.taken(p.part)) {
            return Ok(Found::Free(Arc::clone(place)));
        }
        let of_large = |w: &&Arc<OwnWorker>| large.iter().any(|p| p.part == w.place.part);
        if let Some(worker) = state.leaving.iter().find(of_large) {
            return Ok(Found::Leaving(Arc::clone(worker)));
        }
        let idle = state.workers.iter().filter(|(_, w)| w.is_idle() && of_large(w));
        match idle.min_by_key(|(_, w)| w.used_at.load(Ordering::Relaxed)) {
            Some((tenant, worker)) => Ok(Found::Idle(tenant.clone(), Arc::clone(worker))),
            None => {
                let count = large.len();
                let why = format!("the {count} {} that hold {bytes} bytes are all at work", self.what);
                Err(DeviceError::NoPlace(why))
            }
        }
    }

    /// Looks which places there are, where a worker did not start since the last look. A tenant whose place is gone loses it.
    fn look_again(&self) {
        let Some(look) = self.look.as_ref().filter(|_| self.stale.swap(false, Ordering::Relaxed)) else {
            return;
        };
        let seen = match look() {
            Ok(seen) => seen,
            Err(reason) => {
                tracing::warn!(
                    what = self.what,
                    reason,
                    "the places are not to be seen; those before are tried again"
                );
                return;
            }
        };
        let mut state = self.lock();
        let same = |new: Place| {
            // A worker's place is told by its address.
            let before = state.places.iter().find(|p| p.slice == new.slice);
            before.map_or_else(|| Arc::new(new), Arc::clone)
        };
        let places: Vec<_> = seen.into_iter().map(same).collect();
        state.places = places;
        let gone = |w: &OwnWorker| w.is_idle() && !state.places.iter().any(|p| Arc::ptr_eq(p, &w.place));
        let homeless = state.workers.iter().filter(|(_, w)| gone(w));
        let homeless: Vec<_> = homeless.map(|(tenant, w)| (tenant.clone(), Arc::clone(w))).collect();
        for (tenant, worker) in homeless {
            state.dismiss(&tenant, &worker, "its place is gone");
        }
    }
}

impl State {
    /// Whether a worker is there, or may still be.
    fn taken(&self, part: u32) -> bool {
        self.workers.values().chain(&self.leaving).any(|w| w.place.part == part)
    }

    /// Ends a tenant's worker.
    fn dismiss(&mut self, tenant: &TenantId, worker: &Arc<OwnWorker>, why: &str) {
        self.workers.remove(tenant);
        // Its lanes may live on in both lanes of the device; its process does not.
        worker.host.end(why);
        self.leaving.push(Arc::clone(worker));
    }
}
