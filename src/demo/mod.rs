//! `demo`: real tables taken through every stage of the service, in this process; what needs HTTP goes over loopback.
//!
//! Each check asks the service something whose answer is known from elsewhere, and says so when the two differ.

mod chain;
mod components;
mod data;
mod live;
mod refusal;
mod regression;
mod repeat;
mod report;
mod service;

use data::Data;
use report::Row;
use service::{Failed, Service};
use std::process::ExitCode;
use std::time::Instant;

/// A check gives one row or more; the name stands in the table when it gives none.
type Check = (&'static str, fn(&Service, &Data) -> Result<Vec<Row>, Failed>);

const CHECKS: [Check; 5] = [
    ("least squares", regression::check),
    ("principal components", components::check),
    ("a batch", chain::check),
    ("a repeated call", repeat::check),
    ("an expected failure", refusal::check),
];

/// Runs every check, prints what came of it, and fails when an answer is wrong.
pub(crate) fn run() -> ExitCode {
    let started = Instant::now();
    let rows = match rows() {
        Ok(rows) => rows,
        Err(why) => {
            eprintln!("the demo cannot start: {why}");
            return ExitCode::FAILURE;
        }
    };
    let wrong = rows.iter().filter(|r| !r.right).count();
    print!("{}", report::table(&rows));
    let took = report::time(started.elapsed().as_micros().try_into().unwrap_or(u64::MAX));
    match wrong {
        0 => println!("\nAll {} answers are right; the whole demo took {took}.", rows.len()),
        n => println!("\n{n} of {} answers are WRONG; the whole demo took {took}.", rows.len()),
    }
    println!("Next: `heliosdb-gpu-offload serve --dev` serves the same operations over HTTP.");
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The rows of all checks in order.
fn rows() -> Result<Vec<Row>, String> {
    let data = Data::read()?;
    let service = Service::start().map_err(|e| e.to_string())?;
    let rows = CHECKS.iter().flat_map(|(what, check)| {
        check(&service, &data).unwrap_or_else(|error| vec![Row::unanswered(what, &error)])
    });
    let mut rows: Vec<Row> = rows.collect();
    rows.extend(live::check(&data)?);
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_right_and_fits_the_screen() {
        let rows = rows().expect("the demo starts");
        for row in &rows {
            assert!(row.right, "{row:?}");
        }
        assert!(rows.len() >= CHECKS.len() + 2);
        for line in report::table(&rows).lines() {
            assert!(line.chars().count() <= 100, "too wide: {line}");
        }
    }

    #[test]
    fn an_answer_beyond_tolerance_is_wrong() {
        let mut data = Data::read().expect("the shipped data");
        data.reference.coefficients[3] += 1e-6;
        data.reference.shares[2] += 1e-6;
        data.reference.total_variance += 1e-3;
        data.reference.inflation[9] += 1e-6;
        let service = Service::start().expect("the service starts");
        let right = |check: fn(&Service, &Data) -> Result<Vec<Row>, Failed>| -> Vec<bool> {
            check(&service, &data).expect("answers").iter().map(|r| r.right).collect()
        };
        assert_eq!(right(regression::check), [false, true], "only QR is compared with scikit-learn's own");
        assert_eq!(right(components::check), [false, false]);
        assert_eq!(right(chain::check), [false]);
        assert_eq!(right(repeat::check), [false, true], "the cache is still right");
    }
}
