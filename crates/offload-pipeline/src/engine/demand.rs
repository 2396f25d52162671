//! What an admitted job asks of the lanes: its memory, its prices, and where its inputs are already.

use super::Pipeline;
use super::lanes::DeviceSlot;
use crate::admit::Admitted;
use crate::dispatch::Demand;
use offload_api::{DeviceChoice, Record, ResidentKey, Tensor, Value};
use offload_core::{DeviceNeed, Plan, TenantId};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, PoisonError};

/// What a device is expected to do before anything was measured there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DevicePrior {
    /// Microseconds that launches and transfers take beside what follows.
    pub overhead_us: f64,
    /// Work per microsecond.
    pub work_per_us: f64,
    /// Bytes of transfers per microsecond.
    pub bytes_per_us: f64,
}

impl Default for DevicePrior {
    fn default() -> Self {
        DevicePrior { overhead_us: 100.0, work_per_us: 1e6, bytes_per_us: 1e4 }
    }
}

impl DevicePrior {
    /// Expected microseconds of a job, with so many bytes of its inputs there.
    fn job_us(&self, plan: &Plan, there_bytes: u64) -> f64 {
        let moved_bytes = plan.bytes_in.saturating_sub(there_bytes) + plan.bytes_out;
        self.overhead_us + plan.work / self.work_per_us + moved_bytes as f64 / self.bytes_per_us
    }
}

impl Pipeline {
    /// The demand; and why no device takes the job, where the caller names none and one of them would be faster than the CPU.
    pub(super) fn demand(&self, admitted: &Admitted) -> (Demand, Option<String>) {
        let plan = admitted.plan();
        let choice = &admitted.request().options.device;
        let caller = &admitted.request().caller;
        let tenant = &caller.tenant;
        let identified = Identified::of(admitted.inputs());
        let (mut device_us, mut resident_on) = (Vec::new(), Vec::new());
        let mut least_there = u64::MAX;
        let (mut willing, mut declined) = (Vec::new(), None);
        let device_bytes = match plan.device {
            DeviceNeed::CpuOnly(_) => None,
            DeviceNeed::Bytes(bytes) => {
                let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
                // What only looks like a device gains nothing over the CPU itself; whoever names it may have it.
                let auto = *choice == DeviceChoice::Auto && !self.config.run.auto_cpu_devices;
                for slot in devices.iter().filter(|d| !auto || !d.device().descriptor().is_cpu) {
                    match slot.device().declines(tenant, caller.quota.isolation, bytes) {
                        Some(why) => declined = declined.or(Some(why)),
                        None => willing.push(slot.id()),
                    }
                    let there = identified.bytes_on(slot, tenant);
                    device_us.push((slot.id(), self.config.device_prior.job_us(plan, there)));
                    least_there = least_there.min(there);
                    if identified.is_mostly(there) {
                        resident_on.push(slot.id());
                    }
                }
                Some(bytes)
            }
        };
        // Where none is willing, a caller that named one is told by it; where it would not be chosen, it need not be asked.
        let faster = device_us.iter().any(|(_, us)| *us < admitted.cpu_us());
        let declined = declined.filter(|_| willing.is_empty() && *choice == DeviceChoice::Auto && faster);
        if !willing.is_empty() || declined.is_some() {
            device_us.retain(|(id, _)| willing.contains(id));
            resident_on.retain(|id| willing.contains(id));
        }
        let demand = Demand {
            // What is resident is there anyway, whether or not the job runs.
            host_bytes: plan.peak_host_bytes().saturating_sub(admitted.resident_bytes()),
            staging_bytes: plan.bytes_in.saturating_sub(least_there).saturating_add(plan.bytes_out),
            device_bytes,
            cpu_us: admitted.cpu_us(),
            device_us,
            choice: choice.clone(),
            locality: identified.locality(tenant),
            resident_on,
        };
        (demand, declined)
    }
}

/// The inputs that a device may keep between jobs, the largest first.
struct Identified(Vec<(ResidentKey, u64)>);

impl Identified {
    fn of(inputs: &Record<Tensor>) -> Identified {
        let tensor = |(_, value): (_, &Value)| match value {
            Value::Tensor(t) | Value::Gapped(t) => t.resident().map(|key| (key, t.bytes())),
            _ => None,
        };
        let mut all: Vec<_> = inputs.iter().filter_map(tensor).collect();
        all.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        Identified(all)
    }

    /// Bytes of them that a device has.
    fn bytes_on(&self, slot: &Arc<DeviceSlot>, tenant: &TenantId) -> u64 {
        self.0.iter().filter(|(key, _)| slot.device().holds(tenant, *key)).map(|(_, bytes)| bytes).sum()
    }

    /// Whether so many bytes are the greater part.
    fn is_mostly(&self, bytes: u64) -> bool {
        bytes > 0 && bytes >= self.0.iter().map(|(_, bytes)| bytes).sum::<u64>().div_ceil(2)
    }

    /// Jobs of a tenant on the same largest input belong together, wherever that is.
    fn locality(&self, tenant: &TenantId) -> Option<u64> {
        let (key, _) = self.0.first()?;
        let mut hasher = DefaultHasher::new();
        (tenant, key).hash(&mut hasher);
        Some(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(elements: usize, key: Option<u128>) -> Value {
        let t = Tensor::vector(vec![0.0f64; elements]);
        Value::Tensor(match key {
            Some(key) => t.with_resident(ResidentKey(key)),
            None => t,
        })
    }

    #[test]
    fn the_largest_input_with_an_identity_decides() {
        let inputs = |a, b| Record::new().with("x", tensor(900, None)).with("a", a).with("b", b);
        let of = |a, b| Identified::of(&inputs(a, b));
        let both = of(tensor(3, Some(1)), tensor(50, Some(2)));
        assert_eq!(both.0, [(ResidentKey(2), 400), (ResidentKey(1), 24)]);
        assert!(both.is_mostly(400) && !both.is_mostly(24) && !both.is_mostly(0));
        let (t, u) = (TenantId::new("t"), TenantId::new("u"));
        assert_eq!(both.locality(&t), of(tensor(7, None), tensor(9, Some(2))).locality(&t));
        assert_ne!(both.locality(&t), both.locality(&u), "another tenant's data are others");
        let none = of(tensor(3, None), tensor(4, None));
        assert_eq!((none.locality(&t), none.is_mostly(0)), (None, false));
    }

    #[test]
    fn what_is_there_is_not_moved() {
        let plan = Plan {
            work: 0.0,
            bytes_in: 1_000_000,
            bytes_out: 10_000,
            host_bytes: 0,
            device: DeviceNeed::Bytes(1),
            outputs: Vec::new(),
        };
        let prior = DevicePrior::default();
        assert_eq!(prior.job_us(&plan, 0), 100.0 + 101.0);
        assert_eq!(prior.job_us(&plan, 1_000_000), 100.0 + 1.0);
        assert_eq!(prior.job_us(&plan, 5_000_000), 100.0 + 1.0, "more than all is all");
    }
}
