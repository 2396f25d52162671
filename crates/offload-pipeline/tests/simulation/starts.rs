//! What must hold whenever a job starts.

use crate::model::{ModelJob, Phase, host_on, may_use, route};
use crate::oracle::{Checked, Oracle, hold};
use offload_pipeline::dispatch::{Executor, JobId, LaneId, Snapshot};

impl Oracle {
    pub(crate) fn started(&mut self, id: JobId, lane: LaneId, told: (u32, usize, bool)) -> Checked {
        let (attempt, class, fallback) = told;
        let job = self.job(id)?.clone();
        hold(job.phase == Phase::Queued, "one_end", || format!("{id:?} started twice"))?;
        let found = self.model.lanes.get(&lane).cloned();
        let on =
            found.ok_or(crate::oracle::Violation { invariant: "lane", detail: format!("no {lane:?}") })?;
        let executor = on.spec.executor;
        hold(!on.retired, "lane", || format!("{lane:?} is retired"))?;
        hold(!self.model.down.contains(&executor), "lane", || format!("{executor:?} is down"))?;
        let (jobs, expected_us) = (self.model.jobs_on(lane), self.model.expected_us_on(lane));
        let config = &self.facts.config;
        let short = jobs < on.spec.most
            && expected_us < config.short_us
            && job.demand.expected_us(executor) < config.short_us
            && job.demand.device_bytes.is_some_and(|bytes| bytes <= config.short_bytes);
        hold(jobs < on.spec.depth || short, "lane", || format!("{lane:?} is full"))?;
        let realtime = !on.spec.realtime_only || job.class == 0;
        hold(realtime, "realtime_lane", || format!("{id:?} of P{} on a realtime lane", job.class))?;
        let rule = if job.raised { "raise" } else { "aging" };
        hold(class == job.class, rule, || format!("{id:?} starts as P{class}, is P{}", job.class))?;
        hold(may_use(&job.demand, executor), "device_choice", || format!("{id:?} on {executor:?}"))?;
        let falls =
            executor == Executor::Cpu && route(&job.demand).0 < 2 && job.demand.device_bytes.is_some();
        hold(!fallback || falls, "device_choice", || format!("{id:?} falls back to {executor:?}"))?;
        let next = attempt == job.attempts + 1 && attempt <= self.facts.config.max_attempts;
        hold(next, "attempts", || format!("{id:?}: attempt {attempt} after {}", job.attempts))?;
        let elsewhere = self.model.lanes.values().any(|l| {
            let e = l.spec.executor;
            let open =
                may_use(&job.demand, e) && self.model.open(l, job.class) && !job.failed_on.contains(&e);
            open && self.could_hold(&job, e)
        });
        let again = elsewhere && job.failed_on.contains(&executor);
        hold(!again, "exclusion", || format!("{id:?} goes back to {executor:?}"))?;
        hold(self.model.is_first(id, &job), "fifo", || format!("{id:?} starts before an older one"))?;
        self.order(id, &job, executor)?;
        if !on.spec.realtime_only {
            self.bypasses(id, &job, executor)?;
            self.alternation(id, &job, executor)?;
        }
        if let Some(j) = self.model.jobs.get_mut(&id) {
            j.phase = Phase::Running { lane, executor, aborted: false };
            j.attempts = attempt;
            j.bypassed = 0;
        }
        self.budgets(id)?;
        if self.facts.fair {
            self.shares.started(job.class, &job.tenant, job.demand.cpu_us.max(1.0).floor())?;
            self.shares.refresh(&self.model);
        }
        Ok(())
    }

    /// Whether it starts on that executor whenever it is asked: no choice of the placer's, no bad luck before.
    fn is_plain(&self, job: &ModelJob, executor: Executor) -> bool {
        let only = match executor {
            Executor::Cpu => route(&job.demand) == (0, 0),
            Executor::Device(d) => !self.facts.cost_based && route(&job.demand) == (3, d),
        };
        only && job.failed_on.is_empty() && may_use(&job.demand, executor)
    }

    /// Whether P0 gives way to it: its turn in the alternation, or due work that lanes were held for.
    fn is_privileged(&self, job: &ModelJob, executor: Executor) -> bool {
        let owed = self.last_general.get(&executor) == Some(&true);
        let due = self.model.queued().any(|(_, j)| j.class == 1 && j.due);
        job.class == 1 && ((due && owed) || (job.due && job.overtaken >= self.facts.config.max_bypass))
    }

    /// Whether the job fits there when nothing else runs.
    fn could_hold(&self, job: &ModelJob, executor: Executor) -> bool {
        let Some(limits) = self.model.limits.get(&job.tenant) else { return executor == Executor::Cpu };
        let device = limits.max_device_bytes.min(self.facts.device_budget);
        let host = limits.max_host_bytes.min(self.facts.host_budget);
        executor == Executor::Cpu
            || (host_on(&job.demand, executor) <= host
                && job.demand.device_bytes.is_some_and(|b| b <= device))
    }

    fn fits(&self, job: &ModelJob, executor: Executor) -> bool {
        self.model.quota_fits(job, executor) && self.model.memory_fits(job, executor, &self.facts)
    }

    /// No job of a more urgent class could have started there instead.
    fn order(&self, id: JobId, job: &ModelJob, executor: Executor) -> Checked {
        let privileged = self.is_privileged(job, executor);
        for (other, o) in self.model.queued().filter(|(_, o)| o.class < job.class) {
            let could =
                self.is_plain(o, executor) && self.model.is_first(*other, o) && self.fits(o, executor);
            hold(!could || privileged, "order", || {
                format!("{id:?} of P{} before {other:?} of P{} on {executor:?}", job.class, o.class)
            })?;
        }
        Ok(())
    }

    /// While due work could start, P0 does not take a general lane twice in a row.
    fn alternation(&mut self, id: JobId, job: &ModelJob, executor: Executor) -> Checked {
        let queued = || self.model.queued().filter(|(other, _)| **other != id);
        let short = |o: &ModelJob| !self.model.memory_fits(o, executor, &self.facts);
        let due = queued().any(|(_, o)| o.class == 1 && o.due);
        if job.class == 0 && self.last_general.get(&executor) == Some(&true) {
            // A hold may keep due work back; then it is memory that it waits for.
            let memory_waits = queued().any(|(_, o)| o.class <= 1 && short(o));
            let starved = queued().find(|(other, o)| {
                let first = self.model.is_first(**other, o);
                o.class == 1 && o.due && first && self.is_plain(o, executor) && self.fits(o, executor)
            });
            hold(memory_waits || starved.is_none(), "alternation", || {
                format!("P0 {id:?} again, {:?} is due", starved.map(|s| s.0))
            })?;
        }
        self.last_general.insert(executor, job.class == 0 && due);
        Ok(())
    }

    /// A job that waits for memory is not overtaken for ever by less urgent ones.
    fn bypasses(&mut self, id: JobId, job: &ModelJob, executor: Executor) -> Checked {
        let max = self.facts.config.max_bypass;
        let privileged = self.is_privileged(job, executor);
        let passed: Vec<JobId> = self
            .model
            .queued()
            .filter(|(other, o)| {
                self.facts.memory
                    && !privileged
                    && **other != id
                    && o.class < job.class
                    && self.is_plain(o, executor)
                    && self.model.is_first(**other, o)
                    && self.model.quota_fits(o, executor)
                    && !self.model.memory_fits(o, executor, &self.facts)
            })
            .map(|(other, _)| *other)
            .collect();
        for other in passed {
            let o = self.job(other)?;
            o.bypassed += 1;
            let n = o.bypassed;
            hold(n <= max, "bypass", || format!("{other:?} waits for memory, overtaken {n} times"))?;
        }
        for o in self.model.jobs.values_mut().filter(|o| o.phase == Phase::Queued) {
            o.overtaken += 1;
        }
        Ok(())
    }

    /// What runs is within the limits, now that this one runs too.
    pub(crate) fn budgets(&self, id: JobId) -> Checked {
        let Some(job) = self.model.jobs.get(&id) else { return Ok(()) };
        let Phase::Running { executor, .. } = job.phase else { return Ok(()) };
        let (tasks, host, device) = self.model.used(|j, _| j.tenant == job.tenant);
        let tenant = &job.tenant;
        let own = self.model.limits.get(tenant).is_some_and(|l| {
            let more_host = host_on(&job.demand, executor) > 0 && host > l.max_host_bytes;
            let more_device = executor != Executor::Cpu
                && job.demand.device_bytes.is_some_and(|b| b > 0)
                && device > l.max_device_bytes;
            tasks <= l.max_concurrent_tasks && !more_host && !more_device
        });
        hold(own, "tenant_quota", || format!("{tenant} runs {tasks} with {host} and {device} bytes"))?;
        let all = self.model.used(|_, _| true).1;
        hold(all <= self.facts.host_budget, "host_budget", || format!("{all} bytes reserved"))?;
        let there = self.model.used(|_, e| e == executor).2;
        hold(there <= self.facts.device_budget, "device_budget", || format!("{there} bytes on {executor:?}"))
    }

    /// No CPU lane stands idle while a job that only needs it could start.
    pub(crate) fn no_idle_lane(&self, snapshot: &Snapshot) -> Checked {
        if snapshot.held.is_some() {
            return Ok(());
        }
        for (id, job) in self.model.queued() {
            let room =
                |l: &LaneId| self.model.lanes.get(l).is_some_and(|x| self.model.jobs_on(*l) < x.spec.depth);
            let free = self.model.lanes.iter().find(|(id, l)| {
                l.spec.executor == Executor::Cpu && self.model.open(l, job.class) && room(id)
            });
            if let Some((lane, _)) = free {
                let could = self.is_plain(job, Executor::Cpu)
                    && self.model.is_first(*id, job)
                    && self.fits(job, Executor::Cpu);
                hold(!could, "idle_lane", || format!("{lane:?} is free for {id:?}"))?;
            }
        }
        Ok(())
    }
}
