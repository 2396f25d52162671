//! Isolation forest (Liu, Ting and Zhou 2008): what few cuts at random set apart is an anomaly.
//!
//! A value is seen as a point of two components: itself, and its difference from the median of the five around it, so that
//! a value is found that is unusual only where it stands. The neighbours of a spike have a median that the spike does not
//! move.

use offload_core::{Context, Failure};
use rayon::prelude::*;

/// The parameters of a forest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forest {
    /// How many trees.
    pub(super) trees: usize,
    /// Values that each of them sees, at least 2.
    pub(super) samples: usize,
    /// What the cuts depend on.
    pub(super) seed: u64,
}

/// A cut, or a leaf, in 16 bytes, so that a tree stays in the nearest cache.
#[derive(Clone, Copy)]
struct Node {
    /// Where the component is cut; of a leaf, how many cuts a value here took, those that were not made included.
    at: f64,
    /// Where the node of the values up to the cut stands; the highest bit says which component is cut.
    below: u32,
    /// Where the node of the others stands; 0 of a leaf, as no node has the root below it.
    above: u32,
}

/// Set where the second component is cut.
const SECOND: u32 = 1 << 31;
/// Values that go down one tree before the next.
const TOGETHER: usize = 512;

type Point = [f64; 2];

impl Forest {
    fn depth(&self) -> u32 {
        self.samples.next_power_of_two().trailing_zeros()
    }

    /// Operations for each value.
    pub(super) fn work(&self) -> f64 {
        40.0 + 8.0 * self.trees as f64 * f64::from(self.depth())
    }

    /// Bytes of the trees, of the samples while they are cut, and of small things of every tree.
    pub(super) fn bytes(&self) -> u64 {
        let nodes = 2 * self.samples as u64;
        (self.trees as u64)
            .saturating_mul(nodes * 2 * size_of::<Node>() as u64 + self.samples as u64 * 24 + 256)
    }

    /// Writes the score of each value: 2 to the power of minus the mean number of cuts over what is to be expected.
    pub(super) fn score(&self, x: &[f64], to: &mut [f64], ctx: &Context) -> Result<(), Failure> {
        if x.len() < 2 {
            // Nothing to be apart from.
            to.fill(0.0);
            return Ok(());
        }
        let trees = (0..self.trees)
            .into_par_iter()
            .map(|tree| {
                ctx.check()?;
                Ok(self.grow(x, tree))
            })
            .collect::<Result<Vec<Vec<Node>>, Failure>>()?;
        let usual = cuts_of(self.samples);
        to.par_chunks_mut(TOGETHER).enumerate().try_for_each(|(block, to)| {
            let mut points = [[0.0; 2]; TOGETHER];
            points
                .iter_mut()
                .take(to.len())
                .enumerate()
                .for_each(|(i, p)| *p = point(x, block * TOGETHER + i));
            to.fill(0.0);
            for tree in &trees {
                ctx.check()?;
                to.iter_mut().zip(&points).for_each(|(to, p)| *to += cuts(tree, *p));
            }
            to.iter_mut().for_each(|to| *to = (-*to / self.trees as f64 / usual).exp2());
            Ok(())
        })
    }

    fn grow(&self, x: &[f64], tree: usize) -> Vec<Node> {
        let mut random = Random(self.seed ^ (tree as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut sample: Vec<Point> = if x.len() <= self.samples {
            (0..x.len()).map(|i| point(x, i)).collect()
        } else {
            // Without repetition (Floyd's method).
            let mut chosen: Vec<usize> = Vec::with_capacity(self.samples);
            for last in x.len() - self.samples..x.len() {
                let i = random.below(last + 1);
                let i = if chosen.contains(&i) { last } else { i };
                chosen.push(i);
            }
            chosen.into_iter().map(|i| point(x, i)).collect()
        };
        let mut nodes = Vec::with_capacity(2 * self.samples);
        cut(&mut sample, self.depth(), 0.0, &mut random, &mut nodes);
        nodes
    }
}

/// Adds the nodes of a tree over these points; gives the place of its root.
fn cut(points: &mut [Point], depth: u32, cuts: f64, random: &mut Random, nodes: &mut Vec<Node>) -> u32 {
    let place = nodes.len() as u32;
    nodes.push(Node { at: cuts + cuts_of(points.len()), below: 0, above: 0 });
    if depth == 0 || points.len() < 2 {
        return place;
    }
    let range = |c: usize| {
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        points.iter().fold(ends, |(low, high), p| (low.min(p[c]), high.max(p[c])))
    };
    let first = random.below(2);
    let Some((component, (low, high))) =
        [first, 1 - first].into_iter().map(|c| (c, range(c))).find(|(_, (low, high))| low < high)
    else {
        return place;
    };
    // Below the cut, or at it: the cut is never the largest value, so both sides have some.
    let at = low + random.fraction() * (high - low);
    let at = if at < high { at } else { low };
    let mut split = 0;
    for i in 0..points.len() {
        if points[i][component] <= at {
            points.swap(i, split);
            split += 1;
        }
    }
    let (left, right) = points.split_at_mut(split);
    let below = cut(left, depth - 1, cuts + 1.0, random, nodes);
    let above = cut(right, depth - 1, cuts + 1.0, random, nodes);
    let component = if component == 0 { 0 } else { SECOND };
    nodes[place as usize] = Node { at, below: below | component, above };
    place
}

fn cuts(tree: &[Node], p: Point) -> f64 {
    let mut node = tree[0];
    while node.above != 0 {
        let value = p[(node.below >> 31) as usize];
        node = tree[if value <= node.at { node.below & !SECOND } else { node.above } as usize];
    }
    node.at
}

/// How many cuts set one of `n` values apart, on average: a search in a binary tree that fails.
fn cuts_of(n: usize) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        n => {
            let m = (n - 1) as f64;
            2.0 * (m.ln() + EULER) - 2.0 * m / n as f64
        }
    }
}

/// A value, and its difference from the median of the five around it; fewer at the ends.
fn point(x: &[f64], i: usize) -> Point {
    let (from, to) = (i.saturating_sub(2), (i + 3).min(x.len()));
    let mut around = [0.0; 5];
    let around = &mut around[..to - from];
    around.copy_from_slice(&x[from..to]);
    [x[i], x[i] - crate::median::of_few(around).value()]
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to, and without, 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}
