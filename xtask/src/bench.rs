//! `cargo xtask bench`: the service beside NumPy, SciPy, faiss and PyArrow, on the same machine, in turns.
//!
//! Both sides write one JSON document per round:
//!
//! ```json
//! {"machine": "…", "threads": 2, "results":
//!   [{"name": "matrix.multiply 1024 f32", "unit": "ms", "median": 9.1, "min": 9.0, "max": 9.6, "n": 20}]}
//! ```
//!
//! Rounds alternate, so that a machine that slows down slows both. A figure is the median of the rounds' medians,
//! and its spread the least and the largest single run of all rounds.

use crate::step::{self, shown};
use crate::{env, tree};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// One figure of one side.
#[derive(Clone, Debug, PartialEq)]
struct Figure {
    name: String,
    unit: String,
    median: f64,
    min: f64,
    max: f64,
    n: u64,
    /// What computed it, where the side chose.
    by: String,
}

/// What one side wrote in one round.
#[derive(Clone, Debug, PartialEq)]
struct Report {
    machine: String,
    threads: u64,
    figures: Vec<Figure>,
}

#[derive(Debug, PartialEq)]
struct Options {
    rounds: usize,
    threads: usize,
    dist: bool,
}

/// Builds, measures in turns, and prints the table.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    let Options { rounds, threads, dist } = options(words)?;
    env::bench_peers(root)?;
    let (flag, folder) = if dist { ("--profile=dist", "dist") } else { ("--release", "release") };
    let build = ["build", "--workspace", "--bin", "heliosdb-gpu-offload", flag];
    shown(Command::new(step::cargo()).args(build).current_dir(root))?;
    let binary = tree::target(root).join(folder).join("heliosdb-gpu-offload");
    let out = tree::target(root).join("bench");
    fs::create_dir_all(&out).map_err(|e| format!("{}: {e}", out.display()))?;

    let count = threads.to_string();
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        println!("== round {round} of {rounds}");
        let file = out.join(format!("service-{round}.json"));
        let mut service = Command::new(&binary);
        service.arg("bench").arg("--json").arg(&file).current_dir(root);
        shown(service.env("HELIOSDB_GPU__RUN__THREADS_PER_LANE", &count))?;
        ours.push(report(&file)?);

        let file = out.join(format!("peers-{round}.json"));
        let mut script = Command::new(env::python(root));
        script.arg("scripts/peers.py").arg("--json").arg(&file).current_dir(root);
        shown(script.env("OPENBLAS_NUM_THREADS", &count))?;
        peers.push(report(&file)?);
    }
    println!("\n{}", table(&joined(&ours)?, &joined(&peers)?)?);
    Ok(())
}

fn options(words: &[&str]) -> Result<Options, String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut options = Options { rounds: 3, threads: cores, dist: false };
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        let mut number = || {
            let value = words.next().and_then(|w| w.parse().ok()).filter(|&n| n > 0);
            value.ok_or_else(|| format!("{word} takes a number from 1"))
        };
        match word {
            "--rounds" => options.rounds = number()?,
            "--threads" => options.threads = number()?,
            "--dist" => options.dist = true,
            _ => return Err(format!("bench has no option {word}")),
        }
    }
    Ok(options)
}

fn report(path: &Path) -> Result<Report, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    parse(&text).map_err(|e| format!("{}: {e}", path.display()))
}

fn parse(text: &str) -> Result<Report, String> {
    let json: Json = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let word = |of: &Json, key: &str| {
        of[key].as_str().map(str::to_owned).ok_or_else(|| format!("the text {key} is missing"))
    };
    let number =
        |of: &Json, key: &str| of[key].as_f64().ok_or_else(|| format!("the number {key} is missing in {of}"));
    let results = json["results"].as_array().ok_or("the list results is missing")?;
    let figures = results.iter().map(|r| {
        Ok(Figure {
            name: word(r, "name")?,
            unit: word(r, "unit")?,
            median: number(r, "median")?,
            min: number(r, "min")?,
            max: number(r, "max")?,
            n: number(r, "n")? as u64,
            by: r["by"].as_str().unwrap_or_default().to_owned(),
        })
    });
    Ok(Report {
        machine: word(&json, "machine")?,
        threads: number(&json, "threads")? as u64,
        figures: figures.collect::<Result<_, String>>()?,
    })
}

/// All rounds of one side as one report.
fn joined(rounds: &[Report]) -> Result<Report, String> {
    let mut all = rounds.first().cloned().ok_or("there is no round")?;
    for figure in &mut all.figures {
        let same =
            |r: &Report| r.figures.iter().find(|f| f.name == figure.name && f.unit == figure.unit).cloned();
        let runs: Vec<Figure> = rounds.iter().filter_map(same).collect();
        let mut medians: Vec<f64> = runs.iter().map(|f| f.median).collect();
        medians.sort_by(f64::total_cmp);
        let middle = medians.len() / 2;
        figure.median = if medians.len() % 2 == 1 {
            medians[middle]
        } else {
            (medians[middle - 1] + medians[middle]) / 2.0
        };
        figure.min = runs.iter().map(|f| f.min).fold(f64::INFINITY, f64::min);
        figure.max = runs.iter().map(|f| f.max).fold(f64::NEG_INFINITY, f64::max);
        figure.n = runs.iter().map(|f| f.n).sum();
    }
    Ok(all)
}

/// The two sides beside each other, in Markdown.
fn table(ours: &Report, peers: &Report) -> Result<String, String> {
    let by_name: BTreeMap<&str, &Figure> = peers.figures.iter().map(|f| (f.name.as_str(), f)).collect();
    let mut text = format!("{}, {} threads\n\n", ours.machine, ours.threads);
    if ours.threads != peers.threads {
        let (ours, peers) = (ours.threads, peers.threads);
        let _ = writeln!(text, "NOT COMPARABLE: the service ran on {ours} threads, the peers on {peers}.\n");
    }
    text.push_str("| name | service | least to most | peer | least to most | peer ÷ service |\n");
    text.push_str("|---|---:|---:|---:|---:|---:|\n");
    for f in &ours.figures {
        let _ = write!(text, "| {} | {} {} | {} | ", f.name, short(f.median), f.unit, spread(f));
        match by_name.get(f.name.as_str()) {
            Some(p) if p.unit != f.unit => {
                return Err(format!("{} is in {} here and in {} there", f.name, f.unit, p.unit));
            }
            Some(p) => {
                let by = if p.by.is_empty() { String::new() } else { format!(" ({})", p.by) };
                let (peer, ratio) = (short(p.median), p.median / f.median);
                let _ = writeln!(text, "{peer} {}{by} | {} | {ratio:.2} |", p.unit, spread(p));
            }
            None => text.push_str("– | – | – |\n"),
        }
    }
    for p in peers.figures.iter().filter(|p| ours.figures.iter().all(|f| f.name != p.name)) {
        let _ = writeln!(text, "| {} | – | – | {} {} | {} | – |", p.name, short(p.median), p.unit, spread(p));
    }
    text.push_str("\nTimes: 2.00 in the last column means that the peer takes twice as long.");
    Ok(text)
}

fn spread(f: &Figure) -> String {
    format!("{}–{}", short(f.min), short(f.max))
}

/// A number with three digits that say something.
pub(crate) fn short(x: f64) -> String {
    let digits = if x == 0.0 { 0 } else { (2 - x.abs().log10().floor() as i32).clamp(0, 6) };
    format!("{x:.*}", digits as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, median: f64, by: &str) -> Report {
        let text = format!(
            r#"{{"machine": "m", "threads": 2, "results": [{{"name": "{name}", "unit": "ms", "by": "{by}",
                "median": {median}, "min": {}, "max": {}, "n": 5}}]}}"#,
            median - 1.0,
            median + 1.0
        );
        parse(&text).unwrap()
    }

    #[test]
    fn rounds_are_joined_by_their_median() {
        let all = joined(&[one("a", 10.0, ""), one("a", 30.0, ""), one("a", 11.0, "")]).unwrap();
        let f = &all.figures[0];
        assert_eq!((f.median, f.min, f.max, f.n), (11.0, 9.0, 31.0, 15));
        assert_eq!(joined(&[one("a", 10.0, ""), one("a", 20.0, "")]).unwrap().figures[0].median, 15.0);
        assert!(joined(&[]).is_err());
    }

    #[test]
    fn sides_stand_beside_each_other() {
        let text = table(&one("a", 10.0, ""), &one("a", 20.0, "scipy")).unwrap();
        assert!(text.contains("| a | 10.0 ms | 9.00–11.0 | 20.0 ms (scipy) | 19.0–21.0 | 2.00 |"), "{text}");
        assert!(!text.contains("NOT COMPARABLE"));
        let apart = table(&one("a", 10.0, ""), &one("b", 20.0, "")).unwrap();
        assert!(apart.contains("| a | 10.0 ms | 9.00–11.0 | – | – | – |"), "{apart}");
        assert!(apart.contains("| b | – | – | 20.0 ms | 19.0–21.0 | – |"), "{apart}");
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let mut peers = one("a", 20.0, "");
        peers.threads = 1;
        assert!(table(&one("a", 10.0, ""), &peers).unwrap().contains("NOT COMPARABLE"));
        peers.figures[0].unit = "s".into();
        assert!(table(&one("a", 10.0, ""), &peers).unwrap_err().contains("in ms here and in s there"));
        assert!(parse(r#"{"machine": "m", "threads": 2}"#).unwrap_err().contains("results"));
    }

    #[test]
    fn options_are_read() {
        let got = options(&["--rounds", "5", "--dist", "--threads", "1"]).unwrap();
        assert_eq!(got, Options { rounds: 5, threads: 1, dist: true });
        assert!(
            options(&["--rounds", "0"]).is_err()
                && options(&["--x"]).is_err()
                && options(&["--rounds"]).is_err()
        );
    }

    #[test]
    fn three_digits() {
        assert_eq!([0.0, 0.01234, 1.234, 123.4, 12345.0].map(short), ["0", "0.0123", "1.23", "123", "12345"]);
    }
}
