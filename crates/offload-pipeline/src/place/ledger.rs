//! What is reserved: host and device bytes of the process, and each tenant's share and task slots.

use crate::dispatch::{JobId, Limits, Map, Reserved, Resource};
use offload_core::TenantId;
use std::collections::{BTreeMap, HashMap};

/// A reservation that does not fit, with the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what:?} needs {needed}, {used} of {limit} is used")]
pub struct Shortage {
    /// Which limit.
    pub what: Resource,
    /// What the job needs.
    pub needed: u64,
    /// What is reserved already.
    pub used: u64,
    /// What there is in all.
    pub limit: u64,
}

#[derive(Clone, Debug)]
struct Reservation {
    tenant: TenantId,
    host_bytes: u64,
    device: Option<(u32, u64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    budget: u64,
    used: u64,
}

impl Account {
    fn check(self, what: Resource, needed: u64) -> Result<(), Shortage> {
        fits(what, needed, self.used, self.budget)
    }
}

fn fits(what: Resource, needed: u64, used: u64, limit: u64) -> Result<(), Shortage> {
    match used.checked_add(needed) {
        Some(sum) if sum <= limit => Ok(()),
        // Needing nothing is fine even where a limit shrank below what is used.
        _ if needed == 0 => Ok(()),
        _ => Err(Shortage { what, needed, used, limit }),
    }
}

/// All reservations. Each is made once and released once.
#[derive(Debug, Default)]
pub struct Ledger {
    host: Account,
    devices: BTreeMap<u32, Account>,
    tenants: HashMap<TenantId, Reserved>,
    jobs: Map<JobId, Reservation>,
}

impl Ledger {
    /// Nothing reserved, of this much host memory and no devices.
    pub fn new(host_budget_bytes: u64) -> Self {
        Ledger { host: Account { budget: host_budget_bytes, used: 0 }, ..Ledger::default() }
    }

    /// Sets what a device has. Less than is reserved there is fine: nothing new fits until enough has ended.
    pub fn set_device_budget(&mut self, device: u32, bytes: u64) {
        self.devices.entry(device).or_default().budget = bytes;
    }

    /// Sets what the process has of host memory.
    pub fn set_host_budget(&mut self, bytes: u64) {
        self.host.budget = bytes;
    }

    /// Host bytes in all.
    pub fn host_budget(&self) -> u64 {
        self.host.budget
    }

    /// Bytes of a device in all; 0 for one that is not known.
    pub fn device_budget(&self, device: u32) -> u64 {
        self.devices.get(&device).map_or(0, |a| a.budget)
    }

    /// Host bytes reserved.
    pub fn host_used(&self) -> u64 {
        self.host.used
    }

    /// Bytes reserved on a device.
    pub fn device_used(&self, device: u32) -> u64 {
        self.devices.get(&device).map_or(0, |a| a.used)
    }

    /// What a tenant has reserved.
    pub fn reserved(&self, tenant: &TenantId) -> Reserved {
        self.tenants.get(tenant).copied().unwrap_or_default()
    }

    /// Whether the tenant and the host have room for the job, leaving devices aside.
    ///
    /// # Errors
    /// With the first limit that it does not fit into, the tenant's own first.
    pub fn check_host(&self, tenant: &TenantId, limits: &Limits, host_bytes: u64) -> Result<(), Shortage> {
        let has = self.reserved(tenant);
        fits(Resource::TenantTasks, 1, u64::from(has.tasks), u64::from(limits.max_concurrent_tasks))?;
        fits(Resource::TenantHostBytes, host_bytes, has.host_bytes, limits.max_host_bytes)?;
        self.host.check(Resource::HostBytes, host_bytes)
    }

    /// Whether the tenant and the device have room for so many device bytes.
    ///
    /// # Errors
    /// With the first limit that they do not fit into, the tenant's own first.
    pub fn check_device(
        &self,
        tenant: &TenantId,
        limits: &Limits,
        (device, bytes): (u32, u64),
    ) -> Result<(), Shortage> {
        let used = self.reserved(tenant).device_bytes;
        fits(Resource::TenantDeviceBytes, bytes, used, limits.max_device_bytes)?;
        self.devices.get(&device).copied().unwrap_or_default().check(Resource::DeviceBytes, bytes)
    }

    /// Reserves all of it or nothing.
    ///
    /// # Errors
    /// With the first limit that it does not fit into, the tenant's own first.
    pub fn reserve(
        &mut self,
        job: JobId,
        tenant: &TenantId,
        limits: &Limits,
        host_bytes: u64,
        device: Option<(u32, u64)>,
    ) -> Result<(), Shortage> {
        self.check_host(tenant, limits, host_bytes)?;
        if let Some(device) = device {
            self.check_device(tenant, limits, device)?;
        }
        debug_assert!(!self.jobs.contains_key(&job), "{job:?} has a reservation");
        let has = self.tenants.entry(tenant.clone()).or_default();
        has.tasks += 1;
        has.host_bytes += host_bytes;
        self.host.used += host_bytes;
        if let Some((id, bytes)) = device {
            has.device_bytes += bytes;
            self.devices.entry(id).or_default().used += bytes;
        }
        self.jobs.insert(job, Reservation { tenant: tenant.clone(), host_bytes, device });
        Ok(())
    }

    /// Releases what a job has reserved. A second time is a bug, and changes nothing where that is not asserted.
    pub fn release(&mut self, job: JobId) {
        let Some(held) = self.jobs.remove(&job) else {
            debug_assert!(false, "{job:?} has no reservation to release");
            return;
        };
        self.host.used -= held.host_bytes;
        if let Some((id, bytes)) = held.device
            && let Some(account) = self.devices.get_mut(&id)
        {
            account.used -= bytes;
        }
        if let Some(has) = self.tenants.get_mut(&held.tenant) {
            has.tasks -= 1;
            has.host_bytes -= held.host_bytes;
            has.device_bytes -= held.device.map_or(0, |(_, bytes)| bytes);
            if has.tasks == 0 {
                self.tenants.remove(&held.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { max_concurrent_tasks: 2, max_queued_tasks: 9, max_host_bytes: 100, max_device_bytes: 50 }
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(150);
        ledger.set_device_budget(0, 60);
        ledger
    }

    #[test]
    fn a_shortage_names_the_limit_and_the_figures() {
        let (mut l, a) = (ledger(), TenantId::new("a"));
        assert_eq!(l.reserve(JobId(1), &a, &limits(), 70, Some((0, 40))), Ok(()));
        let no = |what, needed, used, limit| Err(Shortage { what, needed, used, limit });
        assert_eq!(l.reserve(JobId(2), &a, &limits(), 31, None), no(Resource::TenantHostBytes, 31, 70, 100));
        assert_eq!(
            l.reserve(JobId(2), &a, &limits(), 0, Some((0, 11))),
            no(Resource::TenantDeviceBytes, 11, 40, 50)
        );
        let b = TenantId::new("b");
        assert_eq!(l.reserve(JobId(2), &b, &limits(), 81, None), no(Resource::HostBytes, 81, 70, 150));
        assert_eq!(
            l.reserve(JobId(2), &b, &limits(), 1, Some((0, 21))),
            no(Resource::DeviceBytes, 21, 40, 60)
        );
        assert_eq!(l.reserve(JobId(2), &b, &limits(), 1, Some((7, 1))), no(Resource::DeviceBytes, 1, 0, 0));
        assert_eq!(l.reserved(&b), Reserved::default(), "a failed reservation leaves nothing behind");
        assert_eq!(l.reserve(JobId(2), &a, &limits(), 0, None), Ok(()));
        assert_eq!(l.reserve(JobId(3), &a, &limits(), 0, None), no(Resource::TenantTasks, 1, 2, 2));
    }

    #[test]
    fn a_release_gives_everything_back() {
        let (mut l, a) = (ledger(), TenantId::new("a"));
        assert_eq!(l.reserve(JobId(1), &a, &limits(), 70, Some((0, 40))), Ok(()));
        l.release(JobId(1));
        assert_eq!((l.host_used(), l.device_used(0), l.reserved(&a)), (0, 0, Reserved::default()));
    }

    #[test]
    #[should_panic(expected = "has no reservation")]
    fn a_second_release_is_caught() {
        ledger().release(JobId(1));
    }

    #[test]
    fn sums_do_not_wrap() {
        let (mut l, a) = (Ledger::new(u64::MAX), TenantId::new("a"));
        let wide = Limits { max_host_bytes: u64::MAX, ..limits() };
        assert_eq!(l.reserve(JobId(1), &a, &wide, u64::MAX, None), Ok(()));
        assert!(l.reserve(JobId(2), &a, &wide, 1, None).is_err());
    }
}
