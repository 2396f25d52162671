//! A device's memory: the books of the arena, and the chunks behind them.

use super::driver::{Address, Driver, Opaque};
use crate::memory::{Arena, ChunkId, Config, Region, Taken};
use offload_core::TenantId;
use offload_core::device::{DeviceError, Handle};
use std::collections::HashMap;

/// The smallest step between addresses: what the widest loads and the libraries want.
const ALIGN_BYTES: u64 = 512;
/// What is asked of the driver at a time.
const CHUNK_BYTES: u64 = 256 << 20;

/// The memory of one device, shared by its lanes.
pub(super) struct Memory {
    arena: Arena,
    chunks: HashMap<ChunkId, Address>,
}

impl Memory {
    pub(super) fn new(capacity_bytes: u64) -> Memory {
        let chunk_bytes = CHUNK_BYTES.min(capacity_bytes.max(ALIGN_BYTES));
        Memory {
            arena: Arena::new(Config { capacity_bytes, chunk_bytes, align_bytes: ALIGN_BYTES }),
            chunks: HashMap::new(),
        }
    }

    /// Memory for a tenant. New chunks are zeroed on `stream`, and have been when this returns.
    pub(super) fn take(
        &mut self,
        driver: &Driver,
        stream: Opaque,
        tenant: &TenantId,
        bytes: u64,
    ) -> Result<Handle, DeviceError> {
        let mut returned = false;
        loop {
            match self.arena.take(tenant, bytes) {
                Ok(Taken::Region(handle, _)) => return Ok(handle),
                Ok(Taken::NeedsChunk { bytes }) => self.grow(driver, stream, bytes)?,
                // Several small chunks can make room for a large one.
                Err(DeviceError::OutOfMemory { .. }) if !returned && self.return_idle(driver) => {
                    returned = true
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn grow(&mut self, driver: &Driver, stream: Opaque, bytes: u64) -> Result<(), DeviceError> {
        let refused = |e| match e {
            DeviceError::OutOfMemory { .. } => DeviceError::OutOfMemory {
                needed_bytes: bytes,
                free_bytes: driver.memory_info().map_or(0, |m| m.0),
            },
            e => e,
        };
        let address = match alloc(driver, bytes) {
            Err(DeviceError::OutOfMemory { .. }) => {
                self.return_idle(driver);
                alloc(driver, bytes).map_err(refused)?
            }
            other => other?,
        };
        let clean = set(driver, stream, address, 0, bytes).and_then(|()| synchronize(driver, stream));
        if let Err(e) = clean {
            // SAFETY: the address came from the driver and is not in the arena.
            unsafe { (driver.calls.free)(address) };
            return Err(e);
        }
        let id = self.arena.add_chunk(bytes);
        self.chunks.insert(id, address);
        Ok(())
    }

    /// Returns wholly free chunks to the driver; whether there were any.
    fn return_idle(&mut self, driver: &Driver) -> bool {
        let idle = self.arena.idle_chunks();
        for id in &idle {
            if let Some(address) = self.chunks.remove(id) {
                // SAFETY: nothing of the chunk is handed out: the arena has just let it go.
                unsafe { (driver.calls.free)(address) };
            }
        }
        !idle.is_empty()
    }

    /// Where a handle's bytes are, and how many.
    pub(super) fn place(&self, handle: Handle) -> Result<(Address, u64), DeviceError> {
        let region = self.arena.region(handle);
        let at = |r: Region| self.chunks.get(&r.chunk).map(|base| (base + r.offset, r.bytes));
        region.and_then(at).ok_or_else(|| DeviceError::Call(format!("no memory behind handle {}", handle.0)))
    }

    /// Gives scrubbed memory back.
    pub(super) fn give_back(&mut self, handle: Handle) {
        self.arena.give_back(handle);
    }

    /// Never hands this memory out again: it could not be scrubbed.
    pub(super) fn retire(&mut self, handle: Handle) {
        self.arena.retire(handle);
    }

    /// Bytes in use by jobs.
    pub(super) fn used_bytes(&self) -> u64 {
        self.arena.used_bytes()
    }
}

fn alloc(driver: &Driver, bytes: u64) -> Result<Address, DeviceError> {
    let mut address = 0;
    // SAFETY: `address` outlives the call.
    driver.check("alloc", unsafe { (driver.calls.alloc)(&raw mut address, bytes as usize) })?;
    Ok(address)
}

/// Fills device memory with a byte, in stream order.
pub(super) fn set(
    driver: &Driver,
    stream: Opaque,
    at: Address,
    byte: u8,
    bytes: u64,
) -> Result<(), DeviceError> {
    if bytes == 0 {
        return Ok(());
    }
    // SAFETY: the caller's range lies within memory the driver gave.
    driver.check("set", unsafe { (driver.calls.set)(at, byte, bytes as usize, stream) })
}

/// Waits until everything on the stream has run.
pub(super) fn synchronize(driver: &Driver, stream: Opaque) -> Result<(), DeviceError> {
    // SAFETY: the stream is the caller's and alive.
    driver.check("synchronize", unsafe { (driver.calls.stream_synchronize)(stream) })
}
