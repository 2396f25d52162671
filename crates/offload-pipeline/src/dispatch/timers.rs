//! What happens by itself: deadlines and aging.

use super::{Command, Dispatcher, JobId, Placer, Sabotage, Time, WaiterId};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Deadline(WaiterId),
    Aging(JobId),
}

#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Time, Timer)>);

impl Timers {
    pub(super) fn next(&self) -> Option<Time> {
        self.0.first().map(|(at, _)| *at)
    }

    pub(super) fn set_deadline(&mut self, at: Time, waiter: WaiterId) {
        self.0.insert((at, Timer::Deadline(waiter)));
    }

    pub(super) fn unset_deadline(&mut self, at: Time, waiter: WaiterId) {
        self.0.remove(&(at, Timer::Deadline(waiter)));
    }

    pub(super) fn set_aging(&mut self, at: Time, job: JobId) {
        self.0.insert((at, Timer::Aging(job)));
    }

    pub(super) fn unset_aging(&mut self, at: Time, job: JobId) {
        self.0.remove(&(at, Timer::Aging(job)));
    }

    fn pop(&mut self, now: Time) -> Option<Timer> {
        let first = self.0.first().filter(|(at, _)| *at <= now).copied()?;
        self.0.remove(&first);
        Some(first.1)
    }
}

impl<P: Placer> Dispatcher<P> {
    /// Answers deadlines and ages jobs, in the order of their times.
    pub(super) fn run_timers(&mut self, out: &mut Vec<Command>) {
        while let Some(timer) = self.timers.pop(self.now) {
            match timer {
                Timer::Deadline(waiter) if self.config.broken(Sabotage::LateDeadline) => {
                    self.timers.set_deadline(self.now + 1_000, waiter);
                }
                Timer::Deadline(waiter) => self.time_out(waiter, out),
                Timer::Aging(job) => self.reclass(job, |_, _| {}),
            }
        }
    }

    /// Moves a queued job to the class that it has after aging and `edit`.
    pub(super) fn reclass(&mut self, id: JobId, edit: impl FnOnce(&mut super::Job, Time)) {
        // A held job stays held: it waited for memory in the old class as it does in the new.
        let held = self.held;
        self.dequeue(id);
        if let Some(job) = self.jobs.get_mut(&id) {
            edit(job, self.now);
        }
        self.enqueue(id);
        self.held = held;
    }

    /// When a deadline rings: when it is, unless a test broke that.
    pub(super) fn ring_at(&self, deadline: Time) -> Time {
        if self.config.broken(Sabotage::EarlyDeadline) {
            Time(deadline.0.saturating_sub(1_000))
        } else {
            deadline
        }
    }
}
