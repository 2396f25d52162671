//! A lane that notes which kernels are started, and may compile another text in place of one.

use offload_core::TenantId;
use offload_core::device::{
    At, Blas, DeviceError, DeviceLane, Gemm, Handle, KernelSource, KernelText, Launch, Mark, ModuleId, Solver,
};
use offload_devices::kernels;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// A lane, and what was started on it.
pub(crate) struct Recorder {
    lane: Box<dyn DeviceLane>,
    names: HashMap<ModuleId, String>,
    items: BTreeMap<String, u64>,
    replacement: Option<(&'static KernelText, &'static KernelText)>,
}

impl Recorder {
    /// Nothing was started yet.
    pub(crate) fn new(lane: Box<dyn DeviceLane>) -> Recorder {
        Recorder { lane, names: HashMap::new(), items: BTreeMap::new(), replacement: None }
    }

    /// From here on `new` is compiled where `old` is asked for.
    pub(crate) fn replace(&mut self, old: &'static KernelText, new: &'static KernelText) {
        self.replacement = Some((old, new));
    }

    /// The entries that were started since the last call (`gemm_tiled_f32/gemm_tiled`: the text with its element type, the
    /// entry), and the items of all those starts.
    pub(crate) fn take_items(&mut self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.items)
    }
}

impl DeviceLane for Recorder {
    fn compile(&mut self, source: &KernelSource) -> Result<ModuleId, DeviceError> {
        let module = self.lane.compile(&crate::replaced(source, self.replacement))?;
        self.names.insert(module, source.name());
        Ok(module)
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), DeviceError> {
        self.lane.launch(launch)?;
        let items =
            launch.groups.iter().fold(u64::from(launch.block), |n, g| n.saturating_mul(u64::from(*g)));
        if let Some(name) = self.names.get(&launch.module) {
            *self.items.entry(format!("{name}/{}", launch.entry)).or_default() += items;
        }
        Ok(())
    }

    fn blas(&mut self) -> Option<&mut dyn Blas> {
        Some(self)
    }

    fn alloc(&mut self, tenant: &TenantId, bytes: usize) -> Result<Handle, DeviceError> {
        self.lane.alloc(tenant, bytes)
    }
    fn free(&mut self, handle: Handle) {
        self.lane.free(handle);
    }
    fn upload(&mut self, to: Handle, offset: usize, bytes: &[u8]) -> Result<(), DeviceError> {
        self.lane.upload(to, offset, bytes)
    }
    fn download(&mut self, from: Handle, offset: usize, bytes: &mut [u8]) -> Result<(), DeviceError> {
        self.lane.download(from, offset, bytes)
    }
    fn set(&mut self, to: Handle, byte: u8) -> Result<(), DeviceError> {
        self.lane.set(to, byte)
    }
    fn copy(&mut self, from: At, to: At, bytes: usize) -> Result<(), DeviceError> {
        self.lane.copy(from, to, bytes)
    }
    fn synchronize(&mut self) -> Result<(), DeviceError> {
        self.lane.synchronize()
    }
    fn mark(&mut self) -> Result<Mark, DeviceError> {
        self.lane.mark()
    }
    fn between(&mut self, from: Mark, to: Mark) -> Result<Duration, DeviceError> {
        self.lane.between(from, to)
    }
    fn solver(&mut self) -> Option<&mut dyn Solver> {
        self.lane.solver()
    }
}

impl Blas for Recorder {
    /// The lane's own is the same function; here its starts are seen.
    fn gemm(&mut self, gemm: &Gemm, double: bool, a: At, b: At, c: At) -> Result<(), DeviceError> {
        kernels::gemm(self, gemm, double, a, b, c)
    }
}
