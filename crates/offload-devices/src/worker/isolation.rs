//! A device that some tenants have a worker process of their own for: with its own context of the driver and its own
//! memory, so that a fault of theirs ends that process and nobody else's work, and nobody else's ends theirs.

use super::host::{WorkerHost, WorkerSettings};
use offload_api::ResidentKey;
use offload_core::device::{
    Descriptor, DeviceError, DeviceHost, DeviceJob, DeviceReport, GpuTimings, Health, Isolation, JobLane,
    LanePriority,
};
use offload_core::{Failure, TenantId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A device with a worker for everybody, and places for workers of one tenant each.
pub struct IsolatingHost {
    shared: WorkerHost,
    own: Arc<OwnWorkers>,
}

/// The workers that have one tenant each. A tenant that comes when all places are taken gets that of the tenant whose last
/// job is the longest ago.
struct OwnWorkers {
    selector: String,
    descriptor: Descriptor,
    settings: WorkerSettings,
    places: usize,
    clock: AtomicU64,
    workers: Mutex<HashMap<TenantId, Arc<OwnWorker>>>,
}

struct OwnWorker {
    host: WorkerHost,
    /// Jobs that it has or is about to get.
    jobs: AtomicUsize,
    used_at: AtomicU64,
}

/// A job that is counted at a tenant's worker until this is dropped, however the job ends.
struct AtWork(Arc<OwnWorker>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.jobs.fetch_sub(1, Ordering::AcqRel);
    }
}

impl IsolatingHost {
    /// The device of this name, numbered by the service: the worker for everybody as `shared` says, and at most `places`
    /// at a time of one tenant as `own` says.
    pub fn new(
        selector: String,
        descriptor: Descriptor,
        shared: WorkerSettings,
        own: WorkerSettings,
        places: usize,
    ) -> IsolatingHost {
        let workers = OwnWorkers {
            selector: selector.clone(),
            descriptor: descriptor.clone(),
            settings: own,
            places,
            clock: AtomicU64::new(0),
            workers: Mutex::default(),
        };
        IsolatingHost { shared: WorkerHost::new(selector, descriptor, shared), own: Arc::new(workers) }
    }

    /// The process number of a tenant's own worker, while it has one.
    pub fn pid_of(&self, tenant: &TenantId) -> Option<u32> {
        self.own.lock().get(tenant).and_then(|worker| worker.host.pid())
    }
}

impl OwnWorkers {
    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Arc<OwnWorker>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tenant's worker, with a job counted there.
    fn take(&self, tenant: &TenantId) -> Result<AtWork, DeviceError> {
        let mut workers = self.lock();
        if !workers.contains_key(tenant) {
            if workers.len() >= self.places {
                let idle = workers.iter().filter(|(_, w)| w.jobs.load(Ordering::Acquire) == 0);
                let oldest = idle.min_by_key(|(_, w)| w.used_at.load(Ordering::Relaxed));
                let Some(leaving) = oldest.map(|(tenant, _)| tenant.clone()) else {
                    let why = format!("its {} places for isolated tenants are all at work", self.places);
                    return Err(DeviceError::Call(why));
                };
                if let Some(worker) = workers.remove(&leaving) {
                    // Its lanes may live on in both lanes of the device; its process does not.
                    worker.host.end("its place is another tenant's");
                }
            }
            let host = WorkerHost::new(self.selector.clone(), self.descriptor.clone(), self.settings.clone());
            let worker = OwnWorker { host, jobs: AtomicUsize::new(0), used_at: AtomicU64::new(0) };
            workers.insert(tenant.clone(), Arc::new(worker));
        }
        let worker = Arc::clone(&workers[tenant]);
        // Under the lock: from here on it is not idle.
        worker.jobs.fetch_add(1, Ordering::AcqRel);
        worker.used_at.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Ok(AtWork(worker))
    }
}

impl DeviceHost for IsolatingHost {
    fn descriptor(&self) -> &Descriptor {
        self.shared.descriptor()
    }

    fn open(&self, priority: LanePriority) -> Result<Box<dyn JobLane>, DeviceError> {
        let shared = self.shared.open(priority)?;
        Ok(Box::new(IsolatingLane { shared, priority, workers: Arc::clone(&self.own), own: HashMap::new() }))
    }

    fn health(&self) -> Result<Health, DeviceError> {
        self.shared.health()
    }

    fn holds(&self, tenant: &TenantId, key: ResidentKey) -> bool {
        let own = self.own.lock().get(tenant).map(Arc::clone);
        own.is_some_and(|worker| worker.host.holds(tenant, key)) || self.shared.holds(tenant, key)
    }

    fn restarts(&self) -> u64 {
        self.shared.restarts()
    }
}

struct IsolatingLane {
    shared: Box<dyn JobLane>,
    priority: LanePriority,
    workers: Arc<OwnWorkers>,
    /// Lanes into tenants' own workers, each with the worker it leads to.
    own: HashMap<TenantId, (Arc<OwnWorker>, Box<dyn JobLane>)>,
}

impl IsolatingLane {
    fn run_alone(&mut self, job: DeviceJob) -> DeviceReport {
        let tenant = job.tenant.clone();
        let worker = match self.workers.take(&tenant) {
            Ok(worker) => worker,
            Err(e) => return failed(e),
        };
        let report = self.run_there(&tenant, &worker.0, job);
        drop(worker);
        // Lanes into workers that gave their place up keep nothing that is worth keeping.
        let workers = Arc::clone(&self.workers);
        let present = workers.lock();
        self.own.retain(|tenant, (worker, _)| present.get(tenant).is_some_and(|w| Arc::ptr_eq(w, worker)));
        report
    }

    fn run_there(&mut self, tenant: &TenantId, worker: &Arc<OwnWorker>, job: DeviceJob) -> DeviceReport {
        let open =
            self.own.remove(tenant).filter(|(of, _)| Arc::ptr_eq(of, worker) && of.host.pid().is_some());
        let lane = match open {
            Some((_, lane)) => Ok(lane),
            None => worker.host.health().and_then(|_| worker.host.open(self.priority)),
        };
        let mut lane = match lane {
            Ok(lane) => lane,
            Err(e) => return failed(alone(e)),
        };
        let mut report = lane.run(job);
        match report.result {
            Err(Failure::Fault(e)) if e.is_sticky() => report.result = Err(alone(e).into()),
            other => {
                report.result = other;
                self.own.insert(tenant.clone(), (Arc::clone(worker), lane));
            }
        }
        report
    }
}

/// What ends a tenant's own worker is no fault of the device.
fn alone(e: DeviceError) -> DeviceError {
    if e.is_sticky() { DeviceError::Call(format!("the tenant's own worker ended: {e}")) } else { e }
}

fn failed(e: DeviceError) -> DeviceReport {
    DeviceReport { result: Err(e.into()), timings: GpuTimings::default() }
}

impl JobLane for IsolatingLane {
    fn run(&mut self, job: DeviceJob) -> DeviceReport {
        match job.isolation {
            Isolation::Shared => self.shared.run(job),
            Isolation::Process => self.run_alone(job),
        }
    }
}
