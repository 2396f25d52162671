//! An operation that takes as much device memory as it is told, and looks at what it gets.

use offload_api::{Field, Priority, Record, Tensor, TensorSpec, Value};
use offload_core::device::Gpu;
use offload_core::{
    About, AnyOperation, Case, Context, DeviceNeed, Failure, Operation, Plan, PlannedOutput, Registered,
    Registry, Rejection, Slot, int,
};
use std::sync::LazyLock;
use std::time::Duration;

offload_core::inputs! {
    /// How much to take.
    pub struct Inputs<T> (dtype: F64) {
        /// Bytes of device memory.
        bytes: i64 = int(1, 1 << 40),
        /// In how many pieces.
        pieces: i64 = int(1, 64),
        /// Bytes of host memory that the plan names.
        host: i64 = int(0, 1 << 40),
        /// What it writes there.
        mark: i64 = int(0, i64::MAX),
        /// Whether it finds that its input has no answer.
        hopeless: bool,
        /// Nothing.
        a: Option<T> = offload_core::real(1, 1),
    }
}

pub struct Fill;

/// Words that a job writes to both ends of each piece.
const MARKS: usize = 16;

impl Operation for Fill {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record;

    fn about() -> About {
        About {
            family: "made",
            name: "fill",
            version: 1,
            summary: "made for a test",
            doc: "made for a test",
            default_priority: Priority::Medium,
            work_unit: "nothing",
            outputs: Vec::<Field>::new(),
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        Ok(Plan {
            work: 1e6,
            bytes_in: 16,
            bytes_out: 16,
            host_bytes: inputs.host as u64,
            device: DeviceNeed::Bytes(inputs.bytes as u64),
            outputs: vec![PlannedOutput { name: "result", spec: None }],
        })
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record, Failure> {
        std::thread::sleep(Duration::from_millis(1));
        ctx.check()?;
        answer(&inputs)
    }

    fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record, Failure> {
        let marks = vec![inputs.mark; MARKS.min(inputs.bytes as usize / 8)];
        let mine = gpu.upload(&marks)?;
        let mut left = inputs.bytes as usize - size_of_val(&*marks);
        let mut held = Vec::new();
        for piece in 1..=inputs.pieces {
            // Uneven pieces, together all that was planned.
            let take = if piece == inputs.pieces { left } else { left / 2 };
            left -= take;
            let memory = gpu.zeros::<i64>(take / 8)?;
            gpu.zeros::<u8>(take % 8)?;
            let n = marks.len().min(memory.len());
            for start in [0, memory.len() - n] {
                gpu.copy((&mine, 0), (&memory, start), n)?;
            }
            held.push((memory, n));
            gpu.context().check()?;
        }
        assert_eq!(gpu.free_bytes(), 0, "the plan is what it takes");
        std::thread::sleep(Duration::from_micros(200));
        for (memory, n) in &held {
            for start in [0, memory.len() - n] {
                let seen = gpu.download_range(memory, start, *n)?;
                assert!(seen.iter().all(|w| *w == inputs.mark), "another job wrote into this one's memory");
            }
        }
        answer(&inputs)
    }

    fn cases() -> Vec<Case> {
        Vec::new()
    }
}

fn answer(inputs: &Inputs<Tensor>) -> Result<Record, Failure> {
    if inputs.hopeless {
        return Err(Failure::unprocessable("hopeless", "there is no answer", serde_json::json!({})));
    }
    Ok(Record::new().with("result", Value::Int(inputs.bytes)))
}

pub fn operations() -> &'static [&'static dyn AnyOperation] {
    &[&Fill]
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::new(operations().iter().copied()));

pub fn fill() -> &'static Registered {
    REGISTRY.find("made", "fill").unwrap()
}
