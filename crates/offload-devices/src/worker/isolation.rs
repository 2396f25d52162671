//! A device that some tenants have a worker process of their own for: with its own context of the driver and its own
//! memory, so that a fault of theirs ends that process and nobody else's work, and nobody else's ends theirs; or in a slice of
//! the card that nobody else uses.

use super::host::{WorkerHost, WorkerSettings};
use super::places::{OwnWorker, Place, Places};
use offload_api::ResidentKey;
use offload_core::device::{
    Descriptor, DeviceError, DeviceHost, DeviceJob, DeviceReport, GpuTimings, Health, Isolation, JobLane,
    LanePriority, Slice, SliceUse, SliceView,
};
use offload_core::{Failure, TenantId};
use std::collections::HashMap;
use std::sync::Arc;

/// A device with a worker for everybody, and places for workers of one tenant each: shares of its memory, and slices.
pub struct IsolatingHost {
    shared: WorkerHost,
    shares: Arc<Places>,
    slices: Arc<Places>,
    /// The slice of the worker for everybody, and those of its part.
    kept: Vec<Slice>,
}

/// How a worker in a slice is run, and how many bytes jobs may take there, as far as that is known before it opens it.
pub type RunInSlice = Box<dyn Fn(&Slice) -> (WorkerSettings, u64) + Send + Sync>;

/// The slices that a card is cut into, and how workers are run in them.
pub struct Slices {
    /// All of them as they were seen last.
    pub seen: Vec<Slice>,
    /// How a worker in one of them is run.
    pub settings: RunInSlice,
    /// Looks again.
    pub look: Box<dyn Fn() -> Result<Vec<Slice>, String> + Send + Sync>,
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
        let device = descriptor.id;
        let share = |number| Place::share(&selector, &descriptor, &own, number);
        let shares = (0..places as u32).map(share).collect();
        let shares = Places::new(shares, format!("places for isolated tenants of device {device}"), None);
        let slices = Places::new(Vec::new(), format!("slices (MIG) of device {device} for tenants"), None);
        IsolatingHost {
            shared: WorkerHost::new(selector, descriptor, shared),
            shares: Arc::new(shares),
            slices: Arc::new(slices),
            kept: Vec::new(),
        }
    }

    /// The same of a card that is cut into slices. One of them, which the descriptor names, is that of the worker for
    /// everybody; the others are for tenants whose isolation is [`Isolation::Mig`].
    #[must_use]
    pub fn with_slices(self, slices: Slices) -> IsolatingHost {
        let Slices { seen, settings, look } = slices;
        let (card, selector) = (self.descriptor().clone(), self.shared.selector().to_owned());
        let shared = seen.iter().find(|s| Some(&s.uuid) == card.uuid.as_ref()).map(|s| s.part);
        let (kept, others): (Vec<_>, Vec<_>) = seen.into_iter().partition(|s| Some(s.part) == shared);
        let what = format!("slices (MIG) of device {} for tenants", card.id);
        let place = move |slice: Slice| {
            let (settings, holds_bytes) = settings(&slice);
            Place::slice(&selector, &card, settings, slice, holds_bytes)
        };
        let places = others.into_iter().map(&place).collect();
        let look = move || {
            let others = look()?.into_iter().filter(|s| Some(s.part) != shared);
            Ok(others.map(&place).collect())
        };
        IsolatingHost { slices: Arc::new(Places::new(places, what, Some(Box::new(look)))), kept, ..self }
    }

    /// The process number of a tenant's own worker, while it has one.
    pub fn pid_of(&self, tenant: &TenantId) -> Option<u32> {
        [&self.shares, &self.slices].into_iter().find_map(|places| places.worker(tenant)?.host.pid())
    }
}

impl DeviceHost for IsolatingHost {
    fn descriptor(&self) -> &Descriptor {
        self.shared.descriptor()
    }

    fn open(&self, priority: LanePriority) -> Result<Box<dyn JobLane>, DeviceError> {
        let shared = self.shared.open(priority)?;
        let (shares, slices) = (Arc::clone(&self.shares), Arc::clone(&self.slices));
        Ok(Box::new(IsolatingLane { shared, priority, shares, slices, own: HashMap::new() }))
    }

    fn health(&self) -> Result<Health, DeviceError> {
        self.shared.health()
    }

    fn holds(&self, tenant: &TenantId, key: ResidentKey) -> bool {
        let own = |places: &Arc<Places>| places.worker(tenant).is_some_and(|w| w.host.holds(tenant, key));
        own(&self.shares) || own(&self.slices) || self.shared.holds(tenant, key)
    }

    fn declines(&self, tenant: &TenantId, isolation: Isolation, device_bytes: u64) -> Option<String> {
        let places = match isolation {
            Isolation::Shared => return None,
            Isolation::Process => &self.shares,
            Isolation::Mig => &self.slices,
        };
        Some(match places.declines(tenant, device_bytes)? {
            DeviceError::NoPlace(why) | DeviceError::Unsupported(why) => why,
            other => other.to_string(),
        })
    }

    fn slices(&self) -> Vec<SliceView> {
        let kept = self.kept.iter().map(|slice| {
            let shared = Some(&slice.uuid) == self.descriptor().uuid.as_ref();
            SliceView {
                slice: slice.clone(),
                used: if shared { SliceUse::Shared } else { SliceUse::Shut },
                memory_used_bytes: if shared { self.shared.used_bytes() } else { None },
            }
        });
        let others = self.slices.slices().into_iter().map(|(slice, worker, taken)| SliceView {
            slice,
            used: match (&worker, taken) {
                (Some(_), _) => SliceUse::Tenant,
                (None, true) => SliceUse::Shut,
                (None, false) => SliceUse::Free,
            },
            memory_used_bytes: worker.and_then(|w| w.host.used_bytes()),
        });
        kept.chain(others).collect()
    }

    fn restarts(&self) -> u64 {
        self.shared.restarts()
    }
}

struct IsolatingLane {
    shared: Box<dyn JobLane>,
    priority: LanePriority,
    shares: Arc<Places>,
    slices: Arc<Places>,
    /// Lanes into tenants' own workers, each with the worker it leads to.
    own: HashMap<TenantId, (Arc<OwnWorker>, Box<dyn JobLane>)>,
}

impl IsolatingLane {
    fn run_alone(&mut self, places: &Places, job: DeviceJob) -> DeviceReport {
        let tenant = job.tenant.clone();
        let worker = match places.take(&tenant, job.reserved_bytes) {
            Ok(worker) => worker,
            Err(e) => return failed(e),
        };
        let report = match self.lane_to(&tenant, &worker.0, places, job.reserved_bytes) {
            Ok(lane) => self.run_there(&tenant, &worker.0, lane, job),
            Err(e) => failed(alone(e)),
        };
        drop(worker);
        // Lanes into workers that gave their place up keep nothing that is worth keeping.
        let (shares, slices) = (&self.shares, &self.slices);
        self.own.retain(|tenant, (worker, _)| shares.has(tenant, worker) || slices.has(tenant, worker));
        report
    }

    /// The lane into a tenant's worker, which is started where it is not there.
    fn lane_to(
        &mut self,
        tenant: &TenantId,
        worker: &Arc<OwnWorker>,
        places: &Places,
        bytes: u64,
    ) -> Result<Box<dyn JobLane>, DeviceError> {
        let open =
            self.own.remove(tenant).filter(|(of, _)| Arc::ptr_eq(of, worker) && of.host.pid().is_some());
        if let Some((_, lane)) = open {
            return Ok(lane);
        }
        let healthy = worker.host.health();
        if healthy.is_err() && worker.host.live().is_none() {
            places.doubt();
        }
        healthy?;
        // What was an estimate before is known now.
        worker.holds(bytes)?;
        worker.host.open(self.priority)
    }

    fn run_there(
        &mut self,
        tenant: &TenantId,
        worker: &Arc<OwnWorker>,
        mut lane: Box<dyn JobLane>,
        job: DeviceJob,
    ) -> DeviceReport {
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
            Isolation::Process => self.run_alone(&Arc::clone(&self.shares), job),
            Isolation::Mig => self.run_alone(&Arc::clone(&self.slices), job),
        }
    }
}
