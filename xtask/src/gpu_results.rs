//! `cargo xtask bench --keep OUT` and `--render`: what was measured on GPUs, kept in `benches/results/` and written into
//! docs/performance.md.
//!
//! A run is `<device>-<date>.json`, as `heliosdb-gpu-offload bench --gpu --json` writes it, and beside it
//! `<device>-<date>-peers.json`, as `scripts/gpu_peers.py` does. Of each device the page shows the newest run.

use crate::bench::short;
use crate::tree;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const RESULTS: &str = "benches/results";
const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- begin gpu: written by `cargo xtask bench --render` -->";
const END: &str = "<!-- end gpu -->";
const PEERS: &str = "-peers.json";

/// The peers in the order of the table's columns.
const LIBRARIES: [(&str, &str); 3] = [("torch", "PyTorch"), ("cupy", "CuPy"), ("scipy", "SciPy (CPU)")];

/// Keeps the run in a folder that `scripts/gpu_run.sh` wrote.
pub(crate) fn keep(root: &Path, out: &str) -> Result<(), String> {
    let out = Path::new(out);
    let text = read(&out.join("bench.json"))?;
    let stem = stem(&parse("bench.json", &text)?)?;
    let folder = root.join(RESULTS);
    fs::create_dir_all(&folder).map_err(|e| format!("{RESULTS}: {e}"))?;
    let write = |name: String, text: &str| {
        fs::write(folder.join(&name), text).map_err(|e| format!("{RESULTS}/{name}: {e}"))?;
        println!("kept {RESULTS}/{name}");
        Ok::<_, String>(())
    };
    write(format!("{stem}.json"), &text)?;
    if let Ok(peers) = read(&out.join("peers.json")) {
        parse("peers.json", &peers)?;
        write(format!("{stem}{PEERS}"), &peers)?;
    }
    render(root)
}

/// Writes what is kept into the page.
pub(crate) fn render(root: &Path) -> Result<(), String> {
    let page = tree::read(root, PAGE)?;
    let fresh = with_section(&page, &section(root)?)?;
    if fresh == page {
        println!("{PAGE} is fresh");
        return Ok(());
    }
    fs::write(root.join(PAGE), fresh).map_err(|e| format!("{PAGE}: {e}"))?;
    println!("{PAGE} is written");
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn parse(name: &str, text: &str) -> Result<Json, String> {
    serde_json::from_str(text).map_err(|e| format!("{name}: {e}"))
}

/// The name of a run's files; a run that is not of a GPU at full size has none.
fn stem(run: &Json) -> Result<String, String> {
    let word = |of: &Json, key: &str| {
        of[key].as_str().map(str::to_owned).ok_or_else(|| format!("the run has no {key}"))
    };
    let descriptor = &run["descriptor"];
    let name = word(descriptor, "name")?;
    if descriptor["is_cpu"] != Json::Bool(false) {
        return Err(format!("{name} is a CPU; runs of GPUs are kept here"));
    }
    if run["scale"] != "full" {
        return Err("the run is of another scale than full".into());
    }
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    Ok(format!("{}-{}", words.join("-"), word(run, "date")?))
}

/// The page with another text between the marks.
fn with_section(page: &str, section: &str) -> Result<String, String> {
    let missing = || format!("{PAGE} has no section between {BEGIN} and {END}");
    let (before, rest) = page.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}\n{section}{END}{after}"))
}

/// The text between the marks.
fn section(root: &Path) -> Result<String, String> {
    let folder = root.join(RESULTS);
    let mut newest: BTreeMap<String, (String, Json)> = BTreeMap::new();
    let names = fs::read_dir(&folder).map_or_else(
        |_| Vec::new(),
        |entries| {
            let names = entries.filter_map(Result::ok).map(|e| e.file_name().to_string_lossy().into_owned());
            let mut names: Vec<String> =
                names.filter(|n| n.ends_with(".json") && !n.ends_with(PEERS)).collect();
            names.sort();
            names
        },
    );
    for name in names {
        let run = parse(&name, &read(&folder.join(&name))?)?;
        let stem = stem(&run).map_err(|e| format!("{RESULTS}/{name}: {e}"))?;
        if name != format!("{stem}.json") {
            return Err(format!("{RESULTS}/{name} should be named {stem}.json"));
        }
        // Sorted by date within a device, so that the last one is the newest.
        newest.insert(run["descriptor"]["name"].to_string(), (stem, run));
    }
    if newest.is_empty() {
        return Ok("Not yet run on a GPU.\n".into());
    }
    let mut text = String::from(
        "Milliseconds of computing by the device's clock, inputs resident: median (least–95 %). Peers likewise, with norms of\n\
         vectors formed beforehand. The share is of this card's own limit, whichever is nearer: its copy bandwidth, or its\n\
         library's large product in the same arithmetic. A goal is held against the median.\n",
    );
    for (stem, run) in newest.into_values() {
        let peers = match read(&folder.join(format!("{stem}{PEERS}"))) {
            Ok(peers) => parse(&stem, &peers)?,
            Err(_) => Json::Null,
        };
        device(&mut text, &run, &peers);
    }
    Ok(text)
}

/// One device's run.
fn device(text: &mut String, run: &Json, peers: &Json) {
    let word = |of: &Json| of.as_str().unwrap_or("?").to_owned();
    let d = &run["descriptor"];
    let _ = writeln!(text, "\n### {}, {}\n", word(&d["name"]), word(&run["date"]));
    let software: Vec<String> = d["software"].as_array().into_iter().flatten().map(word).collect();
    let _ = writeln!(
        text,
        "Version {}, profile {}; {}.",
        word(&run["version"]),
        word(&run["profile"]),
        software.join(", ")
    );
    let libraries: Vec<String> = LIBRARIES
        .iter()
        .filter_map(|(key, name)| Some(format!("{name} {}", peers["libraries"][key].as_str()?)))
        .collect();
    let beside = if libraries.is_empty() { "not yet run".into() } else { libraries.join("; ") };
    let _ = writeln!(text, "Peers: {beside}.");
    let limits = &run["ceilings"];
    let number = |of: &Json| of.as_f64().map_or_else(|| "?".into(), short);
    let gemm = &limits["gemm_tflop_s"];
    let _ = writeln!(
        text,
        "Limits of this card: copy {} GB/s; products {} TFLOP/s f32, {} tf32, {} f64; pageable upload {} GB/s, download {}.\n",
        number(&limits["copy_gb_s"]),
        number(&gemm["f32"]),
        number(&gemm["tf32"]),
        number(&gemm["f64"]),
        number(&limits["upload_pageable_gb_s"]),
        number(&limits["download_pageable_gb_s"]),
    );
    if run["complete"] != Json::Bool(true) {
        text.push_str("The run was cut off.\n\n");
    }
    text.push_str("| what | device | share | PyTorch | CuPy | SciPy (CPU) | own CPU lane | goal |\n");
    text.push_str("|---|---:|---:|---:|---:|---:|---:|---|\n");
    for work in run["works"].as_array().into_iter().flatten() {
        row(text, work, peers);
    }
}

fn row(text: &mut String, work: &Json, peers: &Json) {
    let name = work["name"].as_str().unwrap_or("?");
    let results = || peers["results"].as_array().into_iter().flatten().filter(|r| r["name"] == name);
    let of = |library: &str| results().find(|r| r["library"] == library);
    let median = |of: Option<&Json>| of.and_then(|r| r["ms"]["median"].as_f64());
    let peer = |library: &str| match (median(of(library)), of(library).map(|r| &r["agrees"])) {
        (Some(ms), Some(Json::Bool(false))) => format!("{} (another answer)", short(ms)),
        (Some(ms), _) => short(ms),
        (None, _) => "–".into(),
    };
    let cells = LIBRARIES.map(|(library, _)| peer(library)).join(" | ");
    let ours = work["compute_ms"]["median"].as_f64();
    let (Some(ms), true) = (ours, work["status"] == "measured") else {
        let status = work["status"].as_str().unwrap_or("not run");
        let _ = writeln!(text, "| {name} | {status} | – | {cells} | – | {} |", goal(work, None, None).0);
        return;
    };
    let number = |of: &Json| of.as_f64().map_or_else(|| "?".into(), short);
    let spread = format!("{}–{}", number(&work["compute_ms"]["min"]), number(&work["compute_ms"]["p95"]));
    let (copy, product) = (&work["share_of_copy"], &work["share_of_gemm"]);
    let (copy, product) = (copy.as_f64().unwrap_or(0.0), product.as_f64().unwrap_or(0.0));
    let share = if copy > product {
        format!("{:.0} % of copy", 100.0 * copy)
    } else {
        format!("{:.0} % of product", 100.0 * product)
    };
    let cpu = match (work["cpu"]["ms"].as_f64(), &work["cpu"]["agrees"]) {
        (Some(ms), Json::Bool(false)) => format!("{} (another answer)", short(ms)),
        (Some(ms), _) => short(ms),
        (None, _) => work["cpu"]["reason"].as_str().unwrap_or("–").to_owned(),
    };
    let held = work["goal"]["peer"].as_str().and_then(|library| median(of(library)));
    let (goal, verdict) = goal(work, Some(ms), held);
    let goal = if verdict.is_empty() { goal } else { format!("{goal}, {verdict}") };
    let _ = writeln!(text, "| {name} | {} ({spread}) | {share} | {cells} | {cpu} | {goal} |", short(ms));
}

/// A work's goal, and whether it is met.
fn goal(work: &Json, ours: Option<f64>, peer: Option<f64>) -> (String, String) {
    let goal = &work["goal"];
    let verdict = |met: bool| if met { "met".to_owned() } else { "not met".to_owned() };
    if let Some(most) = goal["compute_ms_at_most"].as_f64() {
        let said = ours.map(|ms| verdict(ms <= most));
        // Goals that are a peer's figure over something have many digits.
        let most = (most * 1e3).round() / 1e3;
        return (format!("≤ {most} ms"), said.unwrap_or_default());
    }
    if let (Some(library), Some(least)) = (goal["peer"].as_str(), goal["speed_at_least"].as_f64()) {
        let name = LIBRARIES.iter().find(|(key, _)| *key == library).map_or(library, |(_, name)| name);
        let said = match (ours, peer) {
            (Some(ours), Some(peer)) => format!("{:.2}: {}", peer / ours, verdict(peer / ours >= least)),
            _ => String::new(),
        };
        return (format!("≥ {least} × {name}"), said);
    }
    ("–".into(), String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Scratch;
    use serde_json::json;

    fn run() -> Json {
        json!({
            "kind": "ours", "version": "0.1.0", "profile": "dist", "date": "2026-01-02", "scale": "full",
            "complete": true, "selector": "cuda:0",
            "descriptor": {"name": "NVIDIA X100 80GB", "is_cpu": false, "software": ["driver 1"]},
            "ceilings": {"copy_gb_s": 4000.0, "upload_pageable_gb_s": 10.0, "download_pageable_gb_s": 9.0,
                "gemm_tflop_s": {"f32": 50.0, "tf32": 400.0, "f64": 60.0}},
            "works": [
                {"name": "quick", "status": "measured", "compute_ms": {"median": 0.05, "min": 0.04, "p95": 0.07},
                 "share_of_copy": 0.1, "share_of_gemm": 0.8, "goal": {"compute_ms_at_most": 0.06}, "goal_met": true,
                 "cpu": {"ms": 12.0, "agrees": true}},
                {"name": "slow", "status": "measured", "compute_ms": {"median": 2.0, "min": 1.9, "p95": 2.5},
                 "share_of_copy": 0.9, "share_of_gemm": 0.2, "goal": {"peer": "torch", "speed_at_least": 0.95},
                 "cpu": {"ms": null, "reason": "> 2.0 s"}},
                {"name": "missing", "status": "cpu only", "goal": {"compute_ms_at_most": 1.0}},
            ],
        })
    }

    fn peers() -> Json {
        json!({"kind": "peers", "libraries": {"torch": "2.11", "cupy": "absent: no module"}, "results": [
            {"name": "slow", "library": "torch", "ms": {"median": 1.0}, "agrees": true},
            {"name": "quick", "library": "torch", "ms": {"median": 0.1}, "agrees": false},
            {"name": "missing", "library": "torch", "error": "no time"},
        ]})
    }

    #[test]
    fn the_committed_page_is_fresh() {
        let root = tree::root().unwrap();
        let page = tree::read(&root, PAGE).unwrap();
        let fresh = with_section(&page, &section(&root).unwrap()).unwrap();
        assert_eq!(page, fresh, "`cargo xtask bench --render` writes it");
    }

    #[test]
    fn what_was_not_run_is_not_claimed() {
        let s = Scratch::new("gpu-none");
        assert_eq!(section(&s.0).unwrap(), "Not yet run on a GPU.\n");
    }

    #[test]
    fn a_run_is_kept_and_rendered_beside_its_peers() {
        let s = Scratch::new("gpu-keep");
        s.write(PAGE, &format!("# P\n\n{BEGIN}\nold\n{END}\ntail\n"));
        s.write("out/bench.json", &run().to_string());
        s.write("out/peers.json", &peers().to_string());
        keep(&s.0, &s.0.join("out").display().to_string()).unwrap();
        let page = tree::read(&s.0, PAGE).unwrap();
        for want in [
            "### NVIDIA X100 80GB, 2026-01-02",
            "Peers: PyTorch 2.11; CuPy absent: no module.",
            "| quick | 0.0500 (0.0400–0.0700) | 80 % of product | 0.100 (another answer) | – | – | 12.0 | ≤ 0.06 ms, met |",
            "| slow | 2.00 (1.90–2.50) | 90 % of copy | 1.00 | – | – | > 2.0 s | ≥ 0.95 × PyTorch, 0.50: not met |",
            "| missing | cpu only | – | – | – | – | – | ≤ 1 ms |",
        ] {
            assert!(page.contains(want), "{want}\nin\n{page}");
        }
        assert!(page.starts_with("# P\n") && page.ends_with("tail\n") && !page.contains("old"));
        assert!(s.0.join("benches/results/nvidia-x100-80gb-2026-01-02-peers.json").is_file());
        // The newest run of a device is the one that is shown.
        let mut later = run();
        (later["date"], later["works"]) = (json!("2026-02-01"), json!([]));
        s.write("benches/results/nvidia-x100-80gb-2026-02-01.json", &later.to_string());
        let text = section(&s.0).unwrap();
        assert!(
            text.contains("2026-02-01")
                && !text.contains("2026-01-02")
                && text.contains("Peers: not yet run.")
        );
    }

    #[test]
    fn runs_of_cpus_and_small_runs_are_refused() {
        let (mut cpu, mut small) = (run(), run());
        cpu["descriptor"]["is_cpu"] = json!(true);
        small["scale"] = json!("small");
        assert!(stem(&cpu).unwrap_err().contains("is a CPU"));
        assert!(stem(&small).unwrap_err().contains("scale"));
        assert_eq!(stem(&run()).unwrap(), "nvidia-x100-80gb-2026-01-02");
    }
}
