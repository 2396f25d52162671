//! Inputs, and what is made of them, that stay on a device between jobs.

use super::scrub::hand_back;
use super::{DeviceLane, Handle};
use crate::{Origin, TenantId};
use offload_api::ResidentKey;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Inputs and parts made of inputs, kept on a device, each under its tenant and the identities of its data; the least
/// recently used goes first. What a running job uses stays.
///
/// Memory is charged from before it is taken until after it has been given back, so at no moment do kept ones, those
/// on their way and those on their way out have more bytes than the budget.
#[derive(Debug)]
pub struct Residents {
    budget_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    epoch: Epoch,
    generation: u64,
    charged_bytes: u64,
    clock: u64,
    entries: HashMap<(TenantId, Name), Entry>,
}

/// By what something on a device is known: the inputs that it is made of, and which part of what is made of them it
/// is. An input is the nameless part of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) origin: Origin,
    pub(super) part: &'static str,
}

impl From<ResidentKey> for Name {
    fn from(key: ResidentKey) -> Name {
        Name { origin: Origin::input(key), part: "" }
    }
}

#[derive(Debug)]
struct Entry {
    handle: Handle,
    bytes: u64,
    used_at: u64,
    jobs: usize,
}

/// Between two times that everything was forgotten. A job speaks of the one it began in; what it says of an earlier
/// one is about memory that is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch(u64);

/// What to do for an input that may not be there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// It is there, and pinned for the job.
    Present(Handle),
    /// It may be kept once `freed` have been given back; then `surplus_bytes` are to be returned by
    /// [`Residents::unused`].
    Room { freed: Vec<Handle>, surplus_bytes: u64 },
    /// It is not to be kept.
    NoRoom,
}

/// What became of an input that a job brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is kept, and pinned for the job.
    Mine,
    /// Another lane brought the same meanwhile: that is pinned and to be used. The job gives its own back, and then
    /// returns its bytes by [`Residents::unused`].
    Other(Handle),
    /// The device was restarted meanwhile.
    Not,
}

impl Residents {
    /// Nothing kept, with this much room.
    pub fn new(budget_bytes: u64) -> Residents {
        Residents { budget_bytes, state: Mutex::default() }
    }

    /// Bytes of device memory that this accounts for now: kept, on their way, and on their way out.
    pub fn used_bytes(&self) -> u64 {
        self.lock().charged_bytes
    }

    /// Whether this input is kept, or something that is made of it.
    pub fn holds(&self, tenant: &TenantId, key: ResidentKey) -> bool {
        self.lock().entries.keys().any(|(of, name)| of == tenant && name.origin.names(key))
    }

    /// Forgets everything: the device's memory is gone. What running jobs still say of it is not heard.
    pub fn clear(&self) {
        self.lock().forget();
    }

    /// A job begins on a device that was restarted so often: what is of a lesser count is forgotten.
    pub fn enter(&self, generation: u64) {
        let mut state = self.lock();
        if state.generation < generation {
            state.forget();
            state.generation = generation;
        }
    }

    /// The present epoch, for a job that begins.
    pub(super) fn epoch(&self) -> Epoch {
        self.lock().epoch
    }

    /// A job of that epoch lost the device. When it has been forgotten since, the loss was noticed before.
    pub(super) fn lose(&self, epoch: Epoch) {
        let mut state = self.lock();
        if state.epoch == epoch {
            state.forget();
        }
    }

    /// What is kept under this name, of whatever size, pinned for the job.
    pub(super) fn find(&self, epoch: Epoch, tenant: &TenantId, name: &Name) -> Option<(Handle, u64)> {
        let mut state = self.lock();
        if state.epoch != epoch {
            return None;
        }
        state.clock += 1;
        let now = state.clock;
        let entry = state.entries.get_mut(&(tenant.clone(), name.clone()))?;
        entry.used_at = now;
        entry.jobs += 1;
        Some((entry.handle, entry.bytes))
    }

    pub(super) fn lookup(&self, epoch: Epoch, tenant: &TenantId, name: &Name, bytes: u64) -> Lookup {
        let mut state = self.lock();
        // Nothing is not worth an entry, of which there would be no end.
        if state.epoch != epoch || bytes > self.budget_bytes || bytes == 0 {
            return Lookup::NoRoom;
        }
        state.clock += 1;
        let now = state.clock;
        if let Some(entry) = state.entries.get_mut(&(tenant.clone(), name.clone())) {
            // The same identity with another size is not the same data.
            if entry.bytes != bytes {
                return Lookup::NoRoom;
            }
            entry.used_at = now;
            entry.jobs += 1;
            return Lookup::Present(entry.handle);
        }
        let Some(idle) = state.idle_down_to(self.budget_bytes - bytes) else { return Lookup::NoRoom };
        let (freed, freed_bytes) = state.remove(&idle);
        state.charged_bytes += bytes.saturating_sub(freed_bytes);
        Lookup::Room { freed, surplus_bytes: freed_bytes.saturating_sub(bytes) }
    }

    /// Keeps an input whose room was made, pinned for the job that brought it.
    pub(super) fn keep(
        &self,
        epoch: Epoch,
        tenant: &TenantId,
        name: &Name,
        handle: Handle,
        bytes: u64,
    ) -> Kept {
        let mut state = self.lock();
        if state.epoch != epoch {
            return Kept::Not;
        }
        state.clock += 1;
        let used_at = state.clock;
        if let Some(entry) = state.entries.get_mut(&(tenant.clone(), name.clone())) {
            if entry.bytes != bytes {
                state.charged_bytes -= bytes;
                return Kept::Not;
            }
            entry.used_at = used_at;
            entry.jobs += 1;
            return Kept::Other(entry.handle);
        }
        state.entries.insert((tenant.clone(), name.clone()), Entry { handle, bytes, used_at, jobs: 1 });
        Kept::Mine
    }

    /// Returns room that was charged and is not, or no longer, in use.
    pub(super) fn unused(&self, epoch: Epoch, bytes: u64) {
        let mut state = self.lock();
        if state.epoch == epoch {
            state.charged_bytes -= bytes;
        }
    }

    /// A job ended with this input.
    pub(super) fn unpin(&self, epoch: Epoch, tenant: &TenantId, name: &Name) {
        let mut state = self.lock();
        if state.epoch == epoch
            && let Some(entry) = state.entries.get_mut(&(tenant.clone(), name.clone()))
        {
            debug_assert!(entry.jobs > 0, "unpinned once too often");
            entry.jobs = entry.jobs.saturating_sub(1);
        }
    }

    /// Takes out everything that no job uses, for a device that is out of memory. Once it has been given back, its
    /// bytes are to be returned by [`unused`](Self::unused).
    pub(super) fn evict_all(&self, epoch: Epoch) -> (Vec<Handle>, u64) {
        let mut state = self.lock();
        if state.epoch != epoch {
            return (Vec::new(), 0);
        }
        let idle = state.idle(|_| true);
        state.remove(&idle)
    }

    /// Gives back (zeroed) what a tenant has here and no job uses.
    ///
    /// # Errors
    /// When the device does not zero it.
    pub fn evict_tenant(
        &self,
        tenant: &TenantId,
        lane: &mut dyn DeviceLane,
    ) -> Result<(), super::DeviceError> {
        let (epoch, handles, bytes) = {
            let mut state = self.lock();
            let idle = state.idle(|t| t == tenant);
            let (handles, bytes) = state.remove(&idle);
            (state.epoch, handles, bytes)
        };
        if handles.is_empty() {
            return Ok(());
        }
        let released = hand_back(lane, &handles);
        self.unused(epoch, bytes);
        released
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Every change is complete between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self) {
        *self = State {
            epoch: Epoch(self.epoch.0 + 1),
            generation: self.generation,
            clock: self.clock,
            ..State::default()
        };
    }

    /// What no job uses, the least recently used first.
    fn idle(&self, of: impl Fn(&TenantId) -> bool) -> Vec<(TenantId, Name)> {
        let mut idle: Vec<_> = self
            .entries
            .iter()
            .filter(|((tenant, _), entry)| entry.jobs == 0 && of(tenant))
            .map(|(key, entry)| (entry.used_at, key.clone()))
            .collect();
        idle.sort_by_key(|(used_at, _)| *used_at);
        idle.into_iter().map(|(_, key)| key).collect()
    }

    /// The least recently used whose going leaves at most `limit` bytes charged; `None` when what running jobs use
    /// is too much.
    fn idle_down_to(&self, limit: u64) -> Option<Vec<(TenantId, Name)>> {
        let mut left = self.charged_bytes;
        if left <= limit {
            return Some(Vec::new());
        }
        let mut out = self.idle(|_| true);
        let enough = out.iter().position(|key| {
            left -= self.entries.get(key).map_or(0, |entry| entry.bytes);
            left <= limit
        })?;
        out.truncate(enough + 1);
        Some(out)
    }

    /// Takes entries out; their bytes stay charged.
    fn remove(&mut self, keys: &[(TenantId, Name)]) -> (Vec<Handle>, u64) {
        let out: Vec<Entry> = keys.iter().filter_map(|key| self.entries.remove(key)).collect();
        (out.iter().map(|e| e.handle).collect(), out.iter().map(|e| e.bytes).sum())
    }
}

#[cfg(test)]
mod tests;
