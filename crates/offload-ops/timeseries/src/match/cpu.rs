//! Matches of a query, or of a series with itself, on the CPU.

use super::profile::{self, NOBODY};
use super::windows::{distance, exact};
use super::{Asked, Inputs, LONGEST, WIDEST, pick, search};
use crate::series::{Extents, checked, filled, values, vector};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure};

pub(super) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let e = Extents::of("data", &inputs.data.spec(), LONGEST)?;
    checked("data", &inputs.data, e, ctx)?;
    let x = values(&inputs.data);
    let Some(query) = &inputs.query else {
        return itself(&x, inputs.asked(e.n, None)?, inputs.profile, ctx);
    };
    let q = Extents::of("query", &query.spec(), WIDEST)?;
    checked("query", query, q, ctx)?;
    let a = inputs.asked(e.n, Some(q.n))?;
    let query = values(query);
    let distances = search::distances(&x, &query, ctx)?;
    let picked = pick::least(&distances, a.k, a.exclusion, ctx, |_| None)?;
    let of = |i: usize| exact(&query, &x[i..i + a.m]);
    let found = ordered(picked.into_iter().map(|i| (i, of(i))), 1.0);
    let mut outputs = Record::new()
        .with("indices", vector(found.iter().map(|(i, _)| *i as i64).collect::<Vec<_>>()))
        .with("distances", vector(found.iter().map(|(_, d)| *d).collect::<Vec<_>>()));
    if inputs.profile {
        outputs.set("profile", Value::Gapped(Tensor::vector(distances)));
    }
    Ok(outputs)
}

fn itself(x: &[f64], a: Asked, all: bool, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let p = profile::of(x, a, ctx)?;
    let known = |i: usize| p.neighbour[i] != NOBODY;
    let distances: Vec<f64> =
        (0..a.windows).map(|i| if known(i) { distance(a.m, p.correlation[i]) } else { f64::NAN }).collect();
    let neighbour = |i: usize| known(i).then_some(p.neighbour[i] as usize);
    let apart = |i: usize| neighbour(i).map_or(f64::NAN, |j| exact(&x[i..i + a.m], &x[j..j + a.m]));
    let picked = pick::least(&distances, a.k, a.exclusion, ctx, neighbour)?;
    let motifs = ordered(picked.into_iter().map(|i| (i, apart(i))), 1.0);
    let pairs: Vec<i64> = motifs
        .iter()
        .flat_map(|&(i, _)| {
            let j = neighbour(i).unwrap_or(i);
            [i.min(j) as i64, i.max(j) as i64]
        })
        .collect();
    let far: Vec<f64> = distances.iter().map(|d| -d).collect();
    let picked = pick::least(&far, a.k, a.exclusion, ctx, |_| None)?;
    let discords = ordered(picked.into_iter().map(|i| (i, apart(i))), -1.0);
    let figures = |of: &[(usize, f64)]| vector(of.iter().map(|(_, d)| *d).collect::<Vec<_>>());
    let mut outputs = Record::new()
        .with("motifs", Value::Tensor(filled(vec![motifs.len(), 2], pairs)))
        .with("motif_distances", figures(&motifs))
        .with("discords", vector(discords.iter().map(|(i, _)| *i as i64).collect::<Vec<_>>()))
        .with("discord_distances", figures(&discords));
    if all {
        let at = |n: &u32| if *n == NOBODY { -1 } else { i64::from(*n) };
        outputs.set("profile", Value::Gapped(Tensor::vector(distances)));
        outputs.set("neighbours", vector(p.neighbour.iter().map(at).collect::<Vec<i64>>()));
    }
    Ok(outputs)
}

/// By distance, times `sign`; the first of equals first.
fn ordered(found: impl Iterator<Item = (usize, f64)>, sign: f64) -> Vec<(usize, f64)> {
    let mut found: Vec<(usize, f64)> = found.collect();
    found.sort_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)).then(a.0.cmp(&b.0)));
    found
}
