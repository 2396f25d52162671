//! Worked examples: what comes out again is what went in, and how small it was meanwhile.

use crate::codec::examples::{self, table};
use crate::decompress::Decompress;
use offload_api::{Buf, Record, Tensor, Value};
use offload_core::{AnyOperation, Case, Context, Expect};
use std::sync::Arc;

const SOURCE: &str = "the identity, through timeseries.decompress, which is held against a second encoder";

const SUNSPOTS: &str = include_str!("../../data/sunspots.json");
const CO2: &str = include_str!("../../data/co2.json");
const NILE: &str = include_str!("../../data/nile.json");

pub(super) fn cases() -> Vec<Case> {
    let real = |values: &[f64]| Tensor::vector(values.to_vec());
    let mut cases = vec![case("three values", real(&[1.0, 1.1, 1.05]), None, "gorilla", 9, 0.0)];
    let co2 = table(CO2);
    let whole: Vec<f64> = co2.iter().copied().filter(|x| !x.is_nan()).collect();
    // The least ratios are a little below what was measured when this was written.
    for (name, values, least) in [
        ("sunspots", table(SUNSPOTS), [1.1, 1.1, 5.0, 5.0]),
        ("weekly CO2", whole, [1.3, 1.3, 11.0, 11.0]),
        ("weekly CO2 with gaps", co2, [1.3, 1.3, 6.0, 6.0]),
        ("the Nile", table(NILE), [1.1, 1.1, 4.0, 4.0]),
        ("a constant", vec![0.1; 5000], [481.0, 481.0, 481.0, 481.0]),
    ] {
        for (method, least) in ["gorilla", "delta", "alp", "auto"].into_iter().zip(least) {
            cases.push(case(&format!("{name} by {method}"), real(&values), None, method, 5, least));
        }
    }
    let odd =
        [0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324, f64::MAX, 0.1, 1e300];
    for method in ["gorilla", "delta", "alp", "auto"] {
        cases.push(case(&format!("numbers of every kind by {method}"), real(&odd), None, method, 5, 0.0));
    }
    let minutes: Vec<i64> = (0..3000).map(|i| 1_700_000_000_000 + 60_000 * i).collect();
    let halves: Vec<f64> = (0..3000).map(|i| f64::from(i % 40) / 2.0).collect();
    let stamped =
        |method, level, least| case("timestamps", real(&halves), Some(minutes.clone()), method, level, least);
    cases.extend([stamped("auto", 5, 12.0), stamped("gorilla", 1, 7.0), stamped("alp", 9, 12.0)]);
    // 32 bytes of header, 8 of the index, and 21: a first value, a base, and a width of nothing.
    let whole_block = Tensor::vector(minutes[..2048].to_vec());
    cases.push(case("a constant step", whole_block, None, "delta", 5, 16_384.0 / 61.0 - 1e-9));
    let extremes = vec![i64::MIN, i64::MAX, 0, -1, i64::MIN];
    for method in ["gorilla", "delta", "auto", "delta_encoding", "Gorilla"] {
        let data = Tensor::vector(extremes.clone());
        cases.push(case(&format!("extremes by {method}"), data, Some(extremes.clone()), method, 5, 0.0));
    }
    if let Some(rows) = Tensor::new([3, 1000], [&halves[..], &halves, &halves].concat()[..3000].to_vec()) {
        cases.push(case("three series", rows, Some(minutes[..1000].to_vec()), "auto", 5, 10.0));
    }
    for exact in examples::rows() {
        if ["no values", "no series", "one value again and again"].contains(&exact.name.as_str()) {
            let inputs = inputs(exact.data, None, "auto", 5);
            let outputs = Record::new().with("compressed", Value::Bytes(Buf::from(exact.file)));
            let expect = Expect::Property(Arc::new(move |_: &Record<Tensor>, got: &Record<Tensor>| {
                let same = got.get("compressed") == outputs.get("compressed");
                if same { Ok(()) } else { Err(format!("{:?}, expected {outputs:?}", got.get("compressed"))) }
            }));
            let name = format!("{}, byte by byte", exact.name);
            cases.push(Case { name, source: examples::SOURCE, inputs, expect });
        }
    }
    cases.extend(refused());
    cases
}

fn refused() -> Vec<Case> {
    let refused = |name: &str, field, inputs| Case {
        name: name.into(),
        source: "by hand",
        inputs,
        expect: Expect::Rejected(field),
    };
    let two = || Tensor::vector(vec![1.0, 2.0]);
    let whole = Tensor::vector(vec![1i64, 2]);
    let narrow = Tensor::vector(vec![1.0f32, 2.0]);
    let mut all = vec![
        refused("alp of integers", "method", inputs(whole, None, "alp", 5)),
        refused("lstm, which is not built", "method", inputs(two(), None, "lstm", 5)),
        refused("single precision", "data", inputs(narrow, None, "auto", 5)),
        refused("fewer timestamps than values", "timestamps", inputs(two(), Some(vec![1]), "auto", 5)),
    ];
    all.extend(
        Tensor::new([1, 1, 1], vec![1.0])
            .map(|cube| refused("three dimensions", "data", inputs(cube, None, "auto", 5))),
    );
    all
}

fn inputs(data: Tensor, timestamps: Option<Vec<i64>>, method: &str, level: i64) -> Record<Tensor> {
    let mut inputs = Record::new().with("data", Value::Tensor(data));
    if let Some(t) = timestamps {
        inputs.set("timestamps", Value::Tensor(Tensor::vector(t)));
    }
    inputs.with("method", Value::Text(method.into())).with("compression_level", Value::Int(level))
}

fn case(name: &str, data: Tensor, stamps: Option<Vec<i64>>, method: &str, level: i64, least: f64) -> Case {
    Case {
        name: name.into(),
        source: SOURCE,
        inputs: inputs(data, stamps, method, level),
        expect: Expect::Property(Arc::new(move |inputs, outputs| check(inputs, outputs, least))),
    }
}

fn check(inputs: &Record<Tensor>, outputs: &Record<Tensor>, least: f64) -> Result<(), String> {
    let (Some(Value::Bytes(file)), Some(Value::Float(ratio)), Some(Value::Int(values))) =
        (outputs.get("compressed"), outputs.get("compression_ratio"), outputs.get("values"))
    else {
        return Err("an output is missing".into());
    };
    let tensors = || ["data", "timestamps"].into_iter().filter_map(|name| inputs.get(name));
    let bytes: u64 = tensors().map(|v| if let Value::Tensor(t) = v { t.bytes() } else { 0 }).sum();
    if *values as u64 * 8 != bytes {
        return Err(format!("{values} values of {bytes} bytes"));
    }
    let exact = bytes as f64 / file.len() as f64;
    if (ratio - exact).abs() > 1e-12 * exact || *ratio < least {
        return Err(format!("the ratio is {ratio}, of the bytes {exact}, at least {least} was expected"));
    }
    if let (Some(Value::Json(blocks)), Some(Value::Tensor(data))) =
        (outputs.get("blocks"), inputs.get("data"))
    {
        let counted: u64 = blocks.as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
        let length = data.shape().last().copied().unwrap_or(0).max(1);
        let want = data.data().len() / length * length.div_ceil(crate::codec::BLOCK);
        if counted != want as u64 {
            return Err(format!("{counted} blocks, expected {want}"));
        }
    }
    match (inputs.get("method"), outputs.get("method")) {
        (Some(Value::Text(asked)), Some(Value::Text(told)))
            if asked == "auto" || asked.to_lowercase().starts_with(told.as_str()) => {}
        other => return Err(format!("asked for and told: {other:?}")),
    }
    let packed = Record::new()
        .with("compressed", Value::Tensor(Tensor::from_bytes(file.clone())))
        .with("max_values", Value::Int((*values).max(1)));
    let back = Decompress.cpu(packed, &Context::default()).map_err(|e| format!("{e:?}"))?;
    for name in ["data", "timestamps"] {
        let want = inputs.get(name).cloned().unwrap_or_else(Value::nothing);
        if back.get(name) != Some(&want) {
            return Err(format!("{name} has become {:?}", back.get(name)));
        }
    }
    Ok(())
}
