//! Giving device memory back: zeroed first, or never handed out again.

use super::{DeviceError, DeviceLane, Handle};

/// Zeroes memory, waits until that has happened, and gives it back; with nothing to give back it only waits.
///
/// A wait also reports what failed before it, so where the first attempt fails a second one tells whether the memory
/// itself is at fault. Only then is it retired, and the device counts as lost: it may still be writing there.
///
/// # Errors
/// The first failure; [`DeviceError::Lost`] when the second attempt fails too.
pub(super) fn hand_back(lane: &mut dyn DeviceLane, handles: &[Handle]) -> Result<(), DeviceError> {
    let first = zero(lane, handles);
    let zeroed = match &first {
        Err(e) if !e.is_sticky() => zero(lane, handles),
        other => other.clone(),
    };
    for handle in handles {
        match zeroed {
            Ok(()) => lane.free(*handle),
            Err(_) => lane.retire(*handle),
        }
    }
    match zeroed {
        Ok(()) => first,
        Err(e) if e.is_sticky() => Err(e),
        Err(e) => Err(DeviceError::Lost(format!("memory cannot be zeroed: {e}"))),
    }
}

fn zero(lane: &mut dyn DeviceLane, handles: &[Handle]) -> Result<(), DeviceError> {
    let mut result = Ok(());
    for handle in handles {
        result = result.and(lane.set(*handle, 0));
    }
    // Waited for even so: what runs must have ended before anything else is decided.
    result.and(lane.synchronize())
}

#[cfg(test)]
mod tests;
