//! The power method on a device, pulling as the CPU does. The rows that arrive are kept there with the shares; a request
//! moves where its jumps lead, and its answer.

use super::Inputs;
use super::walk::Walk;
use crate::device::{self, BLOCK, Rows};
use crate::need::Extents;
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu, Groups, KernelText};

/// Groups of a step at most, and so many sums that one group adds up. More than run at a time: those that have little to
/// do make room for others.
const MOST_GROUPS: u32 = 4096;
/// Steps between two looks: few at first, because most walks end soon, then up to so many.
const FEWEST_STEPS: i64 = 8;
const STEPS: i64 = 16;
/// Words of `sums`, as the text has them.
const RESIDUAL: usize = 1;
const DONE: usize = 2;
const TAKEN: usize = 3;
const SUMS: usize = 4;

/// The kernel texts.
pub(super) static TEXTS: &[&KernelText] = &[&RANK];

offload_core::kernels! {
    /// Steps of the walk.
    static RANK = "graph_rank" {
        text: include_str!("kernel.gpu.c"),
        block: BLOCK,
        elements: [F64],
        defines: [("SHORT", "32u"), ("LONG", "4096u")],
    }
    /// Equal scores.
    fn graph_rank_begin<T>(n: u64, everywhere: T, shares: [T], scores: [T], send: [T], lost: [T]);
    /// The sums of the groups, and whether it ends with this step.
    fn graph_rank_settle<T>(
        slots: u32, step: u32, limit: T, changes: [T], lost: [T], sums: [T],
    );
    /// A step for all nodes but those with long rows.
    fn graph_rank_pull<T>(
        n: u64, damping: T, everywhere: T, personal: u32, weighted: u32, offsets: [u32], targets: [u32],
        weights: [T], shares: [T], jump: [T], sent: [T], send: [T], scores: [T], changes: [T], lost: [T],
        sums: [T],
    );
    /// What arrives along the parts of long rows.
    fn graph_rank_long<T>(
        weighted: u32, offsets: [u32], targets: [u32], weights: [T], sent: [T], far: [u32], parts: [T],
        sums: [T],
    );
    /// The step for the nodes with long rows.
    fn graph_rank_join<T>(
        slot: u32, damping: T, everywhere: T, personal: u32, offsets: [u32], far: [u32], parts: [T],
        shares: [T], jump: [T], send: [T], scores: [T], changes: [T], lost: [T], sums: [T],
    );
}

/// Bytes that a walk takes on a device.
pub(super) fn bytes(e: &Extents, weighted: bool) -> u64 {
    let (long, parts) = device::long_rows(e.arcs);
    Rows::bytes(e.nodes, e.arcs, weighted)
        + 40 * e.nodes
        + 8 * long
        + 8 * parts
        + 16 * u64::from(MOST_GROUPS + 1)
        + device::SMALL_BYTES
}

pub(super) fn run(inputs: Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    device::needs_f64(gpu, "scores")?;
    let ctx = gpu.context().clone();
    let walk = Walk::of(inputs, &ctx)?;
    if walk.network.nodes() == 0 {
        return Ok(walk.answer(Vec::new(), 0, 0.0));
    }
    let steps = Steps::new(gpu, &walk)?;
    let (taken, residual) = steps.run(gpu, &walk)?;
    let scores = gpu.download(&steps.scores)?;
    ctx.block(1, 1)?;
    Ok(walk.answer(scores, taken, residual))
}

/// What the steps read and write.
struct Steps {
    rows: Rows,
    far: Buffer<u32>,
    shares: Buffer<f64>,
    jump: Buffer<f64>,
    scores: Buffer<f64>,
    sent: [Buffer<f64>; 2],
    parts: Buffer<f64>,
    changes: Buffer<f64>,
    lost: Buffer<f64>,
    sums: Buffer<f64>,
    groups: Groups,
}

impl Steps {
    fn new(gpu: &mut Gpu<'_>, walk: &Walk) -> Result<Steps, Failure> {
        let (network, n) = (&walk.network, walk.network.nodes());
        let rows = Rows::of(network, walk.arcs(), walk.weighted, gpu)?;
        let ctx = gpu.context().clone();
        let part = if walk.weighted { "weighted shares" } else { "shares" };
        let groups = Groups::covering(n, BLOCK).0[0].min(MOST_GROUPS);
        Ok(Steps {
            far: device::long_rows_of(network, walk.arcs(), walk.weighted, gpu)?,
            shares: gpu.derived(network.origin(), part, || walk.shares(&ctx))?,
            jump: match &walk.jump {
                Some(jump) => gpu.upload(jump)?,
                None => gpu.zeros(1)?,
            },
            scores: gpu.zeros(n)?,
            sent: [gpu.zeros(n)?, gpu.zeros(n)?],
            parts: gpu.zeros(device::long_rows(rows.arcs as u64).1 as usize + 1)?,
            changes: gpu.zeros(groups as usize + 1)?,
            lost: gpu.zeros(groups as usize + 1)?,
            sums: gpu.zeros(SUMS)?,
            groups: Groups([groups, 1, 1]),
            rows,
        })
    }

    /// Steps until the walk's end; how many, and the changes of the last.
    fn run(&self, gpu: &mut Gpu<'_>, walk: &Walk) -> Result<(i64, f64), Failure> {
        let everywhere = 1.0 / self.scores.len() as f64;
        let n = self.scores.len() as u64;
        graph_rank_begin(
            gpu,
            self.groups,
            n,
            everywhere,
            &self.shares,
            &self.scores,
            &self.sent[0],
            &self.lost,
        )?;
        self.settle(gpu, walk, 0)?;
        let (mut started, mut batch) = (0, FEWEST_STEPS);
        loop {
            for _ in 0..batch.min(walk.steps - started) {
                let (sent, send) = if started % 2 == 0 { (0, 1) } else { (1, 0) };
                started += 1;
                self.step(gpu, walk, &self.sent[sent], &self.sent[send])?;
                self.settle(gpu, walk, started as u32)?;
            }
            let sums = gpu.download(&self.sums)?;
            if sums[DONE] != 0.0 || started >= walk.steps {
                return Ok((sums[TAKEN] as i64, sums[RESIDUAL]));
            }
            gpu.context().block(started as usize, walk.steps as usize)?;
            batch = (2 * batch).min(STEPS);
        }
    }

    fn step(
        &self,
        gpu: &mut Gpu<'_>,
        walk: &Walk,
        sent: &Buffer<f64>,
        send: &Buffer<f64>,
    ) -> Result<(), Failure> {
        let everywhere = 1.0 / self.scores.len() as f64;
        let (personal, weighted) = (u32::from(walk.jump.is_some()), u32::from(self.rows.weighted));
        let Rows { offsets, targets, weights, .. } = &self.rows;
        graph_rank_pull(
            gpu,
            self.groups,
            self.scores.len() as u64,
            walk.damping,
            everywhere,
            personal,
            weighted,
            offsets,
            targets,
            weights,
            &self.shares,
            &self.jump,
            sent,
            send,
            &self.scores,
            &self.changes,
            &self.lost,
            &self.sums,
        )?;
        if self.far.len() > device::NO_LONG_ROWS {
            let all = device::groups(gpu, self.rows.arcs);
            graph_rank_long(
                gpu,
                all,
                weighted,
                offsets,
                targets,
                weights,
                sent,
                &self.far,
                &self.parts,
                &self.sums,
            )?;
            graph_rank_join(
                gpu,
                Groups([1, 1, 1]),
                self.groups.0[0],
                walk.damping,
                everywhere,
                personal,
                offsets,
                &self.far,
                &self.parts,
                &self.shares,
                &self.jump,
                send,
                &self.scores,
                &self.changes,
                &self.lost,
                &self.sums,
            )?;
        }
        Ok(())
    }

    fn settle(&self, gpu: &mut Gpu<'_>, walk: &Walk, step: u32) -> Result<(), Failure> {
        let slots = self.groups.0[0] + 1;
        graph_rank_settle(
            gpu,
            Groups([1, 1, 1]),
            slots,
            step,
            walk.limit,
            &self.changes,
            &self.lost,
            &self.sums,
        )
    }
}
