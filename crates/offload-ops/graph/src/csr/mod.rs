//! A graph in compressed sparse rows, and how a request's columns become one.
//!
//! Nothing here knows an operation: of a graph whose columns are a dataset's, the [`Network`] and its rows are kept
//! between requests.

mod build;
mod ids;

pub(crate) use ids::{BLOCK, Ids};

use offload_api::{DType, Tensor};
use offload_core::{Context, Failure, Graph, Origin, Rejection};
use rayon::prelude::*;
use serde_json::json;
use std::sync::{Arc, OnceLock};

/// Which arcs a node's row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arcs {
    /// Those that leave it.
    Out,
    /// Those that arrive, turned around.
    In,
    /// Both: the edges of a graph without directions.
    Both,
}

/// Rows of arcs, in the order of the edges they come from.
#[derive(Clone, Debug)]
pub(crate) struct Csr {
    /// Where each node's row begins, and the end of the last.
    pub(crate) offsets: Vec<u32>,
    /// The other ends of the arcs.
    pub(crate) targets: Vec<u32>,
    /// Their weights; empty when each weighs 1.
    pub(crate) weights: Vec<f64>,
}

impl Csr {
    /// How many nodes there are.
    pub(crate) fn nodes(&self) -> usize {
        self.offsets.len() - 1
    }

    /// How many arcs there are.
    pub(crate) fn arcs(&self) -> usize {
        self.targets.len()
    }

    /// The arcs of a node's row in the arrays.
    #[inline]
    pub(crate) fn range(&self, node: u32) -> std::ops::Range<usize> {
        self.offsets[node as usize] as usize..self.offsets[node as usize + 1] as usize
    }

    /// The other ends of a node's arcs.
    #[inline]
    pub(crate) fn row(&self, node: u32) -> &[u32] {
        &self.targets[self.range(node)]
    }

    /// How many arcs a node has.
    #[inline]
    pub(crate) fn degree(&self, node: u32) -> usize {
        self.range(node).len()
    }

    /// A node's arcs with their weights.
    #[inline]
    pub(crate) fn weighted(&self, node: u32) -> impl Iterator<Item = (u32, f64)> {
        let range = self.range(node);
        let weights = self.weights.get(range.clone()).unwrap_or_default();
        let targets = &self.targets[range];
        targets.iter().enumerate().map(move |(i, &t)| (t, weights.get(i).copied().unwrap_or(1.0)))
    }

    /// Sorts every row by target. Weights would not follow, so there must be none.
    fn sort_rows(&mut self, ctx: &Context) -> Result<(), Failure> {
        debug_assert!(self.weights.is_empty());
        let mut rows = Vec::new();
        let mut rest = &mut self.targets[..];
        // Rows in runs of some thousand arcs, each for one thread.
        let (mut from, mut start) = (0, 0);
        for node in 0..self.offsets.len() - 1 {
            let end = self.offsets[node + 1] as usize;
            if end - start >= BLOCK || node + 2 == self.offsets.len() {
                let (run, after) = rest.split_at_mut(end - start);
                rows.push((&self.offsets[from..=node + 1], run));
                (rest, from, start) = (after, node + 1, end);
            }
        }
        rows.into_par_iter().try_for_each(|(offsets, mut run)| {
            ctx.check()?;
            for pair in offsets.windows(2) {
                let (row, after) = run.split_at_mut((pair[1] - pair[0]) as usize);
                row.sort_unstable();
                run = after;
            }
            Ok(())
        })
    }
}

/// A graph by index: its ids, and its edges as columns.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) ids: Ids,
    pub(crate) src: Vec<u32>,
    pub(crate) dst: Vec<u32>,
    weight: Option<Tensor>,
    /// The first edge with a negative weight, once somebody asked.
    negative: OnceLock<Option<usize>>,
    pub(crate) directed: bool,
    /// What its rows are known under.
    origin: Option<Origin>,
}

impl Network {
    /// The graph of a request.
    ///
    /// # Errors
    /// When a column is not of its type, or a weight is not finite.
    pub(crate) fn read(graph: Graph, ctx: &Context) -> Result<Arc<Network>, Failure> {
        let columns = [Some(&graph.src), Some(&graph.dst), graph.weight.as_ref(), graph.nodes.as_ref()];
        let origin = Origin::of(columns).map(|origin| origin.variant(u64::from(graph.directed)));
        ctx.derived(origin.as_ref(), || {
            let network = Network::make(graph, origin.clone(), ctx)?;
            let bytes = network.bytes();
            Ok((network, bytes))
        })
    }

    fn make(graph: Graph, origin: Option<Origin>, ctx: &Context) -> Result<Network, Failure> {
        let column = |t: &Tensor, name: &str| {
            if t.dtype() == DType::U64 {
                return Ok(());
            }
            Err(Rejection::new("graph", format!("{name} is {}, it must be {}", t.dtype(), DType::U64)))
        };
        column(&graph.src, "src")?;
        column(&graph.dst, "dst")?;
        graph.nodes.as_ref().map_or(Ok(()), |t| column(t, "nodes"))?;
        let src = graph.src.as_slice::<u64>().unwrap_or_default();
        let dst = graph.dst.as_slice::<u64>().unwrap_or_default();
        let listed = graph.nodes.as_ref().and_then(|t| t.as_slice::<u64>()).unwrap_or_default();
        let ids = Ids::of(&[src, dst, listed], ctx)?;
        let network = Network {
            src: ids.indices(src, ctx)?,
            dst: ids.indices(dst, ctx)?,
            ids,
            weight: match (graph.weight, &origin) {
                // What is kept must not hold a version of a dataset.
                (Some(t), Some(_)) => t.as_slice::<f64>().map(|w| Tensor::vector(w.to_vec())),
                (weight, _) => weight,
            },
            negative: OnceLock::new(),
            directed: graph.directed,
            origin,
        };
        if let Some(weights) = network.weights()
            && let Some(edge) = first(weights, |w| !w.is_finite())
        {
            return Err(Failure::unprocessable(
                "not_finite",
                format!("the weight of edge {edge} (counted from 0) is not finite"),
                json!({"edge": edge}),
            ));
        }
        Ok(network)
    }

    /// How many nodes there are.
    pub(crate) fn nodes(&self) -> usize {
        self.ids.len()
    }

    /// The weights of the edges; `None` when each weighs 1.
    pub(crate) fn weights(&self) -> Option<&[f64]> {
        self.weight.as_ref().and_then(|t| t.as_slice::<f64>())
    }

    /// The first edge, counted from 0, whose weight is negative.
    pub(crate) fn negative_edge(&self) -> Option<usize> {
        *self.negative.get_or_init(|| first(self.weights()?, |w| w < 0.0))
    }

    /// Whether an edge has a weight below 0.
    pub(crate) fn any_negative(&self) -> bool {
        self.negative_edge().is_some()
    }

    /// The arcs that leave each node: both ways along an edge without direction.
    pub(crate) fn out(&self, weighted: bool, ctx: &Context) -> Result<Arc<Csr>, Failure> {
        self.rows(self.outward(), weighted, ctx)
    }

    /// The same without weights, each row by target.
    pub(crate) fn sorted_out(&self, ctx: &Context) -> Result<Arc<Csr>, Failure> {
        self.sorted_rows(self.outward(), ctx)
    }

    /// Which arcs leave each node.
    pub(crate) fn outward(&self) -> Arcs {
        if self.directed { Arcs::Out } else { Arcs::Both }
    }

    /// Rows of these arcs.
    pub(crate) fn rows(&self, arcs: Arcs, weighted: bool, ctx: &Context) -> Result<Arc<Csr>, Failure> {
        let weight = if weighted { self.weights() } else { None };
        self.kept(arcs, weight.is_some(), false, ctx, || self.build(arcs, weight, ctx))
    }

    /// Rows of these arcs without weights, each by target.
    pub(crate) fn sorted_rows(&self, arcs: Arcs, ctx: &Context) -> Result<Arc<Csr>, Failure> {
        self.kept(arcs, false, true, ctx, || {
            let mut csr = self.build(arcs, None, ctx)?;
            csr.sort_rows(ctx)?;
            Ok(csr)
        })
    }

    /// What the graph is known under, when its columns have identities.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// What rows of the graph are known under, when its columns have identities.
    pub(crate) fn rows_origin(&self, arcs: Arcs, is_weighted: bool, is_sorted: bool) -> Option<Origin> {
        let how = arcs as u64 | u64::from(is_weighted) << 2 | u64::from(is_sorted) << 3;
        self.origin.as_ref().map(|origin| origin.variant(how))
    }

    fn build(&self, arcs: Arcs, weight: Option<&[f64]>, ctx: &Context) -> Result<Csr, Failure> {
        build::rows(self.nodes(), build::Edges { src: &self.src, dst: &self.dst, weight }, arcs, ctx)
    }

    fn kept(
        &self,
        arcs: Arcs,
        is_weighted: bool,
        is_sorted: bool,
        ctx: &Context,
        make: impl FnOnce() -> Result<Csr, Failure>,
    ) -> Result<Arc<Csr>, Failure> {
        let origin = self.rows_origin(arcs, is_weighted, is_sorted);
        ctx.derived(origin.as_ref(), || {
            let csr = make()?;
            let bytes = (csr.offsets.len() + csr.targets.len()) as u64 * 4 + csr.weights.len() as u64 * 8;
            Ok((csr, bytes))
        })
    }

    fn bytes(&self) -> u64 {
        let edges = self.src.len() as u64;
        self.ids.bytes() + edges * 8 + self.weight.as_ref().map_or(0, Tensor::bytes)
    }

    /// The index of the node that an input names.
    ///
    /// # Errors
    /// When the graph has no such node.
    pub(crate) fn node(&self, field: &'static str, id: &Tensor) -> Result<u32, Failure> {
        let Some([id]) = id.as_slice::<u64>() else {
            return Err(Rejection::new(field, format!("{field} must be the id of a node")).into());
        };
        self.ids.find(*id).ok_or_else(|| {
            Rejection::new(field, format!("{field} is {id}, the graph has no such node")).into()
        })
    }
}

/// The first of many numbers that is so. Whole blocks are looked at, which takes one instruction for several numbers; asking one by
/// one whether to stop takes twenty times as long.
fn first(numbers: &[f64], is: impl Fn(f64) -> bool + Sync) -> Option<usize> {
    let block = numbers
        .par_chunks(BLOCK)
        .position_first(|block| block.iter().fold(false, |any, &number| any | is(number)))?;
    numbers[block * BLOCK..].iter().position(|&number| is(number)).map(|at| block * BLOCK + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: u64, m: usize, weighted: bool) -> Arc<Network> {
        let mut state = 88_172_645_463_325_252u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let edges: Vec<(u64, u64)> = (0..m).map(|_| (next() % n, next() % n)).collect();
        let weights = weighted.then(|| (0..m).map(|i| i as f64).collect());
        let nodes = Some((0..n).collect());
        Network::read(Graph::new(&edges, weights, nodes, true), &Context::default()).unwrap()
    }

    #[test]
    fn the_first_of_many_is_found_wherever_it_is() {
        for length in [1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK] {
            let mut numbers = vec![1.0; length];
            assert_eq!(first(&numbers, |n| n < 0.0), None);
            for at in [length - 1, length / 2, length / 3, 0] {
                numbers[at] = -1.0;
                assert_eq!(first(&numbers, |n| n < 0.0), Some(at), "of {length}");
            }
        }
        assert_eq!(first(&[], |n| n < 0.0), None);
    }

    #[test]
    fn rows_hold_every_arc_in_the_order_of_the_edges() {
        let ctx = Context::default();
        for (n, m) in [(1, 0), (1, 5), (7, 3), (300, 20_000), (255, 40_000), (256, 40_000), (5000, 90_000)] {
            for arcs in [Arcs::Out, Arcs::In, Arcs::Both] {
                for weighted in [false, true] {
                    let g = network(n, m, weighted);
                    let mut want: Vec<Vec<(u32, f64)>> = vec![Vec::new(); n as usize];
                    for i in 0..m {
                        let (u, v, w) = (g.src[i], g.dst[i], if weighted { i as f64 } else { 1.0 });
                        if arcs != Arcs::In {
                            want[u as usize].push((v, w));
                        }
                        if arcs == Arcs::In || (arcs == Arcs::Both && u != v) {
                            want[v as usize].push((u, w));
                        }
                    }
                    let csr = g.rows(arcs, weighted, &ctx).unwrap();
                    assert_eq!((csr.nodes(), csr.arcs()), (n as usize, want.iter().map(Vec::len).sum()));
                    for (u, want) in want.iter().enumerate() {
                        assert_eq!(&csr.weighted(u as u32).collect::<Vec<_>>(), want, "{n} {m} {arcs:?}");
                    }
                    if !weighted {
                        let csr = g.sorted_rows(arcs, &ctx).unwrap();
                        for (u, want) in want.iter().enumerate() {
                            let mut want: Vec<u32> = want.iter().map(|a| a.0).collect();
                            want.sort_unstable();
                            assert_eq!(csr.row(u as u32), want);
                        }
                    }
                }
            }
        }
    }
}
