//! The OpenCL devices of this machine, and jobs of time series on them and on the CPU.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what went wrong by panicking")]
#![allow(dead_code, reason = "each user takes what it needs")]

use offload_api::{Record, Tensor, Value};
use offload_core::device::{DeviceHost, DeviceJob, InProcess, Isolation, JobLane, LanePriority};
use offload_core::{Context, DeviceNeed, Failure, Registered, TenantId};
use offload_devices::discover::Options;
use offload_devices::opencl;

pub struct Device {
    pub name: String,
    host: InProcess,
    lane: Box<dyn JobLane>,
}

pub fn devices() -> Vec<Device> {
    let options = Options { allow_cpu_opencl: true, ..Options::default() };
    let found = match opencl::list(&options) {
        Ok(found) => found,
        Err(why) => {
            println!("skipped: {why}");
            return Vec::new();
        }
    };
    let open = |d: &offload_core::device::Descriptor| {
        let host = InProcess::new(opencl::open(d.id, &options).unwrap());
        let lane = host.open(LanePriority::Normal).unwrap();
        Device { name: d.name.clone(), host, lane }
    };
    found.iter().map(open).collect()
}

pub fn operation(name: &str) -> &'static Registered {
    offload_ops::registry().iter().find(|r| r.full_name == format!("timeseries.{name}")).unwrap()
}

impl Device {
    /// Within what the plan says, and with nothing left behind.
    pub fn run(&mut self, name: &str, inputs: &Record<Tensor>) -> Result<Record<Tensor>, Failure> {
        self.run_in(name, inputs, Context::default())
    }

    pub fn run_in(
        &mut self,
        name: &str,
        inputs: &Record<Tensor>,
        context: Context,
    ) -> Result<Record<Tensor>, Failure> {
        let operation = operation(name);
        let DeviceNeed::Bytes(reserved_bytes) = operation.operation.plan(inputs.specs()).unwrap().device
        else {
            panic!("{name} has no device path for this")
        };
        let tenant = TenantId::new("t");
        let job = DeviceJob {
            operation,
            inputs: inputs.clone(),
            tenant,
            reserved_bytes,
            context,
            isolation: Isolation::Shared,
        };
        let result = self.lane.run(job).result;
        assert_eq!(self.host.health().unwrap().memory_used_bytes, 0, "{name} leaves memory taken");
        result
    }
}

pub fn cpu(name: &str, inputs: &Record<Tensor>) -> Result<Record<Tensor>, Failure> {
    operation(name).operation.cpu(inputs.clone(), &Context::default())
}

pub fn numbers(outputs: &Record<Tensor>, name: &str) -> Vec<f64> {
    match outputs.get(name) {
        Some(Value::Tensor(t) | Value::Gapped(t)) => match t.as_slice::<f64>() {
            Some(v) => v.to_vec(),
            None => t.as_slice::<i64>().unwrap().iter().map(|i| *i as f64).collect(),
        },
        other => panic!("{name} is {other:?}"),
    }
}
