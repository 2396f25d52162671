//! temporary
#![allow(clippy::unwrap_used)]
use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_timeseries::Forecast;
use serde_json::Value as Json;
use std::time::Instant;

fn table(name: &str) -> Vec<f64> {
    let file = std::fs::read_to_string(format!("crates/offload-ops/timeseries/data/{name}.json")).unwrap();
    let json: Json = serde_json::from_str(&file).unwrap();
    let sent: Vec<Option<f64>> = json["values"].as_array().unwrap().iter().map(Json::as_f64).collect();
    let known: Vec<(usize, f64)> = sent.iter().enumerate().filter_map(|(i, v)| Some((i, (*v)?))).collect();
    let mut values = vec![0.0; sent.len()];
    for pair in known.windows(2) {
        let ((i, a), (j, b)) = (pair[0], pair[1]);
        (i..=j).for_each(|k| values[k] = a + (b - a) * (k - i) as f64 / (j - i) as f64);
    }
    values
}
struct R(u64);
impl R {
    fn n(&mut self) -> f64 {
        (0..12).map(|_| { self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407); (self.0 >> 11) as f64 / (1u64 << 53) as f64 }).sum::<f64>() - 6.0
    }
}
fn main() {
    let full = std::env::args().nth(1).is_some();
    let mut r = R(7);
    let sine: Vec<f64> = (0..600).map(|i| (i as f64 * std::f64::consts::TAU / 25.3).sin() * 3.0 + 10.0).collect();
    let noisy: Vec<f64> = sine.iter().map(|s| s + 0.5 * r.n()).collect();
    let mut l = 0.0;
    let walk: Vec<f64> = (0..1000).map(|_| { l += r.n(); l }).collect();
    let mut l = 0.0;
    let long: Vec<f64> = (0..10_000).map(|i| { l += r.n() * 0.3; l + 10.0 * (i as f64 * std::f64::consts::TAU / 24.0).sin() }).collect();
    let (mut a, mut b) = (0.0, 0.0);
    let ar: Vec<f64> = (0..800).map(|_| { let c = 1.5 * a - 0.8 * b + r.n(); b = a; a = c; c }).collect();
    let mut mg = vec![1.2f64; 18];
    for i in 17..17 + 4000 * 10 { let x = mg[i]; let d = mg[i - 17]; mg.push(x + 0.1 * (0.2 * d / (1.0 + d.powi(10)) - 0.1 * x) ); }
    let mut mg1 = vec![1.2f64; 200];
    for i in 199..199 + 30000 { let x = mg1[i]; let d = mg1[i - 170]; mg1.push(x + 0.1 * (0.2 * d / (1.0 + d.powi(10)) - 0.1 * x)); }
    let mg: Vec<f64> = mg1[1000..].iter().step_by(10).copied().collect();
    let mut x = 0.3; 
    let henon: Vec<f64> = { let mut y = 0.1; (0..1500).map(|_| { let nx = 1.0 - 1.4 * x * x + y; y = 0.3 * x; x = nx; nx }).collect() };
    let tar: Vec<f64> = { let mut x = 0.0; (0..2000).map(|_| { x = if x > 0.0 { -0.9 * x + 1.0 } else { 0.6 * x + 2.0 } + 0.3 * r.n(); x }).collect() };
    let jobs: Vec<(&str, Vec<f64>, i64, i64, Option<i64>)> = vec![
        ("nile", table("nile"), 5, 8, None),
        ("sunspots", table("sunspots"), 5, 8, None),
        ("sunspots", table("sunspots"), 11, 8, None),
        ("sunspots", table("sunspots"), 11, 8, Some(11)),
        ("co2", table("co2"), 26, 4, Some(52)),
        ("co2", table("co2"), 26, 4, None),
        ("sine", sine, 50, 4, None),
        ("noisy sine", noisy, 50, 4, None),
        ("walk", walk, 10, 8, None),
        ("ar2", ar, 10, 8, None),
        ("mackey-glass", mg, 50, 8, None),
        ("henon", henon, 5, 8, None),
        ("threshold", tar, 5, 16, None),
        
        ("long", long.clone(), 100, 4, Some(24)),
    ];
    let only = std::env::var("ONLY").unwrap_or_default();
    for (name, y, h, o, p) in &jobs {
        if !only.is_empty() && !only.split(",").any(|o| o == *name) { continue }
        print!("{name:13} {h:3} {:8}", p.map_or(String::new(), |p| format!("p{p}")));
        let all: &[&str] = if full { &["naive", "seasonal_naive", "holt_winters", "arima", "lstm"] } else { &["naive", "lstm"] };
        for m in all {
            if *m == "seasonal_naive" && p.is_none() || (*m == "arima" && y.len() > 5000) { continue }
            let mut inputs = Record::new()
                .with("history", Value::Tensor(Tensor::vector(y.clone())))
                .with("horizon", Value::Int(*h)).with("origins", Value::Int(*o)).with("method", Value::Text((*m).into()));
            if let Some(p) = p { inputs.set("period", Value::Int(*p)); }
            let mut got = Vec::new();
            let mut model = String::new();
            let t = Instant::now();
            let seeds: &[i64] = if *m == "lstm" { &[1234, 1, 2, 3] } else { &[0] };
            for s in seeds {
                if *m == "lstm" { inputs.set("seed", Value::Int(*s)); }
                let out = Forecast.cpu(inputs.clone(), &Context::default()).unwrap();
                let figure = |name: &str| match out.get(name) { Some(Value::Gapped(t)) => t.as_slice::<f64>().unwrap()[0], _ => panic!() };
                got.push(format!("{:.4}/{:.4}", figure("mae"), figure("rmse")));
                model = format!("{:?}", out.get("model"));
            }
            print!("  {m} {} {:.0}ms", got.join(" "), t.elapsed().as_secs_f64() * 1e3 / seeds.len() as f64);
            if *m == "lstm" {  }
        }
        println!();
    }
    if only.is_empty() {
        for (name, n) in [("walk", 120), ("level", 120), ("ar2", 120), ("walk", 500), ("level", 500), ("ar2", 500), ("threshold", 500)] {
            let (rows, horizon) = (60, 6);
            let (mut history, mut future) = (Vec::new(), Vec::new());
            for _ in 0..rows {
                let (mut l, mut a, mut b) = (50.0, 0.0, 0.0);
                for i in 0..n + horizon {
                    let e = r.n();
                    let y = match name {
                        "walk" => { l += e; l }
                        "level" => l + e,
                        "ar2" => { let c = 1.5 * a - 0.8 * b + e; b = a; a = c; c }
                        _ => { a = if a > 0.0 { -0.9 * a + 1.0 } else { 0.6 * a + 2.0 } + 0.3 * e; a }
                    };
                    if i < n { history.push(y) } else { future.push(y) }
                }
            }
            print!("coverage {name} {n}:");
            for level in [0.8, 0.95] {
                let inputs = Record::new().with("history", Value::Tensor(Tensor::new([rows, n], history.clone()).unwrap())).with("horizon", Value::Int(horizon as i64)).with("origins", Value::Int(0)).with("level", Value::Float(level)).with("method", Value::Text("lstm".into()));
                let out = Forecast.cpu(inputs, &Context::default()).unwrap();
                let part = |name: &str| match out.get(name) { Some(Value::Tensor(t)) => t.as_slice::<f64>().unwrap().to_vec(), _ => panic!() };
                let (lo, up) = (part("lower"), part("upper"));
                let held = future.iter().zip(lo.iter().zip(&up)).filter(|(y, (l, u))| *l <= y && y <= u).count();
                print!(" {:.3} of {level}", held as f64 / future.len() as f64);
            }
            println!();
        }
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let inputs = Record::new().with("history", Value::Tensor(Tensor::vector(long))).with("horizon", Value::Int(100)).with("origins", Value::Int(0)).with("method", Value::Text("lstm".into()));
    for _ in 0..if only.is_empty() { 3 } else { 0 } {
        let t = Instant::now();
        pool.install(|| Forecast.cpu(inputs.clone(), &Context::default())).unwrap();
        println!("long, one thread: {:.0} ms", t.elapsed().as_secs_f64() * 1e3);
    }
}
