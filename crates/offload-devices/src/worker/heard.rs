//! What either end of a lane hears, from bytes alone: for the fuzzing of both, which has no process at the other end.
//!
//! The bytes go through a real socket and lie in a real shared region; what is decoded is decoded by what the lanes use.

use super::channel::{Channel, ReceiveError};
use super::encode::{Copied, Packing, unpack};
use super::protocol::{ToService, ToWorker};
use super::region::Region;
use offload_api::{Record, Tensor};
use offload_core::device::GpuTimings;
use offload_core::{Failure, Registered, TenantId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// The outputs that a worker's message holds, if it holds any. `memory` is what lies in the region that it speaks of.
///
/// # Errors
/// What is wrong with the message.
pub fn by_service(
    message: &[u8],
    memory: &[u8],
    operation: &Registered,
) -> Result<Option<Record<Tensor>>, String> {
    match received::<ToService<String>>(message)? {
        ToService::Missing { .. } => Ok(None),
        ToService::Done { outputs, .. } => {
            unpack(outputs, operation, &Copied::of(Some(&region(memory)?))).map(Some)
        }
        ToService::Failed { failure, .. } => {
            // Whatever the worker says becomes an error of the service's own.
            let _ = Failure::from(failure);
            Ok(None)
        }
    }
}

/// The inputs that a message of the service holds, if it holds any.
///
/// # Errors
/// What is wrong with the message.
pub fn by_worker(
    message: &[u8],
    memory: &[u8],
    operation: &Registered,
) -> Result<Option<Record<Tensor>>, String> {
    match received::<ToWorker<String>>(message)? {
        ToWorker::Brought | ToWorker::Read { .. } => Ok(None),
        ToWorker::Run { tenant, inputs, .. } => {
            let _ = TenantId::new(&tenant);
            unpack(inputs, operation, &Copied::of(Some(&region(memory)?))).map(Some)
        }
    }
}

/// The message in which a worker sends these outputs, and what lies in its memory then.
///
/// # Panics
/// When the system gives no socket.
pub fn said(outputs: Record<Tensor>) -> (Vec<u8>, Vec<u8>) {
    let packing = Packing::of(outputs, false);
    let mut memory = vec![0; packing.total];
    for piece in &packing.pieces {
        memory[piece.at..piece.at + piece.len()].copy_from_slice(piece.bytes());
    }
    (sent(&ToService::Done { outputs: packing.values, timings: GpuTimings::default() }), memory)
}

/// The message in which the service sends a job with these inputs.
///
/// # Panics
/// When the system gives no socket.
pub fn asked(operation: &str, inputs: Record<Tensor>) -> Vec<u8> {
    let inputs = Packing::of(inputs, false).values;
    sent(&ToWorker::Run {
        operation: operation.to_owned(),
        tenant: "t".to_owned(),
        reserved_bytes: 1,
        inputs,
    })
}

fn region(memory: &[u8]) -> Result<Region, String> {
    let region = Region::create(memory.len().max(1)).map_err(|e| e.to_string())?;
    region.write(0, memory).ok_or("it does not fit")?;
    Ok(region)
}

fn received<T: DeserializeOwned>(message: &[u8]) -> Result<T, String> {
    let io = |e: std::io::Error| e.to_string();
    let (mut far, near) = UnixStream::pair().map_err(io)?;
    let mut channel = Channel::over(OwnedFd::from(near)).map_err(io)?;
    // What a socket does not take is not sent: nobody reads it meanwhile.
    far.set_nonblocking(true).map_err(io)?;
    far.write_all(message).map_err(io)?;
    drop(far);
    match channel.receive::<T>(None) {
        Ok((message, _)) => Ok(message),
        Err(ReceiveError::Closed | ReceiveError::TimedOut) => Err("it breaks off".into()),
        Err(ReceiveError::Garbage(what)) => Err(what),
    }
}

fn sent(message: &impl Serialize) -> Vec<u8> {
    let bytes = UnixStream::pair().and_then(|(near, mut far)| {
        Channel::over(OwnedFd::from(near))?.send(message, &[])?;
        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    bytes.unwrap_or_else(|e| panic!("there is no socket: {e}"))
}
