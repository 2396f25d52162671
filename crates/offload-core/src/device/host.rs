//! Where a device's jobs run: a thread of this process, or a worker process. The boundary is a job.

use super::{
    Descriptor, Device, DeviceError, DeviceLane, Gpu, GpuTimings, Health, LanePriority, Residents, SliceView,
};
use crate::{Context, Derived, Failure, Registered, TenantId};
use offload_api::{Record, ResidentKey, Tensor};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// With whom a job shares the process that runs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// With every tenant that asks for nothing else.
    #[default]
    Shared,
    /// With jobs of its own tenant alone.
    Process,
    /// With jobs of its own tenant alone, and in a slice of a card (MIG) that is the tenant's meanwhile.
    Mig,
}

/// A job for a device: no driver pointer in it, so that the other side can be another process.
pub struct DeviceJob {
    /// What to run.
    pub operation: &'static Registered,
    /// On what.
    pub inputs: Record<Tensor>,
    /// Whose it is.
    pub tenant: TenantId,
    /// Device bytes reserved for it.
    pub reserved_bytes: u64,
    /// Whether to stop, and how far it is.
    pub context: Context,
    /// With whom it shares a process. A device whose jobs run in the service's own process does not look at it.
    pub isolation: Isolation,
}

/// What became of a job.
pub struct DeviceReport {
    /// The outputs, or why there are none.
    pub result: Result<Record<Tensor>, Failure>,
    /// Where the time went.
    pub timings: GpuTimings,
}

/// A device as the service sees it.
pub trait DeviceHost: Send + Sync {
    /// What is known of it.
    fn descriptor(&self) -> &Descriptor;
    /// A lane of this urgency.
    ///
    /// # Errors
    /// When the device refuses.
    fn open(&self, priority: LanePriority) -> Result<Box<dyn JobLane>, DeviceError>;
    /// How it is; also the probe that ends a quarantine, so it may restart what serves the device.
    ///
    /// # Errors
    /// When it does not answer.
    fn health(&self) -> Result<Health, DeviceError>;
    /// Whether it most probably still has this input of an earlier job, or what was made of it. A hint for whoever chooses a device: where it is
    /// wrong, the input is sent again.
    fn holds(&self, _tenant: &TenantId, _key: ResidentKey) -> bool {
        false
    }
    /// Why it would most probably not take such a job of that tenant; `None` when it would. The text is for the caller. A hint
    /// for whoever chooses a device: what has become wrong until the job comes, is said by the job's failure.
    fn declines(&self, _tenant: &TenantId, _isolation: Isolation, _device_bytes: u64) -> Option<String> {
        None
    }
    /// The slices that the device is cut into, and who uses them; none of one that is whole.
    fn slices(&self) -> Vec<SliceView> {
        Vec::new()
    }
    /// How often what serves the device was started again.
    fn restarts(&self) -> u64 {
        0
    }
}

/// One job at a time, in order.
pub trait JobLane: Send {
    /// Runs a job to its end.
    fn run(&mut self, job: DeviceJob) -> DeviceReport;
}

/// A device whose jobs run on threads of this process.
pub struct InProcess {
    device: Arc<dyn Device>,
    residents: Arc<Residents>,
    derived: Option<Arc<Derived>>,
}

impl InProcess {
    /// The device itself, with no room for resident inputs.
    pub fn new(device: Arc<dyn Device>) -> InProcess {
        InProcess::with_residents(device, 0)
    }

    /// The device itself, keeping at most this many bytes of inputs there between jobs.
    pub fn with_residents(device: Arc<dyn Device>, resident_bytes: u64) -> InProcess {
        InProcess { device, residents: Arc::new(Residents::new(resident_bytes)), derived: None }
    }

    /// The same, keeping at most this many bytes of what device paths make of inputs in host memory between jobs. Without,
    /// a job's context says where that is kept.
    #[must_use]
    pub fn with_derived(self, derived_bytes: u64) -> InProcess {
        InProcess { derived: Some(Arc::new(Derived::new(derived_bytes))), ..self }
    }

    /// What is kept there.
    pub fn residents(&self) -> &Arc<Residents> {
        &self.residents
    }
}

impl DeviceHost for InProcess {
    fn descriptor(&self) -> &Descriptor {
        self.device.descriptor()
    }

    fn open(&self, priority: LanePriority) -> Result<Box<dyn JobLane>, DeviceError> {
        let lane = self.device.open_lane(priority)?;
        Ok(Box::new(Lane {
            lane,
            device: Arc::clone(&self.device),
            residents: Arc::clone(&self.residents),
            derived: self.derived.clone(),
        }))
    }

    fn health(&self) -> Result<Health, DeviceError> {
        self.device.health()
    }

    fn holds(&self, tenant: &TenantId, key: ResidentKey) -> bool {
        self.residents.holds(tenant, key)
    }
}

struct Lane {
    lane: Box<dyn DeviceLane>,
    device: Arc<dyn Device>,
    residents: Arc<Residents>,
    derived: Option<Arc<Derived>>,
}

impl JobLane for Lane {
    fn run(&mut self, job: DeviceJob) -> DeviceReport {
        // What was kept before a restart is gone, whoever noticed the restart first.
        self.residents.enter(self.device.generation());
        let context = match &self.derived {
            Some(derived) => job.context.with_derived(Arc::clone(derived), job.tenant.clone()),
            None => job.context,
        };
        let mut gpu = Gpu::new(
            self.lane.as_mut(),
            self.device.descriptor(),
            &self.residents,
            job.tenant,
            context,
            job.reserved_bytes,
        );
        let epoch = gpu.epoch();
        let result = job.operation.operation.gpu(job.inputs, &mut gpu);
        let report = gpu.end(result);
        if matches!(report.result, Err(Failure::Fault(DeviceError::Lost(_)))) {
            self.residents.lose(epoch);
        }
        report
    }
}
