//! Launches that a job makes again and again with the same arguments: made one by one at first, then recorded once and
//! started as one, where the lane can do that.

use super::{At, DeviceError, Gpu, Handle, Launch, Phase, Recording};
use crate::Failure;
use crate::device::Argument;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Rounds that are made one by one. To record one costs about as much as making it once or twice, so whoever ends soon
/// loses nothing, and whoever goes on loses little.
pub const PLAIN_ROUNDS: usize = 2;

/// A round of more commands than this is not recorded: what a recording takes of the driver's memory is in no plan, and a
/// host is rarely behind with so many.
pub const MOST_COMMANDS: usize = 1024;

/// Commands of recordings that may be under way before the host waits for them, so that a job that is cancelled ends soon:
/// about as many as drivers take of single launches.
const MOST_UNDER_WAY: usize = 1024;

/// Rounds of the same launches.
///
/// The body may start kernels, copy within the device and clear buffers, with the same arguments each time. Everything
/// else is refused on every device, recorded or not: memory, uploads and downloads, waits, library calls, and a round that
/// differs from the first. So a wrong body is found wherever it runs.
pub struct Rounds<F> {
    body: F,
    made: usize,
    first: Option<Commands>,
    recording: Option<Recording>,
    /// Whether no more is to be tried than making rounds one by one.
    plain: bool,
}

impl<F: Fn(&mut Gpu<'_>) -> Result<(), Failure>> Rounds<F> {
    /// Rounds that `body` makes. They belong to one job.
    pub fn new(body: F) -> Rounds<F> {
        Rounds { body, made: 0, first: None, recording: None, plain: false }
    }

    /// Makes so many rounds more. Whether the job was cancelled is looked at before each round, and each launch of a body.
    ///
    /// # Errors
    /// Those of the body; when the device fails; [`DeviceError::Call`] when a round asks for what no round may, or for
    /// something else than the first.
    pub fn run(&mut self, gpu: &mut Gpu<'_>, times: usize) -> Result<(), Failure> {
        gpu.begin_rounds()?;
        for _ in 0..times {
            gpu.context.check()?;
            if self.recording.is_none() && !self.plain && self.made >= PLAIN_ROUNDS {
                self.record(gpu)?;
            }
            if !self.replayed(gpu)? {
                let (made, commands) = self.watched(gpu);
                made?;
                self.same(commands)?;
                self.made += 1;
            }
        }
        Ok(())
    }

    /// Runs the body, and notes what it asks for.
    fn watched(&self, gpu: &mut Gpu<'_>) -> (Result<(), Failure>, Commands) {
        gpu.open_round();
        let made = (self.body)(gpu);
        (made, gpu.close_round())
    }

    fn same(&mut self, commands: Commands) -> Result<(), Failure> {
        if *self.first.get_or_insert_with(|| commands.clone()) == commands {
            return Ok(());
        }
        Err(DeviceError::Call("a round of launches differs from the first".into()).into())
    }

    /// Starts the recording; false where there is none, or none any more, and nothing was started.
    fn replayed(&mut self, gpu: &mut Gpu<'_>) -> Result<bool, Failure> {
        let (Some(recording), Some(first)) = (self.recording, &self.first) else { return Ok(false) };
        match gpu.lane.replay(recording) {
            Ok(()) => gpu.under_way(first.count).map(|()| true),
            Err(e) if e.is_sticky() => Err(e.into()),
            Err(_) => {
                // Refused, so nothing of it has run; single launches tell whether the device is well.
                self.recording = None;
                Ok(false)
            }
        }
    }

    /// Tries to record a round. Where that fails and the device is well, rounds go on being made one by one.
    fn record(&mut self, gpu: &mut Gpu<'_>) -> Result<(), Failure> {
        self.plain = true;
        if self.first.as_ref().is_none_or(|first| first.count > MOST_COMMANDS) {
            return Ok(());
        }
        let began = gpu.begin_recording();
        if !well(began.map_err(Failure::from))?.unwrap_or(false) {
            return Ok(());
        }
        let (made, commands) = self.watched(gpu);
        let recorded = gpu.end_recording(made.is_ok());
        // A lost device goes before whatever the round says of itself.
        let recording = well(recorded.map_err(Failure::from))?.flatten();
        if well(made)?.is_some() {
            self.same(commands)?;
            self.recording = recording;
        }
        Ok(())
    }
}

impl Gpu<'_> {
    /// Before rounds of launches.
    fn begin_rounds(&mut self) -> Result<(), DeviceError> {
        self.not_in_a_round("begin others")?;
        self.enter(Phase::Compute)
    }

    /// Notes what is asked for from here on, as a round.
    fn open_round(&mut self) {
        self.round = Some(Commands::default());
    }

    /// What the round asked for.
    fn close_round(&mut self) -> Commands {
        self.round.take().unwrap_or_default()
    }

    /// As [`DeviceLane::begin_recording`].
    fn begin_recording(&mut self) -> Result<bool, DeviceError> {
        self.is_recording = self.lane.begin_recording()?;
        Ok(self.is_recording)
    }

    /// As [`DeviceLane::end_recording`]; what is kept is forgotten when the job ends.
    fn end_recording(&mut self, keep: bool) -> Result<Option<Recording>, DeviceError> {
        self.is_recording = false;
        let recording = self.lane.end_recording(keep)?;
        self.recordings.extend(recording);
        Ok(recording)
    }

    /// So many commands more were started as one: waits when they are many.
    fn under_way(&mut self, commands: usize) -> Result<(), Failure> {
        self.under_way += commands;
        if self.under_way >= MOST_UNDER_WAY { self.synchronize() } else { Ok(()) }
    }
}

/// Nothing where a call failed and the device may go on.
fn well<T>(result: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Failure::Fault(e)) if !e.is_sticky() => Ok(None),
        Err(e) => Err(e),
    }
}

/// What a round asked for: how many commands, and a hash of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Commands {
    count: usize,
    hash: DefaultHasher,
}

impl PartialEq for Commands {
    fn eq(&self, other: &Commands) -> bool {
        (self.count, self.hash.finish()) == (other.count, other.hash.finish())
    }
}

impl Commands {
    pub(super) fn launch(&mut self, launch: &Launch<'_>) {
        (launch.module, launch.entry, launch.groups, launch.block).hash(&mut self.hash);
        for argument in launch.arguments {
            std::mem::discriminant(argument).hash(&mut self.hash);
            match *argument {
                Argument::Buffer(handle) => handle.hash(&mut self.hash),
                Argument::I32(x) => x.hash(&mut self.hash),
                Argument::U32(x) => x.hash(&mut self.hash),
                Argument::I64(x) => x.hash(&mut self.hash),
                Argument::U64(x) => x.hash(&mut self.hash),
                Argument::F32(x) => x.to_bits().hash(&mut self.hash),
                Argument::F64(x) => x.to_bits().hash(&mut self.hash),
            }
        }
        self.count += 1;
    }

    pub(super) fn copy(&mut self, from: At, to: At, bytes: usize) {
        ("copy", from.handle, from.offset_bytes, to.handle, to.offset_bytes, bytes).hash(&mut self.hash);
        self.count += 1;
    }

    pub(super) fn clear(&mut self, handle: Handle) {
        ("clear", handle).hash(&mut self.hash);
        self.count += 1;
    }
}

#[cfg(test)]
mod tests;
