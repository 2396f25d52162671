//! The test device's memory: chunks of host memory under the arena, kept to its zero rule as a driver does.

use super::Fault;
use crate::memory::{Arena, ChunkId, Config, Taken};
use offload_core::TenantId;
use offload_core::device::{DeviceError, Handle};
use std::collections::HashMap;

/// What a chunk holds when the system gives it.
const GARBAGE: u8 = 0xa5;
/// Bytes of a chunk: few and large ones leave the fewest pieces that are too small for anything.
const CHUNK_BYTES: u64 = 64 << 20;

pub(super) type Watch = Box<dyn FnMut(&TenantId, u64, u64) + Send>;

pub(super) struct Store {
    arena: Arena,
    chunks: HashMap<ChunkId, Vec<u8>>,
    watch: Option<Watch>,
}

impl Store {
    pub(super) fn new(capacity_bytes: u64) -> Store {
        let arena = Arena::new(Config { chunk_bytes: CHUNK_BYTES, ..Config::new(capacity_bytes) });
        Store { arena, chunks: HashMap::new(), watch: None }
    }

    pub(super) fn arena(&self) -> &Arena {
        &self.arena
    }

    pub(super) fn watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    /// Memory for a tenant; `fault` is asked at each chunk that is made for it.
    pub(super) fn take(
        &mut self,
        tenant: &TenantId,
        bytes: u64,
        mut fault: impl FnMut() -> Option<Fault>,
    ) -> Result<Handle, DeviceError> {
        let mut returned = false;
        loop {
            match self.arena.take(tenant, bytes) {
                Ok(Taken::Region(handle, _)) => {
                    if let Some(watch) = &mut self.watch {
                        watch(tenant, self.arena.used_by(tenant), self.arena.used_bytes());
                    }
                    return Ok(handle);
                }
                Ok(Taken::NeedsChunk { bytes: size }) => {
                    let fault = fault();
                    if fault == Some(Fault::OutOfMemory) {
                        return Err(DeviceError::OutOfMemory { needed_bytes: bytes, free_bytes: 0 });
                    }
                    let mut chunk = vec![GARBAGE; size as usize];
                    if fault != Some(Fault::Ignored) {
                        chunk.fill(0);
                    }
                    let id = self.arena.add_chunk(size);
                    self.chunks.insert(id, chunk);
                }
                // Several small chunks can make room for a large one.
                Err(DeviceError::OutOfMemory { .. }) if !returned && self.return_idle() => returned = true,
                Err(e) => return Err(e),
            }
        }
    }

    fn return_idle(&mut self) -> bool {
        let idle = self.arena.idle_chunks();
        for id in &idle {
            self.chunks.remove(id);
        }
        !idle.is_empty()
    }

    pub(super) fn give_back(&mut self, handle: Handle) {
        self.arena.give_back(handle);
    }

    pub(super) fn retire(&mut self, handle: Handle) {
        self.arena.retire(handle);
    }

    /// The bytes of a region as they were asked for.
    pub(super) fn bytes(&mut self, handle: Handle) -> Option<&mut [u8]> {
        let region = self.arena.region(handle)?;
        self.slice(handle, region.bytes)
    }

    /// All bytes that a region occupies.
    pub(super) fn occupied(&mut self, handle: Handle) -> Option<&mut [u8]> {
        let bytes = self.arena.occupied_bytes(handle)?;
        self.slice(handle, bytes)
    }

    fn slice(&mut self, handle: Handle, bytes: u64) -> Option<&mut [u8]> {
        let region = self.arena.region(handle)?;
        let chunk = self.chunks.get_mut(&region.chunk)?;
        chunk.get_mut(region.offset as usize..(region.offset + bytes) as usize)
    }

    /// The device was restarted.
    pub(super) fn clear(&mut self) {
        self.arena.clear();
        self.chunks.clear();
    }
}
