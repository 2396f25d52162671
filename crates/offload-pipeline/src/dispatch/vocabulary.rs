//! The words of the dispatcher: times, ids, lanes, limits and what a submission says.

use offload_api::{DeviceChoice, Priority};
use offload_core::TenantId;
use std::ops::{Add, Sub};
use std::sync::Arc;

/// Microseconds since the engine started; sums and differences saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Add<u64> for Time {
    type Output = Time;
    fn add(self, us: u64) -> Time {
        Time(self.0.saturating_add(us))
    }
}

impl Sub<Time> for Time {
    type Output = u64;
    fn sub(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One computation, of one or more waiters; made by the dispatcher, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// One caller that waits for a job; made by the engine, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub u64);

/// One lane; made by the engine, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub u32);

impl LaneId {
    /// The lane that inline jobs end with; no engine may add it.
    pub const INLINE: LaneId = LaneId(u32::MAX);
}

/// Says that two submissions of a tenant are one computation. Equal keys must mean equal inputs, parameters,
/// data versions **and** device choice: a follower's own demand is not looked at.
pub type FlightKey = [u8; 32];

/// What a lane belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Executor {
    /// The processor.
    Cpu,
    /// The device of that id.
    Device(u32),
}

/// A lane: a thread or a stream that runs one job after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// What it belongs to.
    pub executor: Executor,
    /// It takes P0 only.
    pub realtime_only: bool,
    /// Jobs handed over whatever they take; 1 for the CPU, 2 for a device, so that the next upload overlaps.
    pub depth: usize,
    /// Jobs handed over as long as all of them are short ([`DispatchConfig::short_us`](super::DispatchConfig)): the equal
    /// ones of them are started together.
    pub most: usize,
}

/// What a tenant may use; sent with each submission, and the newest counts for all its jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Jobs running at a time.
    pub max_concurrent_tasks: u32,
    /// Jobs queued at a time.
    pub max_queued_tasks: u32,
    /// Host bytes reserved by its running jobs.
    pub max_host_bytes: u64,
    /// Device bytes reserved by its running jobs, all devices together.
    pub max_device_bytes: u64,
}

/// What a job needs and is expected to take.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// Host bytes, reserved wherever it runs.
    pub host_bytes: u64,
    /// More of them, reserved where it runs on a device: its inputs and outputs on the way to its process and back.
    pub staging_bytes: u64,
    /// Device bytes; `None` when it has no device path.
    pub device_bytes: Option<u64>,
    /// Microseconds expected on the CPU.
    pub cpu_us: f64,
    /// Microseconds expected on each device that can run it; a device that is not named is no candidate.
    pub device_us: Vec<(u32, f64)>,
    /// Where the caller wants it.
    pub choice: DeviceChoice,
    /// Jobs of one key profit from one device.
    pub locality: Option<u64>,
    /// Devices that most probably hold the greater part of its inputs already.
    pub resident_on: Vec<u32>,
}

impl Demand {
    /// Host bytes that it needs there.
    pub fn host_bytes_on(&self, executor: Executor) -> u64 {
        match executor {
            Executor::Cpu => self.host_bytes,
            Executor::Device(_) => self.host_bytes.saturating_add(self.staging_bytes),
        }
    }

    /// Whether the job may run there at all: the choice allows it and there is a price.
    pub fn allows(&self, executor: Executor) -> bool {
        match executor {
            Executor::Cpu => matches!(self.choice, DeviceChoice::Auto | DeviceChoice::Cpu),
            Executor::Device(d) => {
                self.device_bytes.is_some()
                    && match self.choice {
                        DeviceChoice::Auto | DeviceChoice::Gpu => true,
                        DeviceChoice::Id(id) => id == d,
                        DeviceChoice::Cpu => false,
                    }
                    && self.device_us.iter().any(|(id, _)| *id == d)
            }
        }
    }

    /// Microseconds expected there; infinite where it has no price.
    pub fn expected_us(&self, executor: Executor) -> f64 {
        match executor {
            Executor::Cpu => self.cpu_us,
            Executor::Device(d) => {
                self.device_us.iter().find(|(id, _)| *id == d).map_or(f64::INFINITY, |(_, us)| *us)
            }
        }
    }

    /// Whether the caller named a device, so that the CPU is no way out.
    pub fn is_explicit(&self) -> bool {
        matches!(self.choice, DeviceChoice::Gpu | DeviceChoice::Id(_))
    }
}

/// One caller's wish, admitted and missed by the cache.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Who waits.
    pub waiter: WaiterId,
    /// Whose job it is.
    pub tenant: TenantId,
    /// What the tenant may use from now on.
    pub limits: Arc<Limits>,
    /// How urgent it is.
    pub priority: Priority,
    /// When the caller is told that it took too long.
    pub deadline: Option<Time>,
    /// Joins an equal computation of the same tenant that is queued or running.
    pub flight: Option<FlightKey>,
    /// What the job needs.
    pub demand: Demand,
    /// The caller's thread runs it at once, if nothing as urgent is queued.
    pub inline: bool,
}
