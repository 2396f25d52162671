//! What comes next: the network goes on from its own predictions, once as they are and, to see how far that may be off, many
//! times with an error of the past added to each.

use super::network::{Column, Moment, State, forward, prediction};
use super::parameters::{ERRORS, Parameters, place, random};
use super::train::Learned;
use super::{LAGS, PATHS, ROWS, Series};
use offload_core::{Context, Failure};
use pulp::{Arch, WithSimd};

/// The values to come and their standard deviations, both of sums where the series are differences.
pub(crate) struct Ahead {
    pub(crate) values: Vec<f32>,
    pub(crate) deviations: Vec<f32>,
}

/// Goes `horizon` steps on.
pub(super) fn ahead(
    series: &Series,
    learned: &Learned,
    horizon: usize,
    seed: u64,
    ctx: &Context,
) -> Result<Ahead, Failure> {
    let mut walk = Walk {
        learned,
        seed,
        horizon,
        differences: series.differences,
        largest: series.largest(),
        state: Box::new(State::zeros()),
        moment: Box::new(Moment::zeros()),
        lags: [[0.0; ROWS]; LAGS],
        sums: [[0.0; ROWS]; 3],
    };
    let mut values = vec![0.0f32; horizon];
    let mut squares = vec![0.0f32; horizon];
    for round in 0..PATHS / ROWS {
        *walk.state = State::zeros();
        walk.sums = [[0.0; ROWS]; 3];
        for i in 0..series.window + horizon - 1 {
            ctx.check()?;
            let from = series.w.len() - series.window;
            if let Some(&seen) = series.w.get(from + i) {
                walk.lags.rotate_right(1);
                walk.lags[0] = [seen; ROWS];
            }
            if i == 0 {
                for k in 1..LAGS {
                    walk.lags[k] = [series.w[from - k]; ROWS];
                }
            }
            let step = (i + 1).checked_sub(series.window);
            Arch::new().dispatch(Next { walk: &mut walk, round, step });
            if let Some(step) = step {
                let sums = &walk.sums[series.differences];
                let middle = sums[0];
                values[step] = middle;
                let apart = |all: f32, sum: &f32| (sum - middle).mul_add(sum - middle, all);
                squares[step] += sums[1..].iter().fold(0.0, apart);
            }
        }
    }
    // How far all other paths are from the forecast.
    let paths = (PATHS - PATHS / ROWS) as f32;
    Ok(Ahead { values, deviations: squares.iter().map(|s| (s / paths).sqrt()).collect() })
}

/// Rows that go on from the same past; the first without errors.
struct Walk<'l> {
    learned: &'l Learned,
    seed: u64,
    horizon: usize,
    differences: usize,
    largest: f32,
    state: Box<State>,
    moment: Box<Moment>,
    lags: [Column; LAGS],
    /// The values, their sums, and the sums of these.
    sums: [Column; 3],
}

/// A step of all rows: of the past, or the `step`th to come.
struct Next<'w, 'l> {
    walk: &'w mut Walk<'l>,
    round: usize,
    step: Option<usize>,
}

impl WithSimd for Next<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Next { walk, round, step } = self;
        let parameters: &Parameters = &walk.learned.parameters;
        forward(parameters, &walk.lags[0], &mut walk.state, &mut walk.moment);
        let Some(step) = step else { return };
        let errors = &walk.learned.errors;
        let mut next = [0.0; ROWS];
        for (row, next) in next.iter_mut().enumerate() {
            let lags = std::array::from_fn(|k| walk.lags[k][row]);
            let mut value = prediction(&parameters.head, &walk.state.hidden[row], lags);
            if row > 0 {
                let path = (round * ROWS + row) * walk.horizon + step;
                let drawn = random(walk.seed, ERRORS + path as u64);
                let error = errors[place(drawn, errors.len())];
                // Of either sign, so that what the network was off by on the whole does not add up.
                value += if drawn & 1 == 1 { error } else { -error };
            }
            // Nothing is expected far beyond what has been: predictions that feed on themselves stay bounded.
            let value = if value > walk.largest { walk.largest } else { value };
            *next = if value < -walk.largest { -walk.largest } else { value };
        }
        walk.lags.rotate_right(1);
        walk.lags[0] = next;
        walk.sums[0] = next;
        for times in 1..=walk.differences.min(2) {
            let (of, sums) = walk.sums.split_at_mut(times);
            sums[0].iter_mut().zip(&of[times - 1]).for_each(|(sum, v)| *sum += v);
        }
    }
}
