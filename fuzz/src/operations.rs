//! Requests of every operation: read by its schema, planned, and run where the plan says that it is little work. An input is
//! the number of the operation, one byte, and a JSON body.

use super::api::{bodies, bounded};
use super::wire::inline;
use offload_api::json::{decode_request, write_record};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Registered, Registry};
use std::sync::LazyLock;

/// Bytes beyond which a plan is not tried.
const MAX_BYTES: u64 = 1 << 20;
/// Work beyond which a plan is not tried, in the operation's own unit.
const MAX_WORK: f64 = 1e5;
/// The longest seed.
const SEED_BYTES: usize = 500;
/// Seeds of one operation.
const SEEDS: usize = 3;

fn operations() -> &'static [&'static Registered] {
    static ALL: LazyLock<Vec<&'static Registered>> =
        LazyLock::new(|| offload_ops::registry().iter().collect());
    &ALL
}

pub(crate) fn find(full_name: &str) -> &'static Registered {
    operations()
        .iter()
        .find(|r| r.full_name == full_name)
        .unwrap_or_else(|| panic!("there is no {full_name}"))
}

/// A registry for a service.
pub(crate) fn registry() -> Registry {
    offload_ops::registry()
}

pub(crate) fn request(bytes: &[u8]) -> bool {
    let [number, body @ ..] = bytes else { return false };
    let Some(r) = operations().get(usize::from(*number)) else { return false };
    let Ok(decoded) = decode_request(body, &r.schema) else { return false };
    bounded(&decoded.inputs, body.len());
    let Some(inputs) = inline(&decoded.inputs) else { return true };
    let Ok(plan) = r.operation.plan(inputs.specs()) else { return true };
    assert!(plan.work >= 0.0, "{}: work of {}", r.full_name, plan.work);
    if plan.peak_host_bytes() > MAX_BYTES || plan.work > MAX_WORK {
        return true;
    }
    let Ok(outputs) = r.operation.cpu(inputs, &Context::default()) else { return true };
    let size = |value: &Value| match value {
        Value::Tensor(t) | Value::Gapped(t) => t.bytes(),
        Value::Matches(m) => m.bytes(),
        Value::Bytes(b) => b.len() as u64,
        _ => 0,
    };
    let size: u64 = outputs.iter().map(|(_, v)| size(v)).sum();
    assert!(size <= plan.bytes_out, "{}: {size} bytes come out, planned are {}", r.full_name, plan.bytes_out);
    for planned in &plan.outputs {
        let got = outputs.get(planned.name).unwrap_or_else(|| panic!("{}: no {}", r.full_name, planned.name));
        if let (Some(spec), Value::Tensor(t)) = (&planned.spec, got) {
            assert_eq!(t.spec(), *spec, "{}: {}", r.full_name, planned.name);
        }
    }
    let mut text = Vec::new();
    // What is not finite is refused by name.
    if write_record(&outputs, &mut text).is_ok() {
        let text = [b"{", &text[..], b"}"].concat();
        serde_json::from_slice::<serde_json::Value>(&text).expect("an answer is json");
    }
    true
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, r) in operations().iter().enumerate() {
        let reads = |body: &Vec<u8>| {
            let read = decode_request(body, &r.schema).ok().and_then(|d| inline(&d.inputs));
            body.len() < SEED_BYTES && read.is_some()
        };
        let body = |inputs: &Record<Tensor>| {
            let types = r.schema.dtypes().into_iter().map(Some).chain([None]);
            types.filter_map(|t| bodies(&r.schema, inputs, t)).map(|[flat, _]| flat).find(reads)
        };
        let cases = r.operation.cases();
        let all = cases.iter().filter_map(|case| body(&case.inputs));
        seeds.extend(all.take(SEEDS).map(|body| [&[number as u8], &body[..]].concat()));
    }
    seeds
}
