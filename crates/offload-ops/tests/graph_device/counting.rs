//! A device that counts the bytes it is sent.

use offload_core::TenantId;
use offload_core::device::{
    At, Blas, Descriptor, Device, DeviceError, DeviceLane, Handle, Health, KernelSource, LanePriority,
    Launch, Mark, ModuleId, Solver,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bytes that were sent so far.
#[derive(Clone, Default)]
pub struct Bytes(Arc<AtomicU64>);

impl Bytes {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A device, and the bytes it was sent.
pub struct Counting {
    device: Arc<dyn Device>,
    uploaded: Bytes,
}

impl Counting {
    pub fn new(device: Arc<dyn Device>) -> (Counting, Bytes) {
        let uploaded = Bytes::default();
        (Counting { device, uploaded: uploaded.clone() }, uploaded)
    }
}

impl Device for Counting {
    fn descriptor(&self) -> &Descriptor {
        self.device.descriptor()
    }
    fn open_lane(&self, priority: LanePriority) -> Result<Box<dyn DeviceLane>, DeviceError> {
        Ok(Box::new(Lane { lane: self.device.open_lane(priority)?, uploaded: self.uploaded.clone() }))
    }
    fn health(&self) -> Result<Health, DeviceError> {
        self.device.health()
    }
    fn used_bytes(&self) -> u64 {
        self.device.used_bytes()
    }
}

struct Lane {
    lane: Box<dyn DeviceLane>,
    uploaded: Bytes,
}

impl DeviceLane for Lane {
    fn upload(&mut self, to: Handle, offset: usize, bytes: &[u8]) -> Result<(), DeviceError> {
        self.uploaded.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.lane.upload(to, offset, bytes)
    }
    fn alloc(&mut self, tenant: &TenantId, bytes: usize) -> Result<Handle, DeviceError> {
        self.lane.alloc(tenant, bytes)
    }
    fn free(&mut self, handle: Handle) {
        self.lane.free(handle);
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
    fn compile(&mut self, source: &KernelSource) -> Result<ModuleId, DeviceError> {
        self.lane.compile(source)
    }
    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), DeviceError> {
        self.lane.launch(launch)
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
    fn blas(&mut self) -> Option<&mut dyn Blas> {
        self.lane.blas()
    }
    fn solver(&mut self) -> Option<&mut dyn Solver> {
        self.lane.solver()
    }
}
