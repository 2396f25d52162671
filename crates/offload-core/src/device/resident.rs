//! Inputs that stay on a device between jobs.

use super::{DeviceLane, Handle};
use crate::TenantId;
use offload_api::ResidentKey;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Inputs kept on a device, each under its tenant and the identity of its data; the least recently used goes first.
/// What a running job uses stays.
#[derive(Debug)]
pub struct Residents {
    budget_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used_bytes: u64,
    clock: u64,
    entries: HashMap<(TenantId, ResidentKey), Entry>,
}

#[derive(Debug)]
struct Entry {
    handle: Handle,
    bytes: u64,
    used_at: u64,
    jobs: usize,
}

/// What to do for an input that is not there.
pub(super) enum Lookup {
    /// It is there, and pinned for the job.
    Present(Handle),
    /// It may be kept once these have been freed (zeroed first).
    Room(Vec<Handle>),
    /// It is not to be kept.
    NoRoom,
}

impl Residents {
    /// Nothing kept, with this much room.
    pub fn new(budget_bytes: u64) -> Residents {
        Residents { budget_bytes, state: Mutex::default() }
    }

    /// Bytes kept now.
    pub fn used_bytes(&self) -> u64 {
        self.lock().used_bytes
    }

    /// Whether this input is kept.
    pub fn holds(&self, tenant: &TenantId, key: ResidentKey) -> bool {
        self.lock().entries.contains_key(&(tenant.clone(), key))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Every change is complete between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lookup(&self, tenant: &TenantId, key: ResidentKey, bytes: u64) -> Lookup {
        let mut state = self.lock();
        state.clock += 1;
        let now = state.clock;
        if let Some(entry) = state.entries.get_mut(&(tenant.clone(), key)) {
            entry.used_at = now;
            entry.jobs += 1;
            return Lookup::Present(entry.handle);
        }
        if bytes > self.budget_bytes {
            return Lookup::NoRoom;
        }
        match state.make_room(self.budget_bytes - bytes) {
            Some(freed) => {
                state.used_bytes += bytes;
                Lookup::Room(freed)
            }
            None => Lookup::NoRoom,
        }
    }

    /// Keeps an input whose room was made, pinned for the job that brought it. When another lane brought the same
    /// meanwhile, that one is used and `handle` comes back to be freed.
    pub(super) fn keep(
        &self,
        tenant: &TenantId,
        key: ResidentKey,
        handle: Handle,
        bytes: u64,
    ) -> Result<(), (Handle, Handle)> {
        let mut state = self.lock();
        state.clock += 1;
        let used_at = state.clock;
        if let Some(entry) = state.entries.get_mut(&(tenant.clone(), key)) {
            entry.jobs += 1;
            let there = entry.handle;
            state.used_bytes -= bytes;
            return Err((there, handle));
        }
        state.entries.insert((tenant.clone(), key), Entry { handle, bytes, used_at, jobs: 1 });
        Ok(())
    }

    /// Gives back room that was made and not used.
    pub(super) fn unused(&self, bytes: u64) {
        self.lock().used_bytes -= bytes;
    }

    /// A job ended with this input.
    pub(super) fn unpin(&self, tenant: &TenantId, key: ResidentKey) {
        if let Some(entry) = self.lock().entries.get_mut(&(tenant.clone(), key)) {
            entry.jobs = entry.jobs.saturating_sub(1);
        }
    }

    /// Frees everything that no job uses; for a device that is out of memory.
    pub(super) fn evict_all(&self) -> Vec<Handle> {
        self.lock().make_room_of_idle()
    }

    /// Forgets everything: the device's memory is gone.
    pub fn clear(&self) {
        *self.lock() = State::default();
    }

    /// Frees (zeroed) what a tenant has here and no job uses.
    ///
    /// # Errors
    /// When the device does not zero it.
    pub fn evict_tenant(
        &self,
        tenant: &TenantId,
        lane: &mut dyn DeviceLane,
    ) -> Result<(), super::DeviceError> {
        let handles: Vec<Handle> = {
            let mut state = self.lock();
            let keys: Vec<_> = state
                .entries
                .iter()
                .filter(|((t, _), e)| t == tenant && e.jobs == 0)
                .map(|(k, _)| k.clone())
                .collect();
            keys.iter().filter_map(|k| state.remove(k)).collect()
        };
        for handle in handles {
            lane.set(handle, 0)?;
            lane.synchronize()?;
            lane.free(handle);
        }
        Ok(())
    }
}

impl State {
    fn remove(&mut self, key: &(TenantId, ResidentKey)) -> Option<Handle> {
        let entry = self.entries.remove(key)?;
        self.used_bytes -= entry.bytes;
        Some(entry.handle)
    }

    /// Removes the least recently used until at most `limit` bytes are kept; `None`, and nothing removed, when what
    /// running jobs use is too much.
    fn make_room(&mut self, limit: u64) -> Option<Vec<Handle>> {
        let mut idle: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, e)| e.jobs == 0)
            .map(|(k, e)| (e.used_at, e.bytes, k.clone()))
            .collect();
        idle.sort_by_key(|(used_at, ..)| *used_at);
        let mut left = self.used_bytes;
        let mut out = Vec::new();
        for (_, bytes, key) in idle {
            if left <= limit {
                break;
            }
            left -= bytes;
            out.push(key);
        }
        (left <= limit).then(|| out.iter().filter_map(|k| self.remove(k)).collect())
    }

    fn make_room_of_idle(&mut self) -> Vec<Handle> {
        let idle: Vec<_> = self.entries.iter().filter(|(_, e)| e.jobs == 0).map(|(k, _)| k.clone()).collect();
        idle.iter().filter_map(|k| self.remove(k)).collect()
    }
}
