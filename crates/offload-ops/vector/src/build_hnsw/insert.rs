//! Nodes into the graph: Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using
//! Hierarchical Navigable Small World graphs" (2018), algorithms 1, 2 and 4.
//!
//! Nodes come in their order, in batches. Each node of a batch looks for its neighbours in the graph as the batch found it,
//! all of them beside each other, and among the nodes of the batch before it; then links are made in a fixed order. So the
//! graph depends on the vectors and the seed, not on the number of threads or on chance, and nothing needs a lock (Manohar
//! et al., "ParlayANN", 2024). Without a look at its batch a node has links to none of it, which costs a hundredth of the
//! recall of narrow searches, and more where neighbours come one after the other.

use super::distance::Distance;
use super::graph::{Graph, Near};
use crate::kernel::simd::vectorised;
use offload_core::{Context, Failure};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// The largest share of a batch in what was there before.
const SHARE_BEFORE: usize = 4;
/// The largest batch: enough for many threads, and few enough that nodes can be compared with all before them in it.
const MOST_BATCH: usize = 256;
/// Nodes that one thread takes at a time.
const TOGETHER: usize = 4;

/// Vectors and how they are compared.
pub(super) struct Points<'a> {
    pub(super) values: &'a [f32],
    pub(super) d: usize,
    pub(super) distance: Distance,
}

impl Points<'_> {
    #[inline(always)]
    fn at(&self, node: u32) -> &[f32] {
        &self.values[node as usize * self.d..(node as usize + 1) * self.d]
    }
}

/// What a search keeps while it runs.
#[derive(Default)]
struct Scratch {
    /// The round in which a node was seen last.
    seen: Vec<u32>,
    round: u32,
    /// Candidates, nearest first: packed in this order, the lowest bit set once a node's links were followed.
    pool: Vec<u64>,
    order: Order,
    fresh: Vec<u32>,
}

/// The neighbours that a node is to have, layer by layer.
struct Found {
    node: u32,
    layers: Vec<Vec<Near>>,
}

/// A node that is to be linked back to another.
#[derive(Clone, Copy)]
struct Back {
    layer: usize,
    to: u32,
    from: Near,
}

/// Bytes that a build of `n` nodes takes beside the graph.
pub(super) fn workspace_bytes(n: usize, m: usize, ef: usize) -> u64 {
    let (n, threads) = (n as u64, rayon::current_num_threads() as u64 + 1);
    let batch = (MOST_BATCH as u64).min(n);
    let scratch = n * 4 + (ef as u64 + 1) * 24 + m as u64 * 8;
    let found = batch * (2 * m as u64 * 16 + 96) + batch * 2 * m as u64 * 40;
    let rewired = batch * m as u64 * (2 * m as u64 * 16 + 64);
    n * 4 + threads * scratch + found + rewired
}

/// Inserts every node.
///
/// # Errors
/// When the job is to stop.
pub(super) fn insert_all(
    ctx: &Context,
    graph: &mut Graph,
    points: &Points<'_>,
    ef: usize,
) -> Result<(), Failure> {
    let scratches = Mutex::new(Vec::<Scratch>::new());
    let (all, mut done) = (graph.len(), 0);
    while done < all {
        ctx.block(done, all)?;
        let size = (done / SHARE_BEFORE).clamp(1, MOST_BATCH).min(all - done);
        let nodes: Vec<u32> = (done..done + size).map(|node| node as u32).collect();
        let batch = &nodes[..];
        let found = search(ctx, graph, points, batch, ef, &scratches)?;
        link(ctx, graph, points, &found)?;
        for &node in batch {
            if graph.entry.is_none_or(|e| graph.level(node) > graph.level(e)) {
                graph.entry = Some(node);
            }
        }
        done += size;
    }
    ctx.block(all, all)
}

fn search(
    ctx: &Context,
    graph: &Graph,
    points: &Points<'_>,
    batch: &[u32],
    ef: usize,
    scratches: &Mutex<Vec<Scratch>>,
) -> Result<Vec<Found>, Failure> {
    let some = |nodes: &[u32]| {
        ctx.check()?;
        let held = || scratches.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = held().pop().unwrap_or_default();
        scratch.seen.resize(graph.len(), 0);
        let found: Vec<Found> = nodes
            .iter()
            .map(|&node| {
                // A batch is a run of nodes.
                let before = &batch[..(node - batch[0]) as usize];
                vectorised(Neighbours { graph, points, node, before, ef, scratch: &mut scratch })
            })
            .collect();
        held().push(scratch);
        Ok(found)
    };
    if batch.len() <= TOGETHER {
        return some(batch);
    }
    let found: Vec<Vec<Found>> = batch.par_chunks(TOGETHER).map(some).collect::<Result<_, Failure>>()?;
    Ok(found.into_iter().flatten().collect())
}

struct Neighbours<'a, 'b> {
    graph: &'a Graph,
    points: &'a Points<'b>,
    node: u32,
    before: &'a [u32],
    ef: usize,
    scratch: &'a mut Scratch,
}

impl WithSimd for Neighbours<'_, '_> {
    type Output = Found;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Found {
        neighbours(simd, self.graph, self.points, self.node, self.before, self.ef, self.scratch)
    }
}

struct Diverse<'a, 'b> {
    points: &'a Points<'b>,
    candidates: &'a [Near],
    most: usize,
}

impl WithSimd for Diverse<'_, '_> {
    type Output = Vec<Near>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<Near> {
        diverse(simd, self.points, self.candidates, self.most)
    }
}

/// Algorithm 1 up to the links. `before` are the nodes of the batch that come before this one and have no links yet.
#[inline(always)]
fn neighbours<S: Simd>(
    simd: S,
    graph: &Graph,
    points: &Points<'_>,
    node: u32,
    before: &[u32],
    ef: usize,
    scratch: &mut Scratch,
) -> Found {
    let level = graph.level(node);
    let Some(entry) = graph.entry else { return Found { node, layers: Vec::new() } };
    let q = points.at(node);
    scratch.order = Order::of(node);
    let mut best = Near { distance: points.distance.of(simd, q, points.at(entry)), node: entry };
    for layer in (level + 1..=graph.top()).rev() {
        loop {
            let before = best.node;
            for &other in graph.links(before, layer) {
                let distance = points.distance.of(simd, q, points.at(other));
                if distance < best.distance {
                    best = Near { distance, node: other };
                }
            }
            if best.node == before {
                break;
            }
        }
    }
    let mut layers = vec![Vec::new(); level.min(graph.top()) + 1];
    for layer in (0..layers.len()).rev() {
        look_around(simd, graph, points, q, best, ef, layer, scratch);
        let order = scratch.order;
        best = scratch.pool.first().map_or(best, |&key| order.unpacked(key));
        for &other in before {
            if graph.level(other) >= layer {
                let distance = points.distance.of(simd, q, points.at(other));
                offer(&mut scratch.pool, order, Near { distance, node: other }, ef);
            }
        }
        let pool: Vec<Near> = scratch.pool.iter().map(|&key| order.unpacked(key)).collect();
        // Few candidates are all taken, however alike they are.
        layers[layer] = if pool.len() < graph.m() { pool } else { diverse(simd, points, &pool, graph.m()) };
    }
    Found { node, layers }
}

/// Algorithm 2: the `ef` nearest nodes that links lead to, into the pool, nearest first.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "the instruction set is one more")]
fn look_around<S: Simd>(
    simd: S,
    graph: &Graph,
    points: &Points<'_>,
    q: &[f32],
    start: Near,
    ef: usize,
    layer: usize,
    scratch: &mut Scratch,
) {
    let Scratch { seen, round, pool, order, fresh } = scratch;
    *round = round.wrapping_add(1);
    if *round == 0 {
        seen.fill(0);
        *round = 1;
    }
    pool.clear();
    pool.push(order.packed(start));
    seen[start.node as usize] = *round;
    let mut next = 0;
    while next < pool.len() {
        if pool[next] & 1 == 1 {
            next += 1;
            continue;
        }
        pool[next] |= 1;
        fresh.clear();
        for &other in graph.links(order.unpacked(pool[next]).node, layer) {
            let at = &mut seen[other as usize];
            if *at != *round {
                *at = *round;
                fresh.push(other);
            }
        }
        next += 1;
        for &node in fresh.iter() {
            let near = Near { distance: points.distance.of(simd, q, points.at(node)), node };
            if let Some(at) = offer(pool, *order, near, ef) {
                next = next.min(at);
            }
        }
    }
}

/// Puts a node into the pool if it is among the `ef` nearest; where it stands then.
#[inline(always)]
fn offer(pool: &mut Vec<u64>, order: Order, near: Near, ef: usize) -> Option<usize> {
    if pool.len() == ef {
        if near.distance >= order.unpacked(pool[ef - 1]).distance {
            return None;
        }
        pool.pop();
    }
    // The lowest bit does not disturb the order: no two keys differ in it alone.
    let key = order.packed(near);
    let at = place(pool, key);
    pool.insert(at, key);
    Some(at)
}

/// How many of the sorted keys are below this one.
#[inline(always)]
fn place(keys: &[u64], key: u64) -> usize {
    let (mut from, mut len) = (0, keys.len());
    while len > 0 {
        let half = len / 2;
        let below = keys[from + half] < key;
        from = if below { from + half + 1 } else { from };
        len = if below { len - half - 1 } else { half };
    }
    from
}

/// The order of what is near a node: by the distance, and where that is equal in an order of the node's own. Of rows that
/// are equal all would else be linked to the same few, which then lead nowhere else.
#[derive(Clone, Copy, Debug, Default)]
struct Order {
    /// 31 bits that change places of nodes.
    salt: u32,
}

impl Order {
    fn of(node: u32) -> Order {
        // Knuth's multiplicative hash.
        Order { salt: node.wrapping_mul(0x9E37_79B1) >> 1 }
    }

    /// A node and its distance in a number that sorts by this order; its lowest bit is free.
    #[inline(always)]
    fn packed(self, near: Near) -> u64 {
        let bits = near.distance.to_bits();
        let ordered = if bits >> 31 == 1 { !bits } else { bits | 0x8000_0000 };
        u64::from(ordered) << 32 | u64::from(near.node ^ self.salt) << 1
    }

    #[inline(always)]
    fn unpacked(self, key: u64) -> Near {
        let ordered = (key >> 32) as u32;
        let bits = if ordered >> 31 == 1 { ordered & 0x7fff_ffff } else { !ordered };
        Near { distance: f32::from_bits(bits), node: (key as u32) >> 1 ^ self.salt }
    }
}

/// Algorithm 4: of candidates, nearest first, those that are nearer to the node than to any one chosen before.
#[inline(always)]
fn diverse<S: Simd>(simd: S, points: &Points<'_>, candidates: &[Near], most: usize) -> Vec<Near> {
    let mut chosen: Vec<Near> = Vec::with_capacity(most);
    for c in candidates {
        if chosen.len() == most {
            break;
        }
        let v = points.at(c.node);
        let mut apart = true;
        for s in &chosen {
            if points.distance.of(simd, v, points.at(s.node)) < c.distance {
                apart = false;
                break;
            }
        }
        if apart {
            chosen.push(*c);
        }
    }
    chosen
}

/// Links the nodes of a batch to their neighbours, and these back.
fn link(ctx: &Context, graph: &mut Graph, points: &Points<'_>, found: &[Found]) -> Result<(), Failure> {
    let mut back = Vec::new();
    for f in found {
        for (layer, near) in f.layers.iter().enumerate() {
            graph.set(f.node, layer, near);
            back.extend(near.iter().map(|n| Back {
                layer,
                to: n.node,
                from: Near { distance: n.distance, node: f.node },
            }));
        }
    }
    back.sort_unstable_by(|a, b| (a.layer, a.to).cmp(&(b.layer, b.to)).then(Near::order(&a.from, &b.from)));
    let groups: Vec<&[Back]> = back.chunk_by(|a, b| (a.layer, a.to) == (b.layer, b.to)).collect();
    let of_group = |group: &&[Back]| -> Result<Vec<Near>, Failure> {
        let (layer, to) = (group[0].layer, group[0].to);
        let mut all: Vec<Near> = graph.near(to, layer).chain(group.iter().map(|b| b.from)).collect();
        let room = graph.room(layer);
        if all.len() > room {
            ctx.check()?;
            let order = Order::of(to);
            all.sort_unstable_by_key(|&near| order.packed(near));
            all = vectorised(Diverse { points, candidates: &all, most: room });
        }
        Ok(all)
    };
    let lists: Vec<Vec<Near>> = if found.len() <= TOGETHER {
        groups.iter().map(of_group).collect::<Result<_, _>>()?
    } else {
        groups.par_iter().with_min_len(16).map(of_group).collect::<Result<_, _>>()?
    };
    for (group, list) in groups.iter().zip(&lists) {
        graph.set(group[0].to, group[0].layer, list);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_come_one_after_the_other_are_linked_although_they_share_a_batch() {
        let n = 2000u32;
        let values: Vec<f32> = (0..n).map(|i| i as f32).collect();
        let points = Points { values: &values, d: 1, distance: Distance::Square };
        let mut graph = Graph::new(4, vec![0; n as usize]);
        insert_all(&Context::default(), &mut graph, &points, 20).unwrap();
        // The row before is the nearest there is when a row comes, and lists of few links keep it.
        for node in 1..n {
            assert!(graph.links(node, 0).contains(&(node - 1)), "{node}: {:?}", graph.links(node, 0));
        }
    }

    #[test]
    fn equal_rows_lead_to_more_than_a_list_of_them() {
        let n = 1000;
        let values = vec![0.5f32; n * 3];
        let points = Points { values: &values, d: 3, distance: Distance::Square };
        let mut graph = Graph::new(4, vec![0; n]);
        insert_all(&Context::default(), &mut graph, &points, 40).unwrap();
        let (mut reached, mut next) = (vec![graph.entry.unwrap()], 0);
        while next < reached.len() {
            let more: Vec<u32> =
                graph.links(reached[next], 0).iter().copied().filter(|n| !reached.contains(n)).collect();
            reached.extend(more);
            next += 1;
        }
        assert!(reached.len() > 100, "only {} of {n} equal rows are reached", reached.len());
    }
}
