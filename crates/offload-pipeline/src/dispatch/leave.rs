//! How waiters and jobs leave: cancelled, timed out, ended, stranded.

use super::job::{Route, State};
use super::{
    Command, Dispatcher, End, Executor, JobId, LaneId, NoExecutor, Placer, Refusal, Sabotage, Settlement,
    WaiterId,
};

impl<P: Placer> Dispatcher<P> {
    pub(super) fn cancel(&mut self, waiter: WaiterId, out: &mut Vec<Command>) {
        if let Some(job) = self.waiters.get(&waiter).map(|w| w.job) {
            self.forget_waiter(waiter);
            out.push(Command::Cancelled { waiter, job });
            self.left(waiter, job, out);
        }
    }

    pub(super) fn time_out(&mut self, waiter: WaiterId, out: &mut Vec<Command>) {
        if let Some(job) = self.waiters.get(&waiter).map(|w| w.job) {
            self.counts.timeouts += 1;
            out.push(Command::TimedOut { waiter, job });
            self.check_promise(waiter, out);
            self.forget_waiter(waiter);
            self.left(waiter, job, out);
        }
    }

    fn forget_waiter(&mut self, id: WaiterId) {
        if let Some(at) = self.waiters.remove(&id).and_then(|w| w.deadline) {
            self.timers.unset_deadline(at, id);
        }
    }

    fn check_promise(&mut self, id: WaiterId, out: &mut Vec<Command>) {
        let Some(waiter) = self.waiters.get(&id) else { return };
        let took_us = self.now - waiter.submitted;
        if self.config.sla_us[waiter.class].is_some_and(|promise| took_us > promise) {
            self.counts.sla_misses[waiter.class] += 1;
            out.push(Command::SlaMissed { class: waiter.class, took_us });
        }
    }

    /// One waiter of a job left; what becomes of the job?
    fn left(&mut self, waiter: WaiterId, id: JobId, out: &mut Vec<Command>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let led = job.waiters.first() == Some(&waiter);
        job.waiters.retain(|w| *w != waiter);
        if !job.waiters.is_empty() {
            if led && self.config.broken(Sabotage::FailFollowers) && job.state == State::Queued {
                self.dequeue(id);
                self.settle(id, Settlement::Cancelled, out);
            }
            return;
        }
        match job.state {
            State::Queued => {
                self.dequeue(id);
                self.free_flight(id);
                self.jobs.remove(&id);
                out.push(Command::Dropped { job: id });
            }
            State::Running { lane, executor } => {
                job.state = State::Aborted { lane, executor };
                if !self.config.broken(Sabotage::JoinAborted) {
                    self.free_flight(id);
                }
                if self.config.broken(Sabotage::EarlyRelease) {
                    self.placer.release(id);
                }
                out.push(Command::Abort { job: id });
            }
            State::Aborted { .. } => {}
        }
    }

    fn free_flight(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get(&id)
            && let Some(key) = job.flight
            && self.flights.get(&(job.tenant, key)) == Some(&id)
        {
            self.flights.remove(&(job.tenant, key));
        }
    }

    pub(super) fn ended(&mut self, id: JobId, from: LaneId, end: End, out: &mut Vec<Command>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let (executor, aborted) = match job.state {
            State::Running { lane, executor } if lane == from => (executor, false),
            State::Aborted { lane, executor } if lane == from => (executor, true),
            // Told twice, or by a lane that lost the job to another attempt.
            _ => return,
        };
        let tenant = job.tenant;
        if from == LaneId::INLINE {
            self.inline -= 1;
        } else {
            self.lanes.finish(from, id, self.now);
        }
        let leak = end == End::Failed && self.config.broken(Sabotage::Leak);
        let early = aborted && self.config.broken(Sabotage::EarlyRelease);
        if !leak && !early {
            self.placer.release(id);
        }
        if end != End::Failed || !self.config.broken(Sabotage::Lingering) {
            self.tenants[tenant as usize].running -= 1;
        }
        self.queues.unpark_tenant(tenant);
        self.counts.faults += u64::from(end == End::Faulted);
        let settlement = match end {
            End::Done => Settlement::Done,
            End::Failed => Settlement::Failed,
            End::Cancelled => Settlement::Cancelled,
            End::Faulted if aborted => Settlement::Cancelled,
            End::Faulted => match self.retry(id, executor, out) {
                Some(settlement) => settlement,
                None => return,
            },
        };
        self.settle(id, settlement, out);
    }

    /// Queues a faulted job again, or says how it ends.
    fn retry(&mut self, id: JobId, failed: Executor, out: &mut Vec<Command>) -> Option<Settlement> {
        let job = self.jobs.get_mut(&id)?;
        let attempts = job.attempts;
        if attempts >= self.config.max_attempts && !self.config.broken(Sabotage::RetryForever) {
            self.counts.dead_letters += 1;
            return Some(Settlement::DeadLetter { attempts });
        }
        if !job.excluded.contains(&failed) && !self.config.broken(Sabotage::NoExclusion) {
            job.excluded.push(failed);
        }
        let job = self.jobs.get(&id)?;
        if !self.reachable(&job.demand, job.class) {
            return Some(Settlement::Refused(Refusal::NoExecutor(NoExecutor::NoGpu)));
        }
        self.enqueue(id);
        out.push(Command::Requeued { job: id, attempts });
        None
    }

    /// Ends a job that is in no queue and on no lane.
    pub(super) fn settle(&mut self, id: JobId, end: Settlement, out: &mut Vec<Command>) {
        self.free_flight(id);
        let Some(job) = self.jobs.remove(&id) else { return };
        out.push(Command::Settled { job: id, waiters: job.waiters.clone(), end });
        for waiter in job.waiters {
            self.check_promise(waiter, out);
            self.forget_waiter(waiter);
        }
    }

    /// Ends the queued jobs whose caller named a device that is there no more. Others fall back to the CPU when
    /// their turn comes.
    pub(super) fn settle_stranded(&mut self, out: &mut Vec<Command>) {
        for id in self.queues.jobs_of(|route| matches!(route, Route::Gpu | Route::Device(_))) {
            let stranded = self.jobs.get(&id).is_some_and(|job| !self.reachable(&job.demand, job.class));
            if stranded {
                self.dequeue(id);
                self.settle(id, Settlement::Refused(Refusal::NoExecutor(NoExecutor::NoGpu)), out);
            }
        }
    }
}
