//! One schedule: random tenants, lanes, jobs and faults under a virtual clock, played against the dispatcher.

use crate::model::Facts;
use crate::oracle::{Checked, Oracle, Violation, hold};
use crate::profile::{Kind, Profile};
use crate::rng::Rng;
use crate::tamper::{Loose, Tamper};
use offload_api::{DeviceChoice, Priority};
use offload_core::TenantId;
use offload_pipeline::dispatch::{
    Command, Demand, Dispatcher, End, Event, Executor, JobId, Lane, LaneId, Limits, Submission, Time,
    WaiterId,
};
use offload_pipeline::place::{Ledger, Places, Strategy};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const MAX_STEPS: u64 = 20_000;

#[derive(Clone, Debug)]
enum Action {
    Submit,
    Cancel(WaiterId),
    End(JobId, LaneId, u32),
    Churn,
    Up(Executor),
    Drain,
    /// Everything that was taken away comes back, so that all that is queued can end.
    Mend,
}

/// A job that runs, as an engine would know it.
struct Run {
    lane: LaneId,
    attempt: u32,
    executor: Executor,
    aborted: bool,
}

pub(crate) struct World {
    profile: Profile,
    rng: Rng,
    now: Time,
    dispatcher: Dispatcher<Loose>,
    pub oracle: Oracle,
    tamper: Tamper,
    agenda: BTreeMap<(Time, u64), Action>,
    planned: u64,
    submitted: u64,
    mended: bool,
    lanes: BTreeMap<LaneId, Lane>,
    next_lane: u32,
    down: BTreeSet<Executor>,
    runs: BTreeMap<JobId, Run>,
    demands: BTreeMap<JobId, Demand>,
    keys: BTreeMap<(u64, u8), Demand>,
    tenants: Vec<(TenantId, Arc<Limits>)>,
    trace: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(kind: Kind, seed: u64, tamper: Tamper) -> World {
        let mut rng = Rng::new(seed.wrapping_mul(8).wrapping_add(kind as u64));
        let profile = Profile::new(kind, &mut rng);
        let facts = Facts {
            host_budget: profile.host_budget,
            device_budget: profile.device_budget,
            config: profile.config.clone(),
            cost_based: profile.strategy == Strategy::CostBased,
            fair: kind == Kind::Fair,
            memory: kind == Kind::Memory,
        };
        let (scale, config) = (tamper.budget_scale(), tamper.config(profile.config.clone()));
        let places = |scale: (u64, u64)| {
            let mut ledger = Ledger::new(profile.host_budget * scale.0);
            for d in 0..profile.devices {
                ledger.set_device_budget(d, profile.device_budget * scale.1);
            }
            Places::new(profile.strategy, ledger)
        };
        let placer = Loose::new(places(scale), places((1, 1)), tamper);
        World {
            rng,
            now: Time(0),
            dispatcher: Dispatcher::new(config, placer),
            oracle: Oracle::new(facts),
            tamper,
            agenda: BTreeMap::new(),
            planned: 0,
            submitted: 0,
            mended: false,
            lanes: BTreeMap::new(),
            next_lane: 0,
            down: BTreeSet::new(),
            runs: BTreeMap::new(),
            demands: BTreeMap::new(),
            keys: BTreeMap::new(),
            tenants: Vec::new(),
            trace: std::env::var("SIM_TRACE").is_ok().then(Vec::new),
            profile,
        }
    }

    /// Plays the schedule to its end, or to the first violation.
    pub(crate) fn play(&mut self) -> Checked {
        let played = self.play_on();
        if let (Err(_), Some(trace)) = (&played, &self.trace) {
            trace.iter().for_each(|line| println!("{line}"));
        }
        played
    }

    fn play_on(&mut self) -> Checked {
        for i in 0..self.profile.tenants {
            let limits = self.limits();
            self.tenants.push((TenantId::new(&format!("t{i}")), limits));
        }
        self.lay_lanes()?;
        self.plan(1, Action::Submit);
        for _ in 0..MAX_STEPS {
            let wakeup = self.dispatcher.next_wakeup().filter(|_| self.tamper != Tamper::Oversleep);
            let next = self.agenda.keys().next().copied();
            let action_first = match (next, wakeup) {
                (Some((at, _)), Some(wake)) => at <= wake,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if action_first {
                let Some(((at, _), action)) = self.agenda.pop_first() else { continue };
                self.now = self.now.max(at);
                self.act(action)?;
            } else if self.dispatcher.is_idle() && self.mended {
                return self.oracle.finished(&self.dispatcher.snapshot());
            } else if let Some(wake) = wakeup {
                hold(wake >= self.now, "wakeup", || format!("{wake:?} is over at {:?}", self.now))?;
                self.now = wake;
                self.step(Event::Tick)?;
            } else if !self.mended {
                self.plan(1, Action::Mend);
            } else {
                return hold(false, "liveness", || format!("{:?}", self.dispatcher.snapshot()));
            }
        }
        hold(false, "liveness", || format!("{MAX_STEPS} steps: {:?}", self.dispatcher.snapshot()))
    }

    fn plan(&mut self, after_us: u64, action: Action) {
        self.planned += 1;
        self.agenda.insert((self.now + after_us, self.planned), action);
    }

    fn lay_lanes(&mut self) -> Checked {
        for _ in 0..self.profile.cpu_lanes {
            self.add_lane(Executor::Cpu, false)?;
        }
        if self.profile.realtime_lane {
            self.add_lane(Executor::Cpu, true)?;
        }
        for d in 0..self.profile.devices {
            self.add_lane(Executor::Device(d), false)?;
            if self.rng.percent(50) {
                self.add_lane(Executor::Device(d), true)?;
            }
        }
        Ok(())
    }

    fn add_lane(&mut self, executor: Executor, realtime_only: bool) -> Checked {
        let (depth, most) = if executor == Executor::Cpu { (1, 1) } else { (2, 6) };
        let (lane, spec) = (LaneId(self.next_lane), Lane { executor, realtime_only, depth, most });
        self.next_lane += 1;
        self.lanes.insert(lane, spec);
        self.step(Event::AddLane { lane, spec })
    }

    fn limits(&mut self) -> Arc<Limits> {
        let ample = !self.profile.tight;
        let queue = if self.profile.kind == Kind::Shed { 15 } else { 1_000 };
        let rng = &mut self.rng;
        Arc::new(Limits {
            max_concurrent_tasks: if ample { 1_000 } else { rng.within(1, 6) as u32 },
            max_queued_tasks: rng.within(queue / 3, queue) as u32,
            max_host_bytes: if ample { 1 << 40 } else { rng.within(600, 4_000) },
            max_device_bytes: if ample { 1 << 40 } else { rng.within(300, 2_500) },
        })
    }

    fn act(&mut self, action: Action) -> Checked {
        match action {
            Action::Submit => self.submit(),
            Action::Cancel(waiter) => self.step(Event::Cancel(waiter)),
            Action::End(job, lane, attempt) => self.end(job, lane, attempt),
            Action::Churn => self.churn(),
            Action::Up(executor) => {
                self.down.remove(&executor);
                self.step(Event::ExecutorUp { executor })
            }
            Action::Drain => self.step(Event::Drain),
            Action::Mend => {
                self.mended = true;
                for executor in std::mem::take(&mut self.down) {
                    self.step(Event::ExecutorUp { executor })?;
                }
                self.lay_lanes()
            }
        }
    }

    fn submit(&mut self) -> Checked {
        self.submitted += 1;
        if self.submitted < self.profile.submissions {
            let burst = self.rng.percent(30);
            let gap = if burst { 0 } else { self.rng.below(self.profile.gap_us * 2) };
            self.plan(gap, Action::Submit);
        } else {
            let after = self.profile.gap_us * 3;
            self.plan(after, Action::Mend);
        }
        if self.submitted + 3 == self.profile.submissions && self.rng.percent(30) {
            self.plan(0, Action::Drain);
        }
        if self.rng.percent(self.profile.churn) {
            let after = self.rng.below(self.profile.job_us);
            self.plan(after, Action::Churn);
        }
        let index = self.rng.below(self.profile.tenants);
        if self.profile.tight && self.rng.percent(3) {
            self.tenants[index as usize].1 = self.limits();
        }
        let (tenant, limits) = self.tenants[index as usize].clone();
        let key = self.rng.percent(self.profile.keyed).then(|| self.rng.below(4) as u8);
        let fresh = self.demand();
        // Equal keys mean equal computations.
        let demand = match key {
            Some(key) => self.keys.entry((index, key)).or_insert(fresh).clone(),
            None => fresh,
        };
        let waiter = WaiterId(self.submitted);
        let life = self.profile.job_us * 3;
        let deadline = self.rng.percent(self.profile.deadlines).then(|| self.now + self.rng.below(life));
        if self.rng.percent(self.profile.cancels) {
            let after = self.rng.below(life);
            self.plan(after, Action::Cancel(waiter));
        }
        let total = self.profile.class_weights.iter().sum();
        let mut at = self.rng.below(total);
        let class = self.profile.class_weights.iter().position(|w| {
            let here = at < *w;
            at = at.saturating_sub(*w);
            here
        });
        let priority = Priority::ALL[class.unwrap_or(3)];
        let inline = self.rng.percent(self.profile.inline);
        let flight = key.map(|k| [k; 32]);
        self.step(Event::Submit(Submission {
            waiter,
            tenant,
            limits,
            priority,
            deadline,
            flight,
            demand,
            inline,
        }))
    }

    fn demand(&mut self) -> Demand {
        let p = self.profile.clone();
        let rng = &mut self.rng;
        let on_device = p.devices > 0 && rng.percent(60);
        let big = rng.percent(p.big);
        let host = if big { rng.within(1_500, 4_200) } else { rng.below(700) };
        let choice = match rng.below(100) {
            n if n < p.explicit && rng.percent(60) => DeviceChoice::Id(rng.below(3) as u32),
            n if n < p.explicit => DeviceChoice::Gpu,
            n if n < 50 => DeviceChoice::Cpu,
            _ => DeviceChoice::Auto,
        };
        let choice = if p.devices == 0 && rng.percent(95) { DeviceChoice::Cpu } else { choice };
        let device_us = (0..p.devices).map(|d| (d, rng.within(1, p.job_us) as f64)).collect();
        Demand {
            host_bytes: host,
            staging_bytes: if on_device { rng.below(if big { 1_500 } else { 400 }) } else { 0 },
            device_bytes: on_device.then(|| rng.below(if big { 2_200 } else { 500 })),
            cpu_us: rng.within(1, p.job_us) as f64,
            device_us: if on_device { device_us } else { Vec::new() },
            choice,
            locality: rng.percent(30).then(|| rng.below(3)),
            resident_on: rng.percent(10).then_some(0).into_iter().collect(),
        }
    }

    fn end(&mut self, job: JobId, lane: LaneId, attempt: u32) -> Checked {
        let Some(run) = self.runs.get(&job).filter(|r| r.attempt == attempt && r.lane == lane) else {
            return Ok(());
        };
        let (aborted, executor) = (run.aborted, run.executor);
        let faulty = if executor == Executor::Cpu { self.profile.faults / 4 } else { self.profile.faults };
        let end = if self.down.contains(&executor) || self.rng.percent(faulty) {
            End::Faulted
        } else if aborted && self.rng.percent(70) || self.rng.percent(1) {
            End::Cancelled
        } else if self.rng.percent(10) {
            End::Failed
        } else {
            End::Done
        };
        self.runs.remove(&job);
        self.step(Event::Ended { job, lane, end })?;
        if end != End::Faulted && self.rng.percent(5) {
            self.step(Event::Ended { job, lane, end: End::Done })?;
        }
        Ok(())
    }

    fn churn(&mut self) -> Checked {
        let executor = match self.rng.below(u64::from(self.profile.devices) + 1) {
            0 => Executor::Cpu,
            d => Executor::Device(d as u32 - 1),
        };
        match self.rng.below(3) {
            0 if !self.mended => {
                self.down.insert(executor);
                let after = self.rng.below(self.profile.job_us * 4);
                self.plan(after, Action::Up(executor));
                // What runs there comes back soon.
                let lost: Vec<_> = self.runs.iter().filter(|(_, r)| r.executor == executor).collect();
                let lost: Vec<_> = lost.into_iter().map(|(j, r)| (*j, r.lane, r.attempt)).collect();
                for (job, lane, attempt) in lost {
                    self.plan(10, Action::End(job, lane, attempt));
                }
                self.step(Event::ExecutorDown { executor })
            }
            1 if !self.mended && !self.lanes.is_empty() => {
                let n = self.rng.below(self.lanes.len() as u64) as usize;
                let Some(lane) = self.lanes.keys().nth(n).copied() else { return Ok(()) };
                self.lanes.remove(&lane);
                self.step(Event::RetireLane(lane))
            }
            _ => self.add_lane(executor, false),
        }
    }

    fn step(&mut self, event: Event) -> Checked {
        self.oracle.event(self.now, &event);
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:?} {event:?}", self.now));
        }
        let submitted = if let Event::Submit(s) = &event { Some(s.demand.clone()) } else { None };
        let mut out = Vec::new();
        self.dispatcher.step(self.now, event, &mut out);
        self.tamper.commands(&mut out);
        for command in &out {
            if let Some(trace) = &mut self.trace {
                trace.push(format!("    {command:?}"));
            }
            match command {
                Command::Queued { job, .. } | Command::RunInline { job, .. } => {
                    self.demands.extend(submitted.clone().map(|d| (*job, d)));
                }
                _ => {}
            }
            self.oracle.command(command)?;
            self.obey(command);
        }
        let wakeup = self.dispatcher.next_wakeup().filter(|_| self.tamper != Tamper::Oversleep);
        self.oracle.after(&self.dispatcher.snapshot(), wakeup)
    }

    /// What an engine does with a command.
    fn obey(&mut self, command: &Command) {
        let (job, lane, attempt, executor) = match command {
            Command::Start { job, lane, attempt, .. } => {
                let executor = self.oracle.model.lanes.get(lane).map_or(Executor::Cpu, |l| l.spec.executor);
                (*job, *lane, *attempt, executor)
            }
            Command::RunInline { job, .. } => (*job, LaneId::INLINE, 1, Executor::Cpu),
            Command::Abort { job } => {
                if let Some(run) = self.runs.get_mut(job) {
                    run.aborted = true;
                    let (lane, attempt) = (run.lane, run.attempt);
                    let after = self.rng.below(self.profile.job_us / 2);
                    self.plan(after, Action::End(*job, lane, attempt));
                }
                return;
            }
            _ => return,
        };
        let expected = self.demands.get(&job).map_or(1.0, |d| d.expected_us(executor)).min(1e9) as u64;
        let takes = 1 + expected * self.rng.within(50, 200) / 100;
        self.runs.insert(job, Run { lane, attempt, executor, aborted: false });
        self.plan(takes, Action::End(job, lane, attempt));
    }
}

/// Plays one schedule.
pub(crate) fn play(kind: Kind, seed: u64, tamper: Tamper) -> Result<u64, Violation> {
    let mut world = World::new(kind, seed, tamper);
    world.play().map(|()| world.oracle.starts)
}
