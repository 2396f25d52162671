//! The worked examples as fields of the table: those on PoCL, and the smallest of them under the simulator.

use super::allow;
use super::cell::Cell;
use super::record::Record;
use super::runner::{Ran, Runner};
use super::{Field, Variant};

pub(super) const POCL: &str = "PoCL";
pub(super) const RACES: &str = "races";

/// Cases under the simulator for each kernel: it runs a thousand times slower than the machine.
const CASES_EACH: usize = 3;
/// Items of a case that may run there. A much larger one takes minutes and gigabytes of the simulator's notes.
const MOST_ITEMS: u64 = 2048;
/// Items of a case for what no smaller one starts.
const MOST_ITEMS_OF_THE_LAST: u64 = 32 * 1024;

/// Runs every case on PoCL and the chosen ones under the simulator.
pub(super) fn fields(
    runner: &Runner<'_>,
    variants: &[Variant],
    record: &mut Record,
) -> Result<Vec<Field>, String> {
    let all = runner.cases_on_pocl()?;
    let failed: Vec<_> = all.iter().filter(|r| r.outcome == "failed").collect();
    if !failed.is_empty() {
        let lines = failed.iter().map(|r| format!("{}: {}: {}", r.operation, r.case, r.why));
        return Err(format!(
            "{} cases fail on PoCL:\n{}",
            failed.len(),
            lines.collect::<Vec<_>>().join("\n")
        ));
    }
    let unsupported = all.iter().filter(|r| r.outcome == "unsupported").count();
    println!("{} cases on PoCL, {unsupported} of them not supported there", all.len());

    let (simulated, findings) = runner.cases_on_simulator(&choose(variants, &all), variants, record)?;
    println!("{} cases under the simulator", simulated.len());
    if let Some(stray) = findings.iter().find(|f| variants.iter().all(|v| !v.entries.contains(&f.entry))) {
        return Err(format!("the simulator says of {}: {}", stray.entry, stray.text));
    }
    let mut fields = Vec::new();
    for v in variants {
        let uses = |ran: &[Ran]| ran.iter().filter(|r| r.outcome == "passed" && r.starts(&v.name)).count();
        let idle = v.entries.iter().find(|e| !passed(&all, &format!("{}/{e}", v.name)));
        let pocl = match (idle, uses(&all)) {
            (Some(entry), _) => Cell::bad(format!("no case that passes starts {entry}")),
            (None, n) => Cell::good(n.to_string()),
        };
        fields.push((v.name.clone(), POCL, pocl));
        let found: Vec<_> = findings.iter().filter(|f| v.entries.contains(&f.entry)).collect();
        let broken = simulated.iter().find(|r| r.outcome == "failed" && r.starts(&v.name));
        // Texts that differ in a definition share their entries: each text runs there, and each entry in one of them.
        let unseen = v.entries.iter().find(|e| {
            let seen = |w: &Variant| passed(&simulated, &format!("{}/{e}", w.name));
            !variants.iter().any(seen)
        });
        let races = match (found.first(), broken, unseen, uses(&simulated)) {
            (Some(first), ..) => {
                Cell::bad(format!("{} findings, first in {}: {}", found.len(), first.entry, first.text))
            }
            (_, Some(r), ..) => Cell::bad(format!("{}: {} fails there: {}", r.operation, r.case, r.why)),
            (_, _, _, n) if allow::is_unraced(&v.name) => Cell::good(format!("{n}*")),
            (_, _, Some(entry), _) => Cell::bad(format!("no case under the simulator starts {entry}")),
            (.., 0) => Cell::bad("no case under the simulator starts it"),
            (.., n) => Cell::good(n.to_string()),
        };
        fields.push((v.name.clone(), RACES, races));
    }
    Ok(fields)
}

/// Whether a case that passes has this start.
fn passed(ran: &[Ran], start: &str) -> bool {
    ran.iter().any(|r| r.outcome == "passed" && r.starts.contains_key(start))
}

/// The cases that start each kernel with the fewest items.
fn choose<'r>(variants: &[Variant], all: &'r [Ran]) -> Vec<&'r Ran> {
    let passing = |most: u64| all.iter().filter(move |r| r.outcome == "passed" && r.items() <= most);
    let small: Vec<&Ran> = passing(MOST_ITEMS).collect();
    let mut chosen: Vec<&Ran> = Vec::new();
    for v in variants {
        let mut of: Vec<&Ran> = small.iter().copied().filter(|r| r.starts(&v.name)).collect();
        of.sort_by_key(|r| r.items());
        if of.is_empty() {
            of.extend(
                passing(MOST_ITEMS_OF_THE_LAST).filter(|r| r.starts(&v.name)).min_by_key(|r| r.items()),
            );
        }
        // The smallest show least of a kernel: the largest comes too.
        for ran in of.last().into_iter().chain(of.iter().take(CASES_EACH - 1)) {
            if !chosen.contains(ran) {
                chosen.push(ran);
            }
        }
    }
    // And for each entry that none of these starts, the smallest that does.
    let mut entries: Vec<&String> = variants.iter().flat_map(|v| &v.entries).collect();
    entries.sort_unstable();
    entries.dedup();
    for entry in entries {
        let has = |r: &Ran| r.starts.keys().any(|k| k.split_once('/').is_some_and(|(_, e)| e == entry));
        if !chosen.iter().any(|r| has(r)) {
            chosen.extend(passing(MOST_ITEMS_OF_THE_LAST).filter(|r| has(r)).min_by_key(|r| r.items()));
        }
    }
    chosen.sort_by_key(|r| r.items());
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_cases_are_chosen_for_each_kernel_and_none_twice() {
        let ran = |number, items: &[(&str, u64)], outcome: &str| Ran {
            operation: "f.o".into(),
            number,
            case: String::new(),
            outcome: outcome.into(),
            why: String::new(),
            starts: items.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect(),
        };
        let variant = |name: &str| Variant {
            name: name.into(),
            entries: vec![format!("e_{name}"), "e_rare".into()],
            ..Variant::default()
        };
        let all = [
            ran(0, &[("a/e_a", 1 << 30)], "passed"),
            ran(1, &[("a/e_a", 256)], "unsupported"),
            ran(2, &[("a/e_a", 512), ("b/e_b", 1)], "passed"),
            ran(3, &[("a/e_a", 256)], "passed"),
            ran(4, &[("a/e_a", 2048)], "passed"),
            ran(5, &[("c/e_c", 1 << 20)], "passed"),
            ran(10, &[("d/e_d", 1 << 15)], "passed"),
            ran(11, &[("d/e_d", 1 << 14)], "passed"),
            ran(6, &[("b/e_b", 3)], "passed"),
            ran(7, &[("b/e_b", 4), ("c/e_rare", 5)], "passed"),
            ran(8, &[("b/e_b", 5)], "passed"),
            ran(9, &[("b/e_b", 6)], "passed"),
        ];
        let variants = ["a", "b", "c", "d"].map(variant);
        let chosen: Vec<_> = choose(&variants, &all).iter().map(|r| r.number).collect();
        assert_eq!(chosen, [6, 8, 7, 3, 2, 4, 11]);
    }
}
