//! The oracle: watches events and commands, and names the first invariant that does not hold.

use crate::fairness::Shares;
use crate::model::{Facts, Model, ModelJob, ModelLane, ModelWaiter, Phase, may_use};
use offload_pipeline::dispatch::{
    Command, End, Event, Executor, JobId, NoExecutor, Refusal, Settlement, Snapshot, Submission, Time,
    WaiterId,
};
use std::collections::{BTreeMap, BTreeSet};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub invariant: &'static str,
    pub detail: String,
}

pub(crate) type Checked = Result<(), Violation>;

pub(crate) fn hold(yes: bool, invariant: &'static str, detail: impl FnOnce() -> String) -> Checked {
    if yes { Ok(()) } else { Err(Violation { invariant, detail: detail() }) }
}

pub(crate) struct Oracle {
    pub model: Model,
    pub facts: Facts,
    pub now: Time,
    answered: BTreeSet<WaiterId>,
    gone: BTreeSet<JobId>,
    /// The submission of this step, until it is answered.
    pending: Option<Submission>,
    /// The job that ended in this step, until it is settled or queued again.
    ended: Option<(JobId, End)>,
    cancelling: Option<WaiterId>,
    raised_now: bool,
    sla_misses: [u64; 4],
    pub(crate) last_general: BTreeMap<Executor, bool>,
    pub(crate) shares: Shares,
    pub starts: u64,
}

impl Oracle {
    pub(crate) fn new(facts: Facts) -> Self {
        Oracle {
            model: Model::default(),
            facts,
            now: Time(0),
            answered: BTreeSet::new(),
            gone: BTreeSet::new(),
            pending: None,
            ended: None,
            cancelling: None,
            raised_now: false,
            sla_misses: [0; 4],
            last_general: BTreeMap::new(),
            shares: Shares::default(),
            starts: 0,
        }
    }

    /// Before the step.
    pub(crate) fn event(&mut self, now: Time, event: &Event) {
        self.now = now;
        self.model.age(now);
        self.raised_now = false;
        self.cancelling = None;
        match event {
            Event::Submit(s) => self.pending = Some(s.clone()),
            Event::Cancel(w) => {
                self.cancelling = self.model.waiters.contains_key(w).then_some(*w);
            }
            Event::Ended { job, lane, end } => {
                let running = self.model.jobs.get(job).map(|j| j.phase);
                if matches!(running, Some(Phase::Running { lane: l, .. }) if l == *lane) {
                    self.ended = Some((*job, *end));
                }
            }
            Event::AddLane { lane, spec } => {
                self.model.lanes.insert(*lane, ModelLane { spec: *spec, retired: false });
            }
            Event::RetireLane(lane) => {
                if let Some(lane) = self.model.lanes.get_mut(lane) {
                    lane.retired = true;
                }
            }
            Event::ExecutorDown { executor } => {
                self.model.down.insert(*executor);
            }
            Event::ExecutorUp { executor } => {
                self.model.down.remove(executor);
            }
            Event::Drain => self.model.draining = true,
            Event::Tick => {}
        }
    }

    pub(crate) fn command(&mut self, command: &Command) -> Checked {
        // The newest limits count from the moment the submission is looked at.
        match command {
            Command::Queued { waiter, job, position } => {
                let s = self.take_pending(*waiter)?;
                self.admitted(*job, &s)?;
                self.queue_bounds(&s)?;
                let ahead = (0..=s.priority.class()).map(|c| self.model.queued_in(c)).sum::<usize>();
                hold(*position == ahead, "position", || format!("{position}, not {ahead}"))?;
                self.insert(*job, s, Phase::Queued, 0);
                self.shares.refresh(&self.model);
                Ok(())
            }
            Command::RunInline { waiter, job } => {
                let s = self.take_pending(*waiter)?;
                self.admitted(*job, &s)?;
                let ahead = (0..=s.priority.class()).map(|c| self.model.queued_in(c)).sum::<usize>();
                hold(ahead == 0, "inline", || format!("{job:?} runs past {ahead} queued"))?;
                hold(s.inline && may_use(&s.demand, Executor::Cpu), "inline", || {
                    format!("{job:?} must not")
                })?;
                let lane = offload_pipeline::dispatch::LaneId::INLINE;
                self.insert(*job, s, Phase::Running { lane, executor: Executor::Cpu, aborted: false }, 1);
                self.budgets(*job)
            }
            Command::Joined { waiter, job } => self.joined(*waiter, *job),
            Command::Refused { waiter, why } => {
                let s = self.take_pending(*waiter)?;
                hold(self.answered.insert(*waiter), "one_outcome", || format!("{waiter:?} twice"))?;
                self.refused(&s, why)
            }
            Command::Start { job, lane, attempt, class, fallback } => {
                self.starts += 1;
                self.started(*job, *lane, (*attempt, *class, fallback.is_some()))
            }
            Command::Abort { job } => {
                let j = self.job(*job)?;
                let waiting = j.waiters.len();
                hold(waiting == 0, "followers", || format!("{job:?} aborted with {waiting} waiting"))?;
                match &mut j.phase {
                    Phase::Running { aborted, .. } if !*aborted => *aborted = true,
                    phase => return hold(false, "one_end", || format!("{job:?} aborted when {phase:?}")),
                }
                Ok(())
            }
            Command::Requeued { job, attempts } => {
                let max = self.facts.config.max_attempts;
                hold(self.ended == Some((*job, End::Faulted)), "one_end", || {
                    format!("{job:?} did not fault")
                })?;
                hold(*attempts < max, "attempts", || format!("{job:?} queued again after {attempts}"))?;
                self.ended = None;
                let now = self.now;
                let j = self.job(*job)?;
                if let Phase::Running { executor, .. } = j.phase {
                    j.failed_on.insert(executor);
                }
                j.phase = Phase::Queued;
                self.model.age(now);
                Ok(())
            }
            Command::Dropped { job } => {
                let j = self.job(*job)?;
                let (waiting, phase) = (j.waiters.len(), j.phase);
                hold(waiting == 0, "followers", || format!("{job:?} dropped with {waiting} waiting"))?;
                hold(phase == Phase::Queued, "one_end", || format!("{job:?} dropped while it runs"))?;
                self.remove(*job);
                Ok(())
            }
            Command::Settled { job, waiters, end } => self.settled(*job, waiters, end),
            Command::TimedOut { waiter, job } => {
                let w = self.answer(*waiter, *job)?;
                let late = w.deadline.is_some_and(|at| at <= self.now);
                hold(late, "deadline", || format!("{waiter:?} early: {:?} at {:?}", w.deadline, self.now))?;
                self.promise(&w);
                // Whoever cancels at its deadline is told of the deadline.
                self.cancelling = self.cancelling.filter(|c| c != waiter);
                Ok(())
            }
            Command::Cancelled { waiter, job } => {
                self.answer(*waiter, *job)?;
                hold(self.cancelling == Some(*waiter), "one_outcome", || {
                    format!("{waiter:?} did not cancel")
                })?;
                self.cancelling = None;
                Ok(())
            }
            Command::SlaMissed { .. } => Ok(()),
        }
    }

    /// After the step.
    pub(crate) fn after(&mut self, snapshot: &Snapshot, wakeup: Option<Time>) -> Checked {
        let now = self.now;
        hold(self.pending.is_none(), "one_outcome", || "a submission was not answered".into())?;
        hold(self.cancelling.is_none(), "one_outcome", || "a cancel was not answered".into())?;
        hold(self.ended.is_none(), "one_end", || format!("{:?} ended and was not settled", self.ended))?;
        for (id, w) in &self.model.waiters {
            let at = w.deadline.unwrap_or(Time(u64::MAX));
            hold(at > now, "deadline", || format!("{id:?} was due at {at:?}, it is {now:?}"))?;
            let woken = w.deadline.is_none() || wakeup.is_some_and(|t| t <= at);
            hold(woken, "wakeup", || format!("{id:?} at {at:?}, wakeup {wakeup:?}"))?;
        }
        for (id, job) in &self.model.jobs {
            let over = matches!(job.phase, Phase::Running { aborted: true, .. });
            hold(!job.waiters.is_empty() || over, "abandoned", || {
                format!("{id:?} has no waiter and goes on")
            })?;
            if job.phase == Phase::Queued {
                let reachable = self.model.reachable(&job.demand, job.class);
                hold(reachable, "stranded", || format!("{id:?} waits for a device that is not there"))?;
            }
        }
        let queued: [usize; 4] = std::array::from_fn(|c| self.model.queued_in(c));
        let rule = if self.raised_now { "raise" } else { "aging" };
        hold(queued == snapshot.queued, rule, || format!("{:?}, not {queued:?}", snapshot.queued))?;
        for tenant in self.model.limits.keys() {
            let (tasks, host, device) = self.model.used(|j, _| j.tenant == *tenant);
            let told = snapshot.tenants.iter().find(|t| t.tenant == *tenant).map(|t| t.reserved);
            let told = told.unwrap_or_default();
            let same = (told.tasks, told.host_bytes, told.device_bytes) == (tasks, host, device);
            hold(same, "reservations", || format!("{tenant}: {told:?}, not {:?}", (tasks, host, device)))?;
        }
        let sla = self.sla_misses;
        hold(sla == snapshot.sla_misses, "sla", || format!("{:?}, not {sla:?}", snapshot.sla_misses))?;
        self.no_idle_lane(snapshot)
    }

    pub(crate) fn finished(&self, snapshot: &Snapshot) -> Checked {
        let m = &self.model;
        hold(m.jobs.is_empty(), "one_end", || format!("{} jobs never ended", m.jobs.len()))?;
        hold(m.waiters.is_empty(), "one_outcome", || format!("{} never answered", m.waiters.len()))?;
        let clean = snapshot.tenants.is_empty() && snapshot.inline == 0 && snapshot.waiters == 0;
        hold(clean, "released", || format!("left: {snapshot:?}"))
    }

    pub(crate) fn job(&mut self, id: JobId) -> Result<&mut ModelJob, Violation> {
        let gone = if self.gone.contains(&id) { "has ended" } else { "is not known" };
        let detail = format!("{id:?} {gone}");
        self.model.jobs.get_mut(&id).ok_or(Violation { invariant: "one_end", detail })
    }

    fn take_pending(&mut self, waiter: WaiterId) -> Result<Submission, Violation> {
        let s = self.pending.take().filter(|s| s.waiter == waiter);
        let s =
            s.ok_or(Violation { invariant: "one_outcome", detail: format!("{waiter:?} did not submit") })?;
        if !self.model.draining && s.deadline.is_none_or(|at| at > self.now) {
            self.model.limits.insert(s.tenant.clone(), s.limits.clone());
        }
        Ok(s)
    }

    fn insert(&mut self, id: JobId, s: Submission, phase: Phase, attempts: u32) {
        let class = s.priority.class();
        let w = ModelWaiter { job: id, class, submitted: self.now, deadline: s.deadline };
        self.model.waiters.insert(s.waiter, w);
        let job = ModelJob {
            tenant: s.tenant,
            demand: s.demand,
            key: s.flight,
            enqueued: self.now,
            class,
            entered: self.now,
            due: false,
            raised: false,
            waiters: vec![s.waiter],
            phase,
            attempts,
            failed_on: BTreeSet::new(),
            overtaken: 0,
            bypassed: 0,
        };
        self.model.jobs.insert(id, job);
    }

    fn remove(&mut self, id: JobId) {
        self.model.jobs.remove(&id);
        self.gone.insert(id);
        self.shares.refresh(&self.model);
    }

    /// What must hold for every new job.
    fn admitted(&self, id: JobId, s: &Submission) -> Checked {
        hold(!self.model.jobs.contains_key(&id) && !self.gone.contains(&id), "one_end", || {
            format!("{id:?} again")
        })?;
        hold(!self.model.draining, "drain", || format!("{id:?} came while draining"))?;
        let live = self.model.jobs.values().find(|j| {
            let aborted = matches!(j.phase, Phase::Running { aborted: true, .. });
            s.flight.is_some() && j.key == s.flight && j.tenant == s.tenant && !aborted
        });
        hold(live.is_none(), "single_flight", || format!("{id:?} computes what another does"))?;
        hold(s.deadline.is_none_or(|at| at > self.now), "deadline", || format!("{id:?} came late"))?;
        let never = self.never(s);
        hold(never.is_none(), "over_quota", || format!("{id:?} can never run: {never:?}"))
    }

    fn queue_bounds(&self, s: &Submission) -> Checked {
        let (mine, all) = self.queue_lengths(s);
        let (tenant, class) = (s.limits.max_queued_tasks as usize, self.class_limit(s.priority.class()));
        hold(mine < tenant && all < class, "shed", || format!("{mine} of {tenant}, {all} of {class}"))
    }

    fn queue_lengths(&self, s: &Submission) -> (usize, usize) {
        let mine = self.model.queued().filter(|(_, j)| j.tenant == s.tenant).count();
        (mine, self.model.queued().count())
    }

    fn class_limit(&self, class: usize) -> usize {
        self.facts.config.max_queued * [100, 90, 80, 70][class] / 100
    }

    /// Why the job could not run even alone.
    fn never(&self, s: &Submission) -> Option<&'static str> {
        let (d, l) = (&s.demand, &s.limits);
        let explicit = !may_use(d, Executor::Cpu);
        if explicit && !self.model.reachable(d, s.priority.class()) {
            return Some("executor");
        }
        let device = d.device_bytes.unwrap_or(0);
        let host = if explicit { d.host_bytes + d.staging_bytes } else { d.host_bytes };
        let big = l.max_concurrent_tasks == 0
            || host > l.max_host_bytes.min(self.facts.host_budget)
            || (explicit && device > l.max_device_bytes.min(self.facts.device_budget));
        big.then_some("quota")
    }

    fn refused(&self, s: &Submission, why: &Refusal) -> Checked {
        let (mine, all) = self.queue_lengths(s);
        let right = match why {
            Refusal::Draining => self.model.draining,
            Refusal::DeadlinePassed => s.deadline.is_some_and(|at| at <= self.now),
            Refusal::QueueFull { .. } => all >= self.class_limit(s.priority.class()),
            Refusal::TenantQueueFull { .. } => mine >= s.limits.max_queued_tasks as usize,
            Refusal::TooManyWaiters { limit } => {
                self.model.jobs.values().any(|j| j.key == s.flight && j.waiters.len() >= *limit)
            }
            Refusal::OverQuota { needed, limit, .. } => needed > limit && self.never(s) == Some("quota"),
            Refusal::NoExecutor(_) => self.never(s) == Some("executor"),
        };
        hold(right, "refusal", || format!("{why:?} for {s:?}"))
    }

    fn joined(&mut self, waiter: WaiterId, id: JobId) -> Checked {
        let s = self.take_pending(waiter)?;
        let now = self.now;
        let draining = self.model.draining;
        hold(!draining, "drain", || format!("{waiter:?} joined while draining"))?;
        let max = self.facts.config.max_waiters_per_job;
        let j = self.job(id)?;
        let live = !matches!(j.phase, Phase::Running { aborted: true, .. });
        let same = j.key.is_some() && j.key == s.flight && j.tenant == s.tenant;
        hold(live && same, "single_flight", || {
            format!("{waiter:?} joined {id:?}: live {live}, same {same}")
        })?;
        hold(j.waiters.len() < max, "shed", || format!("{id:?} has {max} waiters"))?;
        j.waiters.push(waiter);
        let class = s.priority.class();
        let raised = j.phase == Phase::Queued && class < j.class;
        if raised {
            (j.class, j.entered, j.due, j.raised) = (class, now, false, true);
        }
        self.raised_now |= raised;
        self.model
            .waiters
            .insert(waiter, ModelWaiter { job: id, class, submitted: now, deadline: s.deadline });
        self.shares.refresh(&self.model);
        Ok(())
    }

    fn answer(&mut self, waiter: WaiterId, job: JobId) -> Result<ModelWaiter, Violation> {
        let one = |detail| Violation { invariant: "one_outcome", detail };
        let known = self.model.waiters.remove(&waiter).filter(|w| w.job == job);
        let w = known.ok_or_else(|| one(format!("{waiter:?} does not wait for {job:?}")))?;
        hold(self.answered.insert(waiter), "one_outcome", || format!("{waiter:?} answered twice"))?;
        if let Some(j) = self.model.jobs.get_mut(&job) {
            j.waiters.retain(|w| *w != waiter);
        }
        Ok(w)
    }

    fn promise(&mut self, w: &ModelWaiter) {
        let promise = [10_000, 100_000, 1_000_000, u64::MAX][w.class];
        self.sla_misses[w.class] += u64::from(self.now - w.submitted > promise);
    }

    fn settled(&mut self, id: JobId, waiters: &[WaiterId], end: &Settlement) -> Checked {
        let ended = self.ended.take_if(|(job, _)| *job == id).map(|(_, end)| end);
        let max = self.facts.config.max_attempts;
        let reachable = self.model.jobs.get(&id).is_some_and(|j| self.model.reachable(&j.demand, j.class));
        let j = self.job(id)?;
        let told: BTreeSet<_> = waiters.iter().collect();
        let due: BTreeSet<_> = j.waiters.iter().collect();
        hold(told == due, "followers", || format!("{id:?} answers {told:?}, not {due:?}"))?;
        let aborted = matches!(j.phase, Phase::Running { aborted: true, .. });
        let no_gpu = *end == Settlement::Refused(Refusal::NoExecutor(NoExecutor::NoGpu));
        let right = match ended {
            Some(End::Done) => *end == Settlement::Done,
            Some(End::Failed) => *end == Settlement::Failed,
            Some(End::Cancelled) => *end == Settlement::Cancelled,
            Some(End::Faulted) if aborted => *end == Settlement::Cancelled,
            Some(End::Faulted) if j.attempts >= max => *end == Settlement::DeadLetter { attempts: max },
            Some(End::Faulted) => no_gpu && !reachable,
            // A queued job ends only because its executor or its quota went away.
            None => {
                let queued = j.phase == Phase::Queued;
                let refused = matches!(end, Settlement::Refused(_));
                hold(queued && refused, "followers", || format!("{id:?} settled {end:?} by itself"))?;
                !no_gpu || !reachable
            }
        };
        hold(right, "settlement", || format!("{id:?}: {ended:?} became {end:?}"))?;
        for waiter in waiters {
            let w = self.answer(*waiter, id)?;
            self.promise(&w);
        }
        self.remove(id);
        Ok(())
    }
}
