//! Which calls rounds make, seen from a lane that notes them, and what no round may ask for.

use super::*;
use crate::device::{
    Backend, Blas, Descriptor, DeviceLane, Gemm, KernelSource, Mark, ModuleId, Residents, Solver,
};
use crate::{Cancel, Context, Progress, TenantId};
use offload_api::{Record, Tensor};
use std::time::Duration;

/// Notes calls, and records where it is told to. The call of this name fails so.
#[derive(Default)]
struct Notes {
    calls: Vec<&'static str>,
    records: bool,
    failing: Option<(&'static str, DeviceError)>,
    taken: u64,
}

impl Notes {
    fn call(&mut self, name: &'static str) -> Result<(), DeviceError> {
        self.calls.push(name);
        match &self.failing {
            Some((failing, e)) if *failing == name => Err(e.clone()),
            _ => Ok(()),
        }
    }

    /// How many calls of this name there were.
    fn count(&self, name: &str) -> usize {
        self.calls.iter().filter(|call| **call == name).count()
    }
}

impl DeviceLane for Notes {
    fn alloc(&mut self, _: &TenantId, _: usize) -> Result<Handle, DeviceError> {
        self.taken += 1;
        Ok(Handle(self.taken))
    }
    fn free(&mut self, _: Handle) {}
    fn upload(&mut self, _: Handle, _: usize, _: &[u8]) -> Result<(), DeviceError> {
        self.call("upload")
    }
    fn download(&mut self, _: Handle, _: usize, _: &mut [u8]) -> Result<(), DeviceError> {
        self.call("download")
    }
    fn set(&mut self, _: Handle, _: u8) -> Result<(), DeviceError> {
        self.call("set")
    }
    fn copy(&mut self, _: At, _: At, _: usize) -> Result<(), DeviceError> {
        self.call("copy")
    }
    fn compile(&mut self, _: &KernelSource) -> Result<ModuleId, DeviceError> {
        Ok(ModuleId(0))
    }
    fn launch(&mut self, _: &Launch<'_>) -> Result<(), DeviceError> {
        self.call("launch")
    }
    fn begin_recording(&mut self) -> Result<bool, DeviceError> {
        self.call("begin")?;
        Ok(self.records)
    }
    fn end_recording(&mut self, keep: bool) -> Result<Option<Recording>, DeviceError> {
        self.call("end")?;
        Ok(keep.then_some(Recording(7)))
    }
    fn replay(&mut self, _: Recording) -> Result<(), DeviceError> {
        self.call("replay")
    }
    fn forget(&mut self, _: Recording) {
        self.calls.push("forget");
    }
    fn synchronize(&mut self) -> Result<(), DeviceError> {
        self.call("wait")
    }
    fn mark(&mut self) -> Result<Mark, DeviceError> {
        Ok(Mark(0))
    }
    fn between(&mut self, _: Mark, _: Mark) -> Result<Duration, DeviceError> {
        Ok(Duration::ZERO)
    }
    fn blas(&mut self) -> Option<&mut dyn Blas> {
        None
    }
    fn solver(&mut self) -> Option<&mut dyn Solver> {
        None
    }
}

/// What `work` answers as a job on this lane, and then the job itself.
fn job(
    lane: &mut Notes,
    cancel: &Cancel,
    work: impl FnOnce(&mut Gpu<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (residents, device) = (Residents::new(0), Descriptor::new(0, "notes", Backend::Test, 1 << 20));
    let context = Context::new(cancel.clone(), Progress::default());
    let mut gpu = Gpu::new(lane, &device, &residents, TenantId::new("t"), context, 1 << 20);
    let result = work(&mut gpu);
    gpu.end(result.map(|()| Record::<Tensor>::new())).result.map(drop)
}

fn launch(gpu: &mut Gpu<'_>, arguments: &[Argument]) -> Result<(), Failure> {
    gpu.launch(&Launch { module: ModuleId(0), entry: "entry", groups: [1, 1, 1], block: 64, arguments })
}

/// Makes so many rounds of a launch and a copy.
fn rounds(lane: &mut Notes, times: usize) -> Result<(), Failure> {
    job(lane, &Cancel::default(), |gpu| {
        let (x, y) = (gpu.zeros::<u32>(4)?, gpu.zeros::<u32>(4)?);
        let mut rounds = Rounds::new(|gpu: &mut Gpu<'_>| {
            launch(gpu, &[Argument::Buffer(x.handle()), Argument::F32(0.5)])?;
            gpu.copy((&x, 0), (&y, 0), 4)
        });
        rounds.run(gpu, 1)?;
        rounds.run(gpu, times - 1)
    })
}

#[test]
fn a_lane_that_does_not_record_makes_every_round_and_one_that_does_makes_few() {
    let mut plain = Notes::default();
    rounds(&mut plain, 9).unwrap();
    assert_eq!((plain.count("launch"), plain.count("copy"), plain.count("begin")), (9, 9, 1));
    let mut lane = Notes { records: true, ..Notes::default() };
    rounds(&mut lane, 9).unwrap();
    let (launches, replays) = (lane.count("launch"), lane.count("replay"));
    assert_eq!((launches, replays), (PLAIN_ROUNDS + 1, 9 - PLAIN_ROUNDS));
    assert_eq!((lane.count("begin"), lane.count("end"), lane.count("forget")), (1, 1, 1));
    // Memory is zeroed for the next job before what names it goes.
    assert!(lane.calls.ends_with(&["wait", "forget"]), "{:?}", lane.calls);
}

#[test]
fn what_a_driver_refuses_costs_no_round_and_what_is_lost_is_said_once() {
    for call in ["begin", "end", "replay"] {
        let refused = DeviceError::Call(call.into());
        let mut lane = Notes { records: true, failing: Some((call, refused)), ..Notes::default() };
        rounds(&mut lane, 9).unwrap();
        let recorded = usize::from(call != "begin");
        assert_eq!(lane.count("launch"), 9 + recorded, "{call}: {:?}", lane.calls);
        assert_eq!(lane.count(call), 1, "{call} is tried once");
        let lost = DeviceError::Lost(call.into());
        let mut lane = Notes { records: true, failing: Some((call, lost.clone())), ..Notes::default() };
        assert_eq!(rounds(&mut lane, 9), Err(Failure::Fault(lost)));
        assert_eq!(lane.count("launch"), PLAIN_ROUNDS + recorded, "{call}: {:?}", lane.calls);
    }
}

#[test]
fn a_cancelled_job_starts_no_recording_more() {
    let (mut lane, cancel) = (Notes { records: true, ..Notes::default() }, Cancel::default());
    let result = job(&mut lane, &cancel, |gpu| {
        let mut rounds = Rounds::new(|gpu: &mut Gpu<'_>| launch(gpu, &[]));
        rounds.run(gpu, 10)?;
        cancel.cancel();
        rounds.run(gpu, 10)
    });
    assert_eq!(result, Err(Failure::Cancelled));
    assert_eq!((lane.count("replay"), lane.count("forget")), (10 - PLAIN_ROUNDS, 1));
}

#[test]
fn no_more_is_under_way_than_a_driver_takes_of_single_launches() {
    let mut lane = Notes { records: true, ..Notes::default() };
    let (each, times) = (100, 100);
    let result = job(&mut lane, &Cancel::default(), |gpu| {
        let body = |gpu: &mut Gpu<'_>| (0..each).try_for_each(|_| launch(gpu, &[]));
        Rounds::new(body).run(gpu, times)
    });
    result.unwrap();
    let mut under_way = 0;
    for call in &lane.calls {
        under_way = match *call {
            "replay" => under_way + each,
            "wait" => 0,
            _ => under_way,
        };
        assert!(under_way <= MOST_UNDER_WAY + each, "{under_way} launches under way");
    }
    assert!(lane.count("wait") < 20, "waits are few");
}

#[test]
fn a_long_round_is_not_recorded() {
    for (each, recorded) in [(MOST_COMMANDS, 1), (MOST_COMMANDS + 1, 0)] {
        let mut lane = Notes { records: true, ..Notes::default() };
        let result = job(&mut lane, &Cancel::default(), |gpu| {
            Rounds::new(|gpu: &mut Gpu<'_>| (0..each).try_for_each(|_| launch(gpu, &[]))).run(gpu, 4)
        });
        result.unwrap();
        assert_eq!(lane.count("begin"), recorded, "{each} commands");
    }
}

/// A job whose rounds ask for something, and what it answers.
fn asking(
    records: bool,
    body: impl Fn(&mut Gpu<'_>, usize) -> Result<(), Failure>,
) -> (Result<(), Failure>, Notes) {
    let mut lane = Notes { records, ..Notes::default() };
    let made = std::cell::Cell::new(0);
    let result = job(&mut lane, &Cancel::default(), |gpu| {
        Rounds::new(|gpu: &mut Gpu<'_>| {
            made.set(made.get() + 1);
            body(gpu, made.get())
        })
        .run(gpu, 6)
    });
    (result, lane)
}

#[test]
fn a_round_that_asks_for_more_than_launches_is_refused_whether_it_is_recorded_or_not() {
    type Body = fn(&mut Gpu<'_>, usize) -> Result<(), Failure>;
    let wrong: [(&str, Body); 9] = [
        ("take memory", |gpu, _| gpu.zeros::<u32>(1).map(drop)),
        ("take memory", |gpu, _| gpu.upload(&[1u32]).map(drop)),
        ("bring inputs", |gpu, _| gpu.input::<f64>("a", &Tensor::vector(vec![1.0])).map(drop)),
        ("bring inputs", |gpu, _| gpu.derived::<u32, _>(None, "part", || Ok([1u32])).map(drop)),
        ("call a library", |gpu, _| gpu.solver().map(drop)),
        ("call a library", |gpu, _| gpu.gemm_at::<f64>(&Gemm::new(1, 1, 1), AT, AT, AT)),
        ("wait", |gpu, _| gpu.synchronize()),
        ("begin others", |gpu, _| Rounds::new(|gpu: &mut Gpu<'_>| launch(gpu, &[])).run(gpu, 1)),
        ("differs from the first", |gpu, i| launch(gpu, &[Argument::U32(i as u32)])),
    ];
    for (what, body) in wrong {
        for records in [false, true] {
            let (result, lane) = asking(records, body);
            let Err(Failure::Fault(DeviceError::Call(said))) = result else { panic!("{what}: {result:?}") };
            assert!(said.contains(what), "{said}");
            assert_eq!(lane.count("begin"), 0, "{what} is found before anything is recorded");
        }
    }
    let (result, lane) = asking(true, |gpu, i| launch(gpu, &[Argument::U32((i > PLAIN_ROUNDS).into())]));
    assert!(matches!(result, Err(Failure::Fault(DeviceError::Call(_)))), "{result:?}");
    assert_eq!(
        (lane.count("replay"), lane.count("forget")),
        (0, 1),
        "a recording of another round is not started"
    );
}

const AT: At = At { handle: Handle(1), offset_bytes: 0 };

#[test]
fn a_download_in_a_round_is_refused() {
    let mut lane = Notes::default();
    let result = job(&mut lane, &Cancel::default(), |gpu| {
        let x = gpu.zeros::<u32>(4)?;
        Rounds::new(|gpu: &mut Gpu<'_>| gpu.download(&x).map(drop)).run(gpu, 1)
    });
    assert!(matches!(result, Err(Failure::Fault(DeviceError::Call(_)))), "{result:?}");
    assert_eq!(lane.count("download"), 0);
}

#[test]
fn a_round_that_panics_while_it_is_recorded_leaves_a_lane_that_runs() {
    let mut lane = Notes { records: true, ..Notes::default() };
    let made = std::cell::Cell::new(0);
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        job(&mut lane, &Cancel::default(), |gpu| {
            Rounds::new(|gpu: &mut Gpu<'_>| {
                made.set(made.get() + 1);
                assert!(made.get() <= PLAIN_ROUNDS, "on purpose");
                launch(gpu, &[])
            })
            .run(gpu, 6)
        })
    }));
    assert!(ended.is_err());
    let end = lane.calls.iter().position(|call| *call == "end");
    assert!(end < lane.calls.iter().position(|call| *call == "wait"), "{:?}", lane.calls);
    assert_eq!(lane.count("end"), 1);
}
