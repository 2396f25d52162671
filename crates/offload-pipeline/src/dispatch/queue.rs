//! The queues: per class start-time fair queueing across tenants, and per tenant and route first in, first out.
//!
//! Each tenant has a tag per class: the service it has had there, in expected microseconds. The tenant with the
//! smallest tag is next, and its tag grows by what it starts. A tenant that comes back after a pause starts at the
//! class's virtual time, the largest tag that was served, so that idleness saves nothing up. Between two tenants
//! that both have jobs queued in a class, and neither of which is stopped by a quota or by memory, the service
//! differs by at most the largest job of each.

use super::job::Route;
use super::{JobId, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Where a scan of a class is: tag, tenant, route.
pub(super) type Cursor = (u64, u32, Route);

#[derive(Debug, Default)]
struct Class {
    queued: usize,
    virtual_time: u64,
    ready: BTreeMap<Route, BTreeSet<(u64, u32)>>,
}

/// The jobs of one tenant, class and route.
#[derive(Debug)]
struct Strand {
    route: Route,
    jobs: BTreeSet<(Time, JobId)>,
    /// Not looked at until the tenant's reservations, limits or first job change.
    parked: bool,
}

#[derive(Debug, Default)]
struct Flow {
    tag: u64,
    strands: Vec<Strand>,
}

impl Flow {
    fn is_active(&self) -> bool {
        self.strands.iter().any(|s| !s.jobs.is_empty() && !s.parked)
    }
}

#[derive(Debug, Default)]
pub(super) struct Queues {
    classes: [Class; 4],
    flows: Vec<[Flow; 4]>,
}

impl Queues {
    /// Room for one more tenant; its index is the number of tenants before.
    pub(super) fn add_tenant(&mut self) {
        self.flows.push(Default::default());
    }

    pub(super) fn len(&self, class: usize) -> usize {
        self.classes[class].queued
    }

    pub(super) fn total(&self) -> usize {
        self.classes.iter().map(|c| c.queued).sum()
    }

    pub(super) fn insert(&mut self, tenant: u32, class: usize, route: Route, enqueued: Time, job: JobId) {
        let flow = &mut self.flows[tenant as usize][class];
        if !flow.strands.iter().any(|s| s.route == route) {
            flow.strands.push(Strand { route, jobs: BTreeSet::new(), parked: false });
        }
        let first = self.head(tenant, class, route);
        self.change(tenant, class, route, |jobs| {
            jobs.insert((enqueued, job));
        });
        self.classes[class].queued += 1;
        if first != self.head(tenant, class, route) {
            self.unpark(tenant, class, route);
        }
    }

    pub(super) fn remove(&mut self, tenant: u32, class: usize, route: Route, enqueued: Time, job: JobId) {
        let first = self.head(tenant, class, route);
        self.change(tenant, class, route, |jobs| {
            jobs.remove(&(enqueued, job));
        });
        self.classes[class].queued -= 1;
        if first != self.head(tenant, class, route) {
            self.unpark(tenant, class, route);
        }
    }

    fn change(
        &mut self,
        tenant: u32,
        class: usize,
        route: Route,
        edit: impl FnOnce(&mut BTreeSet<(Time, JobId)>),
    ) {
        let flow = &mut self.flows[tenant as usize][class];
        let c = &mut self.classes[class];
        let was_active = flow.is_active();
        let Some(strand) = flow.strands.iter_mut().find(|s| s.route == route) else { return };
        edit(&mut strand.jobs);
        if strand.jobs.is_empty() {
            strand.parked = false;
            if let Some(set) = c.ready.get_mut(&route) {
                set.remove(&(flow.tag, tenant));
            }
        } else if !strand.parked {
            if !was_active {
                flow.tag = flow.tag.max(c.virtual_time);
            }
            c.ready.entry(route).or_default().insert((flow.tag, tenant));
        }
    }

    pub(super) fn head(&self, tenant: u32, class: usize, route: Route) -> Option<(Time, JobId)> {
        let flow = &self.flows[tenant as usize][class];
        flow.strands.iter().find(|s| s.route == route).and_then(|s| s.jobs.first().copied())
    }

    pub(super) fn last(&self, tenant: u32, class: usize, route: Route) -> Option<(Time, JobId)> {
        let flow = &self.flows[tenant as usize][class];
        flow.strands.iter().find(|s| s.route == route).and_then(|s| s.jobs.last().copied())
    }

    /// Looks past the strand until [`Queues::unpark`].
    pub(super) fn park(&mut self, tenant: u32, class: usize, route: Route) {
        let flow = &mut self.flows[tenant as usize][class];
        if let Some(strand) = flow.strands.iter_mut().find(|s| s.route == route && !s.jobs.is_empty()) {
            strand.parked = true;
            if let Some(set) = self.classes[class].ready.get_mut(&route) {
                set.remove(&(flow.tag, tenant));
            }
        }
    }

    fn unpark(&mut self, tenant: u32, class: usize, route: Route) {
        let flow = &mut self.flows[tenant as usize][class];
        let was_active = flow.is_active();
        let c = &mut self.classes[class];
        if let Some(strand) = flow.strands.iter_mut().find(|s| s.route == route && s.parked) {
            strand.parked = false;
            if !was_active {
                flow.tag = flow.tag.max(c.virtual_time);
            }
            c.ready.entry(route).or_default().insert((flow.tag, tenant));
        }
    }

    /// Looks at all of a tenant's jobs again: it may reserve more than before.
    pub(super) fn unpark_tenant(&mut self, tenant: u32) {
        for class in 0..4 {
            for i in 0..self.flows[tenant as usize][class].strands.len() {
                let strand = &self.flows[tenant as usize][class].strands[i];
                if strand.parked {
                    let route = strand.route;
                    self.unpark(tenant, class, route);
                }
            }
        }
    }

    /// Charges a tenant for a job of a class, queued or not.
    pub(super) fn charge(&mut self, tenant: u32, class: usize, cost: u64) {
        let flow = &mut self.flows[tenant as usize][class];
        let c = &mut self.classes[class];
        let old = flow.tag;
        if flow.is_active() {
            c.virtual_time = c.virtual_time.max(old);
        }
        flow.tag = old.max(c.virtual_time) + cost;
        for strand in flow.strands.iter().filter(|s| !s.parked && !s.jobs.is_empty()) {
            let set = c.ready.entry(strand.route).or_default();
            set.remove(&(old, tenant));
            set.insert((flow.tag, tenant));
        }
    }

    /// The next strand of the class after `after`, among the routes that `wanted` accepts.
    pub(super) fn next(
        &self,
        class: usize,
        after: Option<Cursor>,
        wanted: impl Fn(Route) -> bool,
    ) -> Option<Cursor> {
        let sets = self.classes[class].ready.iter().filter(|(route, _)| wanted(**route));
        sets.filter_map(|(&route, set)| {
            let low = match after {
                None => Bound::Unbounded,
                Some((tag, tenant, r)) if route > r => Bound::Included((tag, tenant)),
                Some((tag, tenant, _)) => Bound::Excluded((tag, tenant)),
            };
            set.range((low, Bound::Unbounded)).next().map(|&(tag, tenant)| (tag, tenant, route))
        })
        .min()
    }

    /// When the oldest job of the class came.
    pub(super) fn oldest(&self, class: usize) -> Option<Time> {
        let strands = self.flows.iter().flat_map(|f| &f[class].strands);
        strands.filter_map(|s| s.jobs.first().map(|(at, _)| *at)).min()
    }

    /// All jobs of the routes that `wanted` accepts, for rare events that concern a whole device.
    pub(super) fn jobs_of(&self, wanted: impl Fn(Route) -> bool) -> Vec<JobId> {
        let strands = self.flows.iter().flatten().flat_map(|f| &f.strands).filter(|s| wanted(s.route));
        let mut jobs: Vec<JobId> = strands.flat_map(|s| s.jobs.iter().map(|(_, job)| *job)).collect();
        jobs.sort_unstable();
        jobs
    }
}
