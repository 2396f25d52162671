//! A card as a [`Device`]: its context, its memory, its compiler, its libraries.

use super::blas::BlasLibrary;
use super::code::{Code, Kernels};
use super::driver::{Context, Driver, Opaque};
use super::health::Monitor;
use super::lane::Lane;
use super::memory::Memory;
use super::solver::SolverLibrary;
use crate::discover::Options;
use offload_core::device::{
    Descriptor, Device, DeviceError, DeviceLane, Health, KernelSource, LanePriority, ModuleId,
};
use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Device memory that stays outside of the arena: modules, the libraries' own buffers, stacks.
pub(super) const HEADROOM_BYTES: u64 = 768 << 20;
/// Of the arena, what plans do not count: the solvers' workspaces.
pub(super) const WORKSPACE_SHARE: u64 = 16;

/// Bytes that the arena takes of so much free memory.
pub(crate) fn capacity_bytes(free_bytes: u64, options: &Options) -> u64 {
    options.memory_bytes.unwrap_or(u64::MAX).min(free_bytes.saturating_sub(HEADROOM_BYTES))
}

/// Bytes that plans may count on of such an arena.
pub(crate) fn planned_bytes(capacity_bytes: u64) -> u64 {
    capacity_bytes - capacity_bytes / WORKSPACE_SHARE
}

/// What the lanes of a card share.
pub(super) struct Shared {
    pub(super) driver: Driver,
    pub(super) context: Context,
    pub(super) memory: Mutex<Memory>,
    /// Where machine code comes from, or why there is none.
    pub(super) kernels: Result<Kernels, String>,
    pub(super) blas: Option<BlasLibrary>,
    pub(super) solver: Option<SolverLibrary>,
    modules: Mutex<Modules>,
}

#[derive(Default)]
struct Modules {
    ids: HashMap<KernelSource, ModuleId>,
    handles: Vec<usize>,
    /// Those that cannot be had.
    refused: HashSet<KernelSource>,
}

impl Shared {
    pub(super) fn new(
        driver: Driver,
        context: Context,
        capacity_bytes: u64,
        kernels: Result<Kernels, String>,
        blas: Option<BlasLibrary>,
        solver: Option<SolverLibrary>,
    ) -> Shared {
        Shared {
            driver,
            context,
            memory: Mutex::new(Memory::new(capacity_bytes)),
            kernels,
            blas,
            solver,
            modules: Mutex::default(),
        }
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        // The books are consistent between calls.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The module of a kernel text, compiled and loaded once per device.
    pub(super) fn module(&self, source: &KernelSource) -> Result<ModuleId, DeviceError> {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = modules.ids.get(source) {
            return Ok(*id);
        }
        let module = self.load(source).inspect_err(|e| {
            // Jobs that want it fail one after the other; the log has the reason once.
            if modules.refused.insert(*source) {
                tracing::warn!(kernel = source.name(), error = %e, "a kernel is not to be had");
            }
        })?;
        let id = ModuleId(modules.handles.len() as u64);
        modules.handles.push(module as usize);
        modules.ids.insert(*source, id);
        Ok(id)
    }

    fn load(&self, source: &KernelSource) -> Result<Opaque, DeviceError> {
        let kernels = self
            .kernels
            .as_ref()
            .map_err(|why| DeviceError::Unsupported(format!("nothing makes machine code: {why}")))?;
        let code = match kernels.code(source)? {
            Code::Machine(code) => code,
            Code::Ptx(text) => return self.driver.load_ptx(&source.name(), &text),
        };
        let mut module: Opaque = std::ptr::null_mut();
        // SAFETY: `code` is a whole image, alive during the call; the driver copies what it needs.
        let loaded = unsafe { (self.driver.calls.module_load)(&raw mut module, code.as_ptr().cast()) };
        self.driver.check("load a module", loaded)?;
        Ok(module)
    }

    /// The entry of a loaded module.
    pub(super) fn function(&self, module: ModuleId, entry: &'static str) -> Result<Opaque, DeviceError> {
        let handle = {
            let modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
            modules.handles.get(module.0 as usize).copied()
        };
        let handle = handle.ok_or_else(|| DeviceError::Call(format!("no module {}", module.0)))?;
        let name =
            CString::new(entry).map_err(|_| DeviceError::Call("an entry's name holds a zero".into()))?;
        let mut function: Opaque = std::ptr::null_mut();
        // SAFETY: the module was loaded in this context and is never unloaded.
        let code = unsafe {
            (self.driver.calls.module_function)(&raw mut function, handle as Opaque, name.as_ptr())
        };
        self.driver.check(entry, code)?;
        Ok(function)
    }
}

/// A card.
pub(super) struct Card {
    pub(super) descriptor: Descriptor,
    pub(super) shared: Arc<Shared>,
    pub(super) monitor: Option<Monitor>,
}

impl Device for Card {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn open_lane(&self, priority: LanePriority) -> Result<Box<dyn DeviceLane>, DeviceError> {
        Ok(Box::new(Lane::open(Arc::clone(&self.shared), priority)?))
    }

    fn health(&self) -> Result<Health, DeviceError> {
        self.shared.driver.enter(self.shared.context)?;
        let mut health = self.shared.driver.health()?;
        if let Some(monitor) = &self.monitor {
            monitor.fill(&mut health)?;
        }
        Ok(health)
    }

    fn pin(&self, region: &[u8]) -> Result<(), DeviceError> {
        let driver = &self.shared.driver;
        driver.enter(self.shared.context)?;
        // SAFETY: the caller keeps the region mapped until it is unpinned.
        driver.check("pin", unsafe { (driver.calls.pin)(region.as_ptr().cast_mut().cast(), region.len(), 0) })
    }

    fn unpin(&self, region: &[u8]) -> Result<(), DeviceError> {
        let driver = &self.shared.driver;
        driver.enter(self.shared.context)?;
        // SAFETY: the region was pinned by `pin`.
        driver.check("unpin", unsafe { (driver.calls.unpin)(region.as_ptr().cast_mut().cast()) })
    }

    fn used_bytes(&self) -> u64 {
        self.shared.memory().used_bytes()
    }
}
