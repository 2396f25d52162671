//! A device of host memory that counts every byte and fails where it is told to.
//!
//! It runs the same host code of an operation that a GPU runs (allocation, upload, library calls, download), so
//! budgets, zeroing, faults and fallbacks are exercised on a machine without one. Its memory is in chunks under the
//! [`Arena`](crate::memory::Arena) like every driver's. It has no compiler: kernels are refused as unsupported.

mod blas;
mod faults;
mod solver;
mod spectrum;
mod store;

pub use faults::{Fault, Faults};

use offload_core::TenantId;
use offload_core::device::{
    At, Backend, Blas, Descriptor, Device, DeviceError, DeviceLane, Handle, Health, KernelSource,
    LanePriority, Launch, MARKS, Mark, ModuleId, Solver,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use store::Store;

/// A device of host memory.
pub struct TestDevice {
    descriptor: Descriptor,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    faults: Faults,
}

struct State {
    store: Store,
    lost: bool,
    /// The present call does nothing and says that it went well.
    ignored: bool,
    restarts: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between statements, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes one driver call through the fault plan.
    fn call(&self, name: &'static str) -> Result<MutexGuard<'_, State>, DeviceError> {
        let fault = self.faults.next(name);
        let mut state = self.lock();
        state.ignored = false;
        if state.lost {
            return Err(DeviceError::Lost("an earlier fault poisoned the context".into()));
        }
        match fault {
            None => Ok(state),
            Some(Fault::OutOfMemory) => {
                let free_bytes = state.store.arena().largest_free();
                Err(DeviceError::OutOfMemory { needed_bytes: free_bytes + 1, free_bytes })
            }
            Some(Fault::Ignored) => {
                state.ignored = true;
                Ok(state)
            }
            Some(Fault::Call) => Err(DeviceError::Call(format!("{name}: injected"))),
            Some(Fault::Lost) => {
                state.lost = true;
                Err(DeviceError::Lost(format!("{name}: injected")))
            }
            Some(Fault::Panic) => {
                drop(state);
                panic!("{name}: injected panic")
            }
            Some(Fault::Hang) => {
                drop(state);
                loop {
                    std::thread::park();
                }
            }
            Some(Fault::Abort) => std::process::abort(),
            Some(Fault::Slow(pause)) => {
                drop(state);
                std::thread::sleep(pause);
                let mut state = self.lock();
                state.ignored = false;
                Ok(state)
            }
        }
    }
}

impl TestDevice {
    /// A device with this number and this much memory, failing as `faults` says.
    pub fn new(id: u32, memory_bytes: u64, faults: Faults) -> Self {
        TestDevice {
            descriptor: Descriptor {
                is_cpu: true,
                ..Descriptor::new(id, format!("test device {id}"), Backend::Test, memory_bytes)
            },
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    store: Store::new(memory_bytes),
                    lost: false,
                    ignored: false,
                    restarts: 0,
                }),
                faults,
            }),
        }
    }

    /// The same, named by its driver as given.
    #[must_use]
    pub fn named(mut self, uuid: Option<String>) -> Self {
        self.descriptor.uuid = uuid;
        self
    }

    /// Ends the effect of a sticky fault, as a restart of the driver's process does. All memory is gone.
    pub fn restart(&self) {
        let mut state = self.shared.lock();
        state.lost = false;
        state.restarts += 1;
        state.store.clear();
    }

    /// Bytes in use, and the most that ever were.
    pub fn used_and_peak_bytes(&self) -> (u64, u64) {
        let state = self.shared.lock();
        (state.store.arena().used_bytes(), state.store.arena().peak_bytes())
    }

    /// Bytes that a tenant has here.
    pub fn used_by(&self, tenant: &TenantId) -> u64 {
        self.shared.lock().store.arena().used_by(tenant)
    }

    /// Bytes that could not be zeroed and are handed to nobody any more.
    pub fn retired_bytes(&self) -> u64 {
        self.shared.lock().store.arena().retired_bytes()
    }

    /// Calls `watch` after each allocation with its tenant and the bytes that the tenant, and all, have now. It holds
    /// the device still meanwhile, so no moment is missed.
    pub fn watch(&self, watch: impl FnMut(&TenantId, u64, u64) + Send + 'static) {
        self.shared.lock().store.watch(Box::new(watch));
    }
}

impl Device for TestDevice {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn open_lane(&self, _priority: LanePriority) -> Result<Box<dyn DeviceLane>, DeviceError> {
        drop(self.shared.call("open_lane")?);
        Ok(Box::new(Lane { shared: Arc::clone(&self.shared), marks: Vec::new(), marked: 0 }))
    }

    fn health(&self) -> Result<Health, DeviceError> {
        let state = self.shared.call("health")?;
        Ok(Health {
            memory_used_bytes: state.store.arena().used_bytes(),
            // Host memory that pretends: no engine of its own is ever busy.
            utilization_percent: Some(0),
            temperature_celsius: None,
            power_watts: None,
            uncorrected_errors: None,
            mig: None,
        })
    }

    fn generation(&self) -> u64 {
        self.shared.lock().restarts
    }

    fn used_bytes(&self) -> u64 {
        self.shared.lock().store.arena().used_bytes()
    }
}

struct Lane {
    shared: Arc<Shared>,
    marks: Vec<Instant>,
    marked: usize,
}

fn block(state: &mut State, handle: Handle) -> Result<&mut [u8], DeviceError> {
    state.store.bytes(handle).ok_or_else(|| no_memory(handle))
}

fn no_memory(handle: Handle) -> DeviceError {
    DeviceError::Call(format!("no memory behind handle {}", handle.0))
}

fn range(bytes: usize, offset: usize, len: usize) -> Result<std::ops::Range<usize>, DeviceError> {
    offset
        .checked_add(len)
        .filter(|end| *end <= bytes)
        .map(|end| offset..end)
        .ok_or_else(|| DeviceError::Call(format!("{len} bytes at {offset} are outside of {bytes}")))
}

impl DeviceLane for Lane {
    fn alloc(&mut self, tenant: &TenantId, bytes: usize) -> Result<Handle, DeviceError> {
        let mut state = self.shared.call("alloc")?;
        state.store.take(tenant, bytes as u64, || self.shared.faults.next("chunk"))
    }

    fn free(&mut self, handle: Handle) {
        // Giving back never fails, not even on a lost device: the books must balance.
        self.shared.lock().store.give_back(handle);
    }

    fn retire(&mut self, handle: Handle) {
        self.shared.lock().store.retire(handle);
    }

    fn upload(&mut self, to: Handle, offset: usize, bytes: &[u8]) -> Result<(), DeviceError> {
        let mut state = self.shared.call("upload")?;
        let ignored = state.ignored;
        let block = block(&mut state, to)?;
        let range = range(block.len(), offset, bytes.len())?;
        if !ignored {
            block[range].copy_from_slice(bytes);
        }
        Ok(())
    }

    fn download(&mut self, from: Handle, offset: usize, bytes: &mut [u8]) -> Result<(), DeviceError> {
        let mut state = self.shared.call("download")?;
        let block = block(&mut state, from)?;
        let range = range(block.len(), offset, bytes.len())?;
        bytes.copy_from_slice(&block[range]);
        Ok(())
    }

    fn set(&mut self, to: Handle, byte: u8) -> Result<(), DeviceError> {
        let mut state = self.shared.call("set")?;
        let ignored = state.ignored;
        // All that the region occupies: a kernel that wrote beyond its end has left something there.
        let occupied = state.store.occupied(to);
        let block = occupied.ok_or_else(|| no_memory(to))?;
        if !ignored {
            block.fill(byte);
        }
        Ok(())
    }

    fn copy(&mut self, from: At, to: At, bytes: usize) -> Result<(), DeviceError> {
        let mut state = self.shared.call("copy")?;
        let source = block(&mut state, from.handle)?;
        let source = source[range(source.len(), from.offset_bytes as usize, bytes)?].to_vec();
        let ignored = state.ignored;
        let target = block(&mut state, to.handle)?;
        let range = range(target.len(), to.offset_bytes as usize, bytes)?;
        if !ignored {
            target[range].copy_from_slice(&source);
        }
        Ok(())
    }

    fn compile(&mut self, source: &KernelSource) -> Result<ModuleId, DeviceError> {
        drop(self.shared.call("compile")?);
        Err(DeviceError::Unsupported(format!("the test device has no compiler for {}", source.name())))
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), DeviceError> {
        drop(self.shared.call("launch")?);
        Err(DeviceError::Unsupported(format!("the test device cannot launch {}", launch.entry)))
    }

    fn synchronize(&mut self) -> Result<(), DeviceError> {
        self.shared.call("synchronize").map(drop)
    }

    fn mark(&mut self) -> Result<Mark, DeviceError> {
        drop(self.shared.call("mark")?);
        let slot = self.marked % MARKS;
        self.marks.truncate(MARKS);
        if slot == self.marks.len() {
            self.marks.push(Instant::now());
        } else {
            self.marks[slot] = Instant::now();
        }
        self.marked += 1;
        Ok(Mark(slot as u64))
    }

    fn between(&mut self, from: Mark, to: Mark) -> Result<Duration, DeviceError> {
        match (self.marks.get(from.0 as usize), self.marks.get(to.0 as usize)) {
            (Some(from), Some(to)) => Ok(to.saturating_duration_since(*from)),
            _ => Err(DeviceError::Call("no such mark".into())),
        }
    }

    fn blas(&mut self) -> Option<&mut dyn Blas> {
        Some(self)
    }

    fn solver(&mut self) -> Option<&mut dyn Solver> {
        Some(self)
    }
}
