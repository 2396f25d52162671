//! Matches of a query, or of a series with itself, on the CPU.

use super::profile::{self, NOBODY, Profile};
use super::windows::{distance, exact};
use super::{Asked, Inputs, LONGEST, WIDEST, pick, search};
use crate::series::{Extents, filled, values, vector};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure};

pub(super) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let e = Extents::of_checked("data", &inputs.data, LONGEST, ctx)?;
    let x = values(&inputs.data);
    let Some(query) = &inputs.query else {
        let a = inputs.asked(e.n, None)?;
        return itself(&x, a, inputs.profile, &profile::of(&x, a, ctx)?, ctx);
    };
    let q = Extents::of_checked("query", query, WIDEST, ctx)?;
    let a = inputs.asked(e.n, Some(q.n))?;
    let query = values(query);
    let distances = search::distances(&x, &query, ctx)?;
    let picked = pick::least(&mut pick::Host::new(&distances, ctx), a.k, a.exclusion, |_| None)?;
    let of = |i: usize| exact(&query, &x[i..i + a.m]);
    Ok(found(picked.into_iter().map(|i| (i, of(i))), inputs.profile.then_some(distances)))
}

/// The answers to a query: where, how far, and all distances where they are asked for.
pub(super) fn found(
    picked: impl Iterator<Item = (usize, f64)>,
    distances: Option<Vec<f64>>,
) -> Record<Tensor> {
    let found = ordered(picked, 1.0);
    let mut outputs = Record::new()
        .with("indices", vector(found.iter().map(|(i, _)| *i as i64).collect::<Vec<_>>()))
        .with("distances", vector(found.iter().map(|(_, d)| *d).collect::<Vec<_>>()));
    if let Some(distances) = distances {
        outputs.set("profile", Value::Gapped(Tensor::vector(distances)));
    }
    outputs
}

/// What a profile says of its series.
pub(super) fn itself(
    x: &[f64],
    a: Asked,
    all: bool,
    p: &Profile,
    ctx: &Context,
) -> Result<Record<Tensor>, Failure> {
    let known = |i: usize| p.neighbour[i] != NOBODY;
    let distances: Vec<f64> =
        (0..a.windows).map(|i| if known(i) { distance(a.m, p.correlation[i]) } else { f64::NAN }).collect();
    let neighbour = |i: usize| known(i).then_some(p.neighbour[i] as usize);
    let apart = |i: usize| neighbour(i).map_or(f64::NAN, |j| exact(&x[i..i + a.m], &x[j..j + a.m]));
    let picked = pick::least(&mut pick::Host::new(&distances, ctx), a.k, a.exclusion, neighbour)?;
    let motifs = ordered(picked.into_iter().map(|i| (i, apart(i))), 1.0);
    let pairs: Vec<i64> = motifs
        .iter()
        .flat_map(|&(i, _)| {
            let j = neighbour(i).unwrap_or(i);
            [i.min(j) as i64, i.max(j) as i64]
        })
        .collect();
    let far: Vec<f64> = distances.iter().map(|d| -d).collect();
    let picked = pick::least(&mut pick::Host::new(&far, ctx), a.k, a.exclusion, |_| None)?;
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
