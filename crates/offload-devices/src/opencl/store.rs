//! A device's memory: counted against a budget before the driver is asked, shared by all lanes.

use super::code::Code;
use super::objects::{Context, Memory};
use offload_core::device::{DeviceError, Handle};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A piece of device memory.
#[derive(Debug)]
pub(super) struct Block {
    /// The driver's name of it.
    pub(super) memory: Memory,
    /// Bytes that were asked for.
    pub(super) bytes: usize,
}

impl Block {
    /// Refuses a range that is not inside.
    pub(super) fn holds(&self, offset: usize, bytes: usize) -> Result<(), DeviceError> {
        match offset.checked_add(bytes) {
            Some(end) if end <= self.bytes => Ok(()),
            _ => Err(DeviceError::Call(format!("{bytes} bytes at {offset} are outside of {}", self.bytes))),
        }
    }
}

/// Every block of a device.
#[derive(Debug)]
pub(super) struct Store {
    budget_bytes: u64,
    /// What the driver gives in one piece.
    largest_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used_bytes: u64,
    next: u64,
    blocks: HashMap<u64, Arc<Block>>,
}

impl Store {
    /// No block yet, and this much room.
    pub(super) fn new(budget_bytes: u64, largest_bytes: u64) -> Store {
        Store { budget_bytes, largest_bytes, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes in use.
    pub(super) fn used_bytes(&self) -> u64 {
        self.lock().used_bytes
    }

    /// The failure of an allocation of this size.
    pub(super) fn full(&self, needed_bytes: u64) -> DeviceError {
        DeviceError::OutOfMemory { needed_bytes, free_bytes: self.budget_bytes - self.used_bytes() }
    }

    /// A block of this size, its content undefined.
    pub(super) fn take(&self, context: &Context, bytes: usize) -> Result<Handle, TakeError> {
        let needed_bytes = bytes as u64;
        {
            let mut state = self.lock();
            let free_bytes = (self.budget_bytes - state.used_bytes).min(self.largest_bytes);
            if needed_bytes > free_bytes {
                return Err(TakeError::Full(DeviceError::OutOfMemory { needed_bytes, free_bytes }));
            }
            state.used_bytes += needed_bytes;
        }
        // The driver has no memory of size 0.
        let made = context.memory(bytes.max(1));
        let mut state = self.lock();
        match made {
            Ok(memory) => {
                state.next += 1;
                let id = state.next;
                state.blocks.insert(id, Arc::new(Block { memory, bytes }));
                Ok(Handle(id))
            }
            Err(code) => {
                state.used_bytes -= needed_bytes;
                drop(state);
                Err(if code.is_memory() {
                    TakeError::Full(self.full(needed_bytes))
                } else {
                    TakeError::Code(code)
                })
            }
        }
    }

    /// Gives a block back; commands that were started on it end first.
    pub(super) fn give_back(&self, handle: Handle) {
        let mut state = self.lock();
        if let Some(block) = state.blocks.remove(&handle.0) {
            state.used_bytes -= block.bytes as u64;
        }
    }

    /// The block behind a handle.
    pub(super) fn find(&self, handle: Handle) -> Result<Arc<Block>, DeviceError> {
        let found = self.lock().blocks.get(&handle.0).map(Arc::clone);
        found.ok_or_else(|| DeviceError::Call(format!("no memory behind handle {}", handle.0)))
    }
}

/// Why there is no block.
pub(super) enum TakeError {
    /// It does not fit.
    Full(DeviceError),
    /// The driver says something else.
    Code(Code),
}
