//! A layer of long short-term memory (Hochreiter and Schmidhuber 1997; with the forget gate of Gers, Schmidhuber and Cummins
//! 2000) and a linear head that sees the last inputs too (Lai et al. 2018): one step ahead for all rows of a batch, and
//! one step back through time.
//!
//! Every sum is a chain of fused multiply-adds in a fixed order, so that every machine gives the same bits.

use super::bend::{logistic, tanh};
use super::parameters::Parameters;
use super::{GATES, HEAD, HIDDEN, LAGS, ROWS};

/// Gates of a row that are summed up in registers.
const TILE: usize = 16;

/// What rows hold between two steps.
pub(super) type Units = [[f32; HIDDEN]; ROWS];
/// One number for each row.
pub(super) type Column = [f32; ROWS];

/// A step, as it is kept for the way back.
#[derive(Clone)]
pub(super) struct Moment {
    /// Input, forget, candidate and output gates, bent.
    gates: [[f32; GATES]; ROWS],
    /// The memory after the step.
    cell: Units,
    /// The same, bent.
    bent: Units,
}

/// The state of all rows.
#[derive(Clone)]
pub(super) struct State {
    pub(super) hidden: Units,
    cell: Units,
}

impl Moment {
    pub(super) fn zeros() -> Moment {
        Moment { gates: [[0.0; GATES]; ROWS], cell: [[0.0; HIDDEN]; ROWS], bent: [[0.0; HIDDEN]; ROWS] }
    }

    /// The state after this step; of rows that have not begun, zeros.
    #[inline(always)]
    fn hidden(of: Option<&Moment>) -> Units {
        let mut hidden = [[0.0; HIDDEN]; ROWS];
        let Some(m) = of else { return hidden };
        for ((hidden, gates), bent) in hidden.iter_mut().zip(&m.gates).zip(&m.bent) {
            hidden.iter_mut().zip(&gates[3 * HIDDEN..]).zip(bent).for_each(|((h, o), b)| *h = o * b);
        }
        hidden
    }
}

impl State {
    pub(super) fn zeros() -> State {
        State { hidden: [[0.0; HIDDEN]; ROWS], cell: [[0.0; HIDDEN]; ROWS] }
    }
}

/// One step of all rows.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "many arrays go along, one of them at four places")]
pub(super) fn forward(p: &Parameters, x: &Column, state: &mut State, m: &mut Moment) {
    for (z, x) in m.gates.iter_mut().zip(x) {
        z.iter_mut().zip(&p.input).zip(&p.bias).for_each(|((z, w), b)| *z = x.mul_add(*w, *b));
    }
    add_products(&p.recurrent, &state.hidden, &mut m.gates);
    for row in 0..ROWS {
        let (gates, cell, bent) = (&mut m.gates[row], &mut m.cell[row], &mut m.bent[row]);
        let (held, hidden) = (&mut state.cell[row], &mut state.hidden[row]);
        for u in 0..HIDDEN {
            let input = logistic(gates[u]);
            let forget = logistic(gates[HIDDEN + u]);
            let candidate = tanh(gates[2 * HIDDEN + u]);
            let output = logistic(gates[3 * HIDDEN + u]);
            let c = forget.mul_add(held[u], input * candidate);
            let b = tanh(c);
            gates[u] = input;
            gates[HIDDEN + u] = forget;
            gates[2 * HIDDEN + u] = candidate;
            gates[3 * HIDDEN + u] = output;
            (cell[u], held[u], bent[u], hidden[u]) = (c, c, b, output * b);
        }
    }
}

/// Adds to the gates of each row what its state gives.
#[inline(always)]
fn add_products(recurrent: &[[f32; GATES]; HIDDEN], hidden: &Units, gates: &mut [[f32; GATES]; ROWS]) {
    const TOGETHER: usize = 4;
    let (gates, _) = gates.as_chunks_mut::<TOGETHER>();
    let (hidden, _) = hidden.as_chunks::<TOGETHER>();
    for (gates, hidden) in gates.iter_mut().zip(hidden) {
        for tile in 0..GATES / TILE {
            let mut sums = [[0.0; TILE]; TOGETHER];
            for (sums, gates) in sums.iter_mut().zip(&*gates) {
                *sums = gates.as_chunks::<TILE>().0[tile];
            }
            for (u, recurrent) in recurrent.iter().enumerate() {
                let weights = &recurrent.as_chunks::<TILE>().0[tile];
                for (sums, hidden) in sums.iter_mut().zip(hidden) {
                    sums.iter_mut().zip(weights).for_each(|(s, w)| *s = hidden[u].mul_add(*w, *s));
                }
            }
            for (sums, gates) in sums.iter().zip(&mut *gates) {
                gates.as_chunks_mut::<TILE>().0[tile] = *sums;
            }
        }
    }
}

/// What the head says of a row: of its state and of its inputs, of which `lags[0]` is the last.
#[inline(always)]
pub(super) fn prediction(head: &[f32; HEAD], hidden: &[f32; HIDDEN], lags: [f32; LAGS]) -> f32 {
    let start = head[HEAD - 1];
    let of_lags = head[HIDDEN..].iter().zip(&lags).fold(start, |sum, (w, x)| w.mul_add(*x, sum));
    head.iter().zip(hidden).fold(of_lags, |sum, (w, h)| w.mul_add(*h, sum))
}

/// What goes back from one step to the one before it.
pub(super) struct Back {
    /// Slopes of the loss by the state and by the memory.
    hidden: Units,
    cell: Units,
    /// Slopes by the gates before they were bent.
    gates: [[f32; GATES]; ROWS],
}

impl Back {
    pub(super) fn zeros() -> Box<Back> {
        Box::new(Back {
            hidden: [[0.0; HIDDEN]; ROWS],
            cell: [[0.0; HIDDEN]; ROWS],
            gates: [[0.0; GATES]; ROWS],
        })
    }
}

/// One step back: adds to the gradient what the step `m` did to the loss, of which `slopes` are those by its predictions.
/// `turned` are the recurrent weights the other way round; `lags(k)` are the inputs `k` steps before.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "many arrays go along, one of them at four places")]
pub(super) fn backward<'l>(
    p: &Parameters,
    turned: &[[f32; HIDDEN]; GATES],
    (m, before): (&Moment, Option<&Moment>),
    slopes: &Column,
    lags: impl Fn(usize) -> &'l Column,
    back: &mut Back,
    gradient: &mut Parameters,
) {
    let hidden = Moment::hidden(Some(m));
    for (slope, hidden) in slopes.iter().zip(&hidden) {
        gradient.head.iter_mut().zip(hidden).for_each(|(g, h)| *g = slope.mul_add(*h, *g));
        gradient.head[HEAD - 1] += slope;
    }
    for k in 0..LAGS {
        let g = &mut gradient.head[HIDDEN + k];
        slopes.iter().zip(lags(k)).for_each(|(slope, x)| *g = slope.mul_add(*x, *g));
    }
    for row in 0..ROWS {
        let (gates, bent, slope) = (&m.gates[row], &m.bent[row], slopes[row]);
        let zeros = [0.0; HIDDEN];
        let held = before.map_or(&zeros, |b| &b.cell[row]);
        let (of_hidden, of_cell, z) = (&back.hidden[row], &mut back.cell[row], &mut back.gates[row]);
        for u in 0..HIDDEN {
            let (input, forget) = (gates[u], gates[HIDDEN + u]);
            let (candidate, output) = (gates[2 * HIDDEN + u], gates[3 * HIDDEN + u]);
            let by_hidden = slope.mul_add(p.head[u], of_hidden[u]);
            let by_cell = (by_hidden * output).mul_add(bent[u].mul_add(-bent[u], 1.0), of_cell[u]);
            z[u] = by_cell * candidate * (input * (1.0 - input));
            z[HIDDEN + u] = by_cell * held[u] * (forget * (1.0 - forget));
            z[2 * HIDDEN + u] = by_cell * input * candidate.mul_add(-candidate, 1.0);
            z[3 * HIDDEN + u] = by_hidden * bent[u] * (output * (1.0 - output));
            of_cell[u] = by_cell * forget;
        }
    }
    for (z, x) in back.gates.iter().zip(lags(0)) {
        gradient.input.iter_mut().zip(z).for_each(|(g, z)| *g = z.mul_add(*x, *g));
        gradient.bias.iter_mut().zip(z).for_each(|(g, z)| *g += z);
    }
    if before.is_some() {
        add_outer(&Moment::hidden(before), &back.gates, &mut gradient.recurrent);
        take_back(turned, &back.gates, &mut back.hidden);
    }
}

/// Adds to the gradient of the recurrent weights the products of states and slopes by the gates.
#[inline(always)]
fn add_outer(hidden: &Units, gates: &[[f32; GATES]; ROWS], gradient: &mut [[f32; GATES]; HIDDEN]) {
    const TOGETHER: usize = 4;
    let (gradient, _) = gradient.as_chunks_mut::<TOGETHER>();
    for (units, gradient) in gradient.iter_mut().enumerate() {
        for tile in 0..GATES / TILE {
            let mut sums = [[0.0; TILE]; TOGETHER];
            for (sums, gradient) in sums.iter_mut().zip(&*gradient) {
                *sums = gradient.as_chunks::<TILE>().0[tile];
            }
            for (hidden, gates) in hidden.iter().zip(gates) {
                let (hidden, gates) =
                    (&hidden.as_chunks::<TOGETHER>().0[units], &gates.as_chunks::<TILE>().0[tile]);
                for (sums, h) in sums.iter_mut().zip(hidden) {
                    sums.iter_mut().zip(gates).for_each(|(s, z)| *s = h.mul_add(*z, *s));
                }
            }
            for (sums, gradient) in sums.iter().zip(&mut *gradient) {
                gradient.as_chunks_mut::<TILE>().0[tile] = *sums;
            }
        }
    }
}

/// Slopes by the state before, from those by the gates.
#[inline(always)]
fn take_back(turned: &[[f32; HIDDEN]; GATES], gates: &[[f32; GATES]; ROWS], to: &mut Units) {
    const TOGETHER: usize = 2;
    let (gates, _) = gates.as_chunks::<TOGETHER>();
    let (to, _) = to.as_chunks_mut::<TOGETHER>();
    for (gates, to) in gates.iter().zip(to) {
        let mut sums = [[0.0; HIDDEN]; TOGETHER];
        for (g, turned) in turned.iter().enumerate() {
            for (sums, gates) in sums.iter_mut().zip(gates) {
                sums.iter_mut().zip(turned).for_each(|(s, w)| *s = gates[g].mul_add(*w, *s));
            }
        }
        *to = sums;
    }
}
