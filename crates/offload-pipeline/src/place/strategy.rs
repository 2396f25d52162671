//! How candidates are compared: pure functions over what is known of each.

use crate::dispatch::{Executor, LaneId};

/// A lane that a job could take, or wait for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The lane.
    pub lane: LaneId,
    /// What it belongs to.
    pub executor: Executor,
    /// Jobs it has.
    pub jobs: usize,
    /// Microseconds until those are expected to end.
    pub backlog_us: f64,
    /// Microseconds that this job is expected to take there.
    pub expected_us: f64,
    /// The job's inputs are there.
    pub resident: bool,
    /// The last job of the same locality ran there.
    pub affine: bool,
}

impl Candidate {
    /// Microseconds until the job would have ended there.
    pub fn completion_us(&self) -> f64 {
        let sum = self.backlog_us + self.expected_us;
        if sum.is_nan() { f64::INFINITY } else { sum }
    }
}

/// How a lane is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Executors take turns.
    RoundRobin,
    /// The lane with the least work.
    LeastLoaded,
    /// Where the inputs are, then where the last job of the same data ran, then as `CostBased`.
    LocalityAware,
    /// Where the job is expected to have ended first.
    #[default]
    CostBased,
}

impl Strategy {
    /// The strategy of that name: `round_robin`, `least_loaded`, `locality_aware` or `cost_based`.
    pub fn from_name(name: &str) -> Option<Strategy> {
        match name {
            "round_robin" => Some(Strategy::RoundRobin),
            "least_loaded" => Some(Strategy::LeastLoaded),
            "locality_aware" => Some(Strategy::LocalityAware),
            "cost_based" => Some(Strategy::CostBased),
            _ => None,
        }
    }

    /// What a candidate costs; lower is better, compared from the left. `last` is the executor chosen last.
    pub fn score(self, c: &Candidate, last: Option<Executor>) -> [f64; 4] {
        let not = |yes: bool| if yes { 0.0 } else { 1.0 };
        let time = c.completion_us();
        match self {
            // The executors after the last one in their order come first, then it wraps around.
            Strategy::RoundRobin => {
                [not(last.is_none_or(|l| c.executor > l)), rank(c.executor), c.backlog_us, 0.0]
            }
            Strategy::LeastLoaded => [c.backlog_us, c.jobs as f64, time, 0.0],
            Strategy::LocalityAware => [not(c.resident), not(c.affine), time, 0.0],
            Strategy::CostBased => [time, not(c.resident), not(c.affine), c.jobs as f64],
        }
    }

    /// Whether it knows that a lane without room can be worth waiting for.
    pub fn may_wait(self) -> bool {
        matches!(self, Strategy::CostBased)
    }

    /// Orders the candidates, best first; equal ones by lane, so that the choice is the same in every run.
    pub fn order(self, candidates: &mut [Candidate], last: Option<Executor>) {
        candidates.sort_by(|a, b| {
            let (x, y) = (self.score(a, last), self.score(b, last));
            let by_score = x.iter().zip(&y).map(|(p, q)| p.total_cmp(q)).find(|o| o.is_ne());
            by_score.unwrap_or_else(|| a.lane.cmp(&b.lane))
        });
    }
}

fn rank(executor: Executor) -> f64 {
    match executor {
        Executor::Cpu => 0.0,
        Executor::Device(d) => 1.0 + f64::from(d),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(lane: u32, executor: Executor, backlog_us: f64, expected_us: f64) -> Candidate {
        let (resident, affine) = (false, false);
        Candidate { lane: LaneId(lane), executor, jobs: 0, backlog_us, expected_us, resident, affine }
    }

    fn best(strategy: Strategy, candidates: &[Candidate], last: Option<Executor>) -> u32 {
        let mut list = candidates.to_vec();
        strategy.order(&mut list, last);
        list[0].lane.0
    }

    const GPU: Executor = Executor::Device(0);
    const OTHER: Executor = Executor::Device(1);

    #[test]
    fn cost_based_takes_the_earliest_end() {
        let all = [candidate(1, Executor::Cpu, 0.0, 900.0), candidate(2, GPU, 500.0, 300.0)];
        assert_eq!(best(Strategy::CostBased, &all, None), 2);
        let busy = [all[0], candidate(2, GPU, 700.0, 300.0)];
        assert_eq!(best(Strategy::CostBased, &busy, None), 1);
        let broken = [candidate(1, GPU, 0.0, f64::NAN), candidate(2, Executor::Cpu, 0.0, 1e12)];
        assert_eq!(best(Strategy::CostBased, &broken, None), 2, "no number is no bargain");
    }

    #[test]
    fn round_robin_goes_around() {
        let all = [
            candidate(1, Executor::Cpu, 0.0, 1.0),
            candidate(2, GPU, 0.0, 1.0),
            candidate(3, OTHER, 9.0, 9.0),
        ];
        assert_eq!(best(Strategy::RoundRobin, &all, None), 1);
        assert_eq!(best(Strategy::RoundRobin, &all, Some(Executor::Cpu)), 2);
        assert_eq!(best(Strategy::RoundRobin, &all, Some(GPU)), 3);
        assert_eq!(best(Strategy::RoundRobin, &all, Some(OTHER)), 1);
    }

    #[test]
    fn locality_beats_time_and_load_beats_neither() {
        let mut far = candidate(1, GPU, 0.0, 1.0);
        let mut near = candidate(2, OTHER, 50.0, 1.0);
        near.affine = true;
        assert_eq!(best(Strategy::LocalityAware, &[far, near], None), 2);
        far.resident = true;
        assert_eq!(best(Strategy::LocalityAware, &[far, near], None), 1, "the data itself beats its like");
        assert_eq!(best(Strategy::LeastLoaded, &[far, near], None), 1);
    }
}
