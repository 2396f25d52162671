//! Seeded simulation of dispatch and placement: random schedules under a virtual clock, watched by an oracle that
//! knows only events and commands. A failing seed is printed; `SIM_SEED=n` plays it alone, `SIM_TRACE=1` prints what
//! happened, `SIM_SEEDS=n` plays more seeds per kind.

mod fairness;
mod model;
mod oracle;
mod profile;
mod rng;
mod sabotage;
mod starts;
mod tamper;
mod world;

use profile::Kind;
use tamper::Tamper;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn simulate(kind: Kind) {
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIM_SEEDS").unwrap_or(1_500),
    };
    let (mut schedules, mut starts) = (0u64, 0u64);
    for seed in seeds {
        match world::play(kind, seed, Tamper::None) {
            Ok(n) => (schedules, starts) = (schedules + 1, starts + n),
            Err(v) => {
                panic!("{kind:?}: {} does not hold, SIM_SEED={seed} replays it: {}", v.invariant, v.detail)
            }
        }
    }
    println!("{kind:?}: {schedules} schedules, {starts} starts");
}

#[test]
fn mixed_schedules_hold() {
    simulate(Kind::Mixed);
}

#[test]
fn fair_schedules_hold() {
    simulate(Kind::Fair);
}

#[test]
fn flood_schedules_hold() {
    simulate(Kind::Flood);
}

#[test]
fn memory_schedules_hold() {
    simulate(Kind::Memory);
}

#[test]
fn aging_schedules_hold() {
    simulate(Kind::Aging);
}

#[test]
fn flight_schedules_hold() {
    simulate(Kind::Flight);
}

#[test]
fn faulty_schedules_hold() {
    simulate(Kind::Faults);
}

#[test]
fn shedding_schedules_hold() {
    simulate(Kind::Shed);
}

#[test]
fn a_seed_replays() {
    for kind in profile::KINDS {
        let mut counts = (0..2).map(|_| world::play(kind, 7, Tamper::None));
        assert_eq!(counts.next(), counts.next());
    }
}
