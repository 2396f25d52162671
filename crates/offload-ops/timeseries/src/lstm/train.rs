//! Learning: windows at random of all but the last values, which say when to stop.

use super::adam::{Adam, lengths};
use super::network::{Back, Column, Moment, State, backward, forward, prediction};
use super::parameters::{Parameters, place, random};
use super::{GATES, HIDDEN, LAGS, ROWS, Series, Settings};
use offload_core::{Context, Failure};
use pulp::{Arch, WithSimd};

/// Steps between two looks at the values that were held back.
pub(super) const LOOK_EVERY: usize = 25;
/// Looks without a gain after which learning ends.
const PATIENCE: u32 = 10;
/// Standard errors that a gain has to have: fewer values need a larger one.
const CHANCE: f32 = 1.5;

/// What was learned.
pub(super) struct Learned {
    /// The parameters that were best on what was held back.
    pub(super) parameters: Box<Parameters>,
    /// Their errors there.
    pub(super) errors: Vec<f32>,
}

/// A network on its way.
pub(super) struct Learner<'s> {
    series: &'s Series,
    parameters: Box<Parameters>,
    gradient: Box<Parameters>,
    adam: Adam,
    turned: Box<[[f32; HIDDEN]; GATES]>,
    /// The inputs of a batch, the first lag first.
    x: Vec<Column>,
    slopes: Vec<Column>,
    moments: Vec<Moment>,
    back: Box<Back>,
    state: Box<State>,
}

/// Learns for so many steps, or until that no longer helps.
pub(super) fn learn(series: &Series, settings: Settings, ctx: &Context) -> Result<Learned, Failure> {
    let Settings { seed, steps } = settings;
    let mut learner = Learner::new(series, Parameters::start(seed));
    let mut best = Learned { errors: learner.look(ctx)?, parameters: learner.parameters.clone() };
    let mut waited = 0;
    for (step, length) in lengths(steps).into_iter().enumerate() {
        ctx.check()?;
        Arch::new().dispatch(Step { learner: &mut learner, seed, step, length });
        if (step + 1) % LOOK_EVERY != 0 && step + 1 != steps {
            continue;
        }
        let errors = learner.look(ctx)?;
        if is_gain(&best.errors, &errors) {
            best = Learned { parameters: learner.parameters.clone(), errors };
            waited = 0;
        } else {
            waited += 1;
            if waited == PATIENCE {
                break;
            }
        }
    }
    Ok(best)
}

/// Whether squares of errors became smaller by more than chance would make them: by [`CHANCE`] standard errors of the mean
/// difference. What is no number is no gain.
#[inline(always)]
fn is_gain(before: &[f32], now: &[f32]) -> bool {
    let n = now.len() as f32;
    let gains = || before.iter().zip(now).map(|(b, e)| e.mul_add(-e, b * b));
    let mean = gains().fold(0.0f32, |sum, d| sum + d) / n;
    let apart = gains().fold(0.0f32, |sum, d| (d - mean).mul_add(d - mean, sum));
    mean > 0.0 && mean * mean * n * (n - 1.0) > CHANCE * CHANCE * apart
}

impl<'s> Learner<'s> {
    pub(super) fn new(series: &'s Series, parameters: Box<Parameters>) -> Learner<'s> {
        let window = series.window;
        Learner {
            series,
            parameters,
            gradient: Parameters::zeros(),
            adam: Adam::new(),
            turned: Box::new([[0.0; HIDDEN]; GATES]),
            x: vec![[0.0; ROWS]; window + LAGS],
            slopes: vec![[0.0; ROWS]; window],
            moments: vec![Moment::zeros(); window],
            back: Back::zeros(),
            state: Box::new(State::zeros()),
        }
    }

    /// Takes the batch of windows that this step looks at.
    #[inline(always)]
    fn take(&mut self, seed: u64, step: usize) {
        let Series { w, held, window, .. } = self.series;
        // From the first lag to the last target, which is before what is held back.
        let places = held - window - LAGS + 1;
        for row in 0..ROWS {
            let from = place(random(seed, (step * ROWS + row) as u64), places);
            self.x.iter_mut().zip(&w[from..]).for_each(|(x, w)| x[row] = *w);
        }
    }

    /// The loss of the batch, and its gradient.
    #[inline(always)]
    fn slope(&mut self) -> f32 {
        let window = self.series.window;
        let counted = window - self.series.burn();
        let each = 2.0 / (ROWS * counted) as f32;
        *self.state = State::zeros();
        let mut sum = 0.0f32;
        for t in 0..window {
            forward(&self.parameters, &self.x[t + LAGS - 1], &mut self.state, &mut self.moments[t]);
            let slopes = &mut self.slopes[t];
            *slopes = [0.0; ROWS];
            if t < window - counted {
                continue;
            }
            for (row, slope) in slopes.iter_mut().enumerate() {
                let lags = std::array::from_fn(|k| self.x[t + LAGS - 1 - k][row]);
                let error =
                    prediction(&self.parameters.head, &self.state.hidden[row], lags) - self.x[t + LAGS][row];
                sum = error.mul_add(error, sum);
                *slope = each * error;
            }
        }
        for (u, row) in self.parameters.recurrent.iter().enumerate() {
            self.turned.iter_mut().zip(row).for_each(|(turned, w)| turned[u] = *w);
        }
        for part in self.gradient.parts_mut() {
            part.fill(0.0);
        }
        *self.back = *Back::zeros();
        for t in (0..window).rev() {
            let before = t.checked_sub(1).map(|t| &self.moments[t]);
            let lags = |k: usize| &self.x[t + LAGS - 1 - k];
            backward(
                &self.parameters,
                &self.turned,
                (&self.moments[t], before),
                &self.slopes[t],
                lags,
                &mut self.back,
                &mut self.gradient,
            );
        }
        sum / (ROWS * counted) as f32
    }

    /// The errors on what was held back, of which a row has a stretch.
    fn look(&mut self, ctx: &Context) -> Result<Vec<f32>, Failure> {
        let Series { w, held, window, .. } = self.series;
        let stretch = (w.len() - held).div_ceil(ROWS);
        let mut errors = vec![0.0; w.len() - held];
        *self.state = State::zeros();
        for t in 0..window - 1 + stretch {
            ctx.check()?;
            Arch::new().dispatch(Look { learner: self, t, stretch, errors: &mut errors });
        }
        Ok(errors)
    }
}

/// A step of learning.
struct Step<'l, 's> {
    learner: &'l mut Learner<'s>,
    seed: u64,
    step: usize,
    length: [f32; 2],
}

impl WithSimd for Step<'_, '_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> f32 {
        let Step { learner: l, seed, step, length } = self;
        l.take(seed, step);
        let loss = l.slope();
        l.adam.step(&mut l.parameters, &l.gradient, length);
        loss
    }
}

/// A step over what was held back.
struct Look<'l, 's> {
    learner: &'l mut Learner<'s>,
    t: usize,
    stretch: usize,
    errors: &'l mut [f32],
}

impl WithSimd for Look<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Look { learner: l, t, stretch, errors } = self;
        let Series { w, held, window, .. } = l.series;
        // The last of a window before it is that before the first target; rows that are done go on with what there is.
        let at = |row: usize| (held + row * stretch + t - window).min(w.len() - 2);
        let x = std::array::from_fn(|row| w[at(row)]);
        forward(&l.parameters, &x, &mut l.state, &mut l.moments[0]);
        if t + 1 < *window {
            return;
        }
        let i = t + 1 - window;
        for row in 0..ROWS {
            let target = row * stretch + i;
            if target < errors.len() {
                let lags = std::array::from_fn(|k| w[held + target - 1 - k]);
                errors[target] =
                    prediction(&l.parameters.head, &l.state.hidden[row], lags) - w[held + target];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::lstm::HEAD;
    use crate::lstm::parameters::COUNT;
    use crate::reference::rows;

    /// Numbers between ±`width` that are the same everywhere: multiples of the golden ratio.
    fn spread(start: u64, count: usize, width: f64) -> impl Iterator<Item = f32> {
        let unit = |i: u64| (i.wrapping_mul(2_654_435_761) % (1 << 32)) as f64 / (1u64 << 32) as f64;
        (0..count as u64).map(move |i| ((unit(start + i) - 0.5) * 2.0 * width) as f32)
    }

    const LENGTH: usize = 6;

    /// The batch of `scripts/timeseries_reference.py`.
    fn batch(series: &Series) -> Learner<'_> {
        let mut parameters = Parameters::zeros();
        let mut numbers = spread(0, COUNT, 0.3);
        parameters.parts_mut().into_iter().flatten().for_each(|p| *p = numbers.next().unwrap());
        let mut learner = Learner::new(series, parameters);
        let numbers = spread(100_000, (LENGTH + LAGS) * ROWS, 3.0);
        learner.x.as_flattened_mut().iter_mut().zip(numbers).for_each(|(x, v)| *x = v);
        learner
    }

    fn series() -> Series {
        Series { w: Vec::new(), held: 0, window: LENGTH, differences: 0 }
    }

    struct Slope<'l, 's>(&'l mut Learner<'s>);
    impl WithSimd for Slope<'_, '_> {
        type Output = f32;
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) -> f32 {
            self.0.slope()
        }
    }

    fn flat(p: &Parameters) -> Vec<f64> {
        p.parts().concat().into_iter().map(f64::from).collect()
    }

    fn numbers(row: &serde_json::Value, name: &str) -> Vec<f64> {
        row[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    }

    #[test]
    fn losses_gradients_and_steps_are_those_of_pytorch() {
        let row = &rows(include_str!("../../data/lstm.json"))[0];
        let series = series();
        let mut learner = batch(&series);
        let loss = Arch::new().dispatch(Slope(&mut learner));
        let losses = numbers(row, "losses");
        assert!((f64::from(loss) / losses[0] - 1.0).abs() < 1e-6, "{loss} {}", losses[0]);
        let gradient = flat(&learner.gradient);
        let largest = gradient.iter().fold(0.0f64, |m, g| m.max(g.abs()));
        let want = numbers(row, "gradient");
        assert_eq!(want.len(), gradient.len().div_ceil(11));
        for (i, (got, want)) in gradient.iter().step_by(11).zip(&want).enumerate() {
            assert!((got - want).abs() < 2e-6 * largest, "{i}: {got} {want}");
        }
        for (length, want) in lengths(losses.len()).into_iter().zip(&losses) {
            let loss = Arch::new().dispatch(Slope(&mut learner));
            assert!((f64::from(loss) / want - 1.0).abs() < 1e-5, "{loss} {want}");
            learner.adam.step(&mut learner.parameters, &learner.gradient, length);
        }
        for (i, (got, want)) in
            flat(&learner.parameters).iter().step_by(11).zip(numbers(row, "parameters")).enumerate()
        {
            assert!((got - want).abs() < 1e-4, "{i}: {got} {want}");
        }
    }

    #[test]
    fn gradients_are_the_differences_of_the_loss() {
        let series = series();
        let mut learner = batch(&series);
        let loss = |learner: &mut Learner<'_>| f64::from(Arch::new().dispatch(Slope(learner)));
        loss(&mut learner);
        let gradient = flat(&learner.gradient);
        let step = 0.02f32;
        for i in (0..COUNT).step_by(97).chain(COUNT - HEAD..COUNT) {
            let mut at = |by: f32| {
                let before = learner.parameters.clone();
                *learner.parameters.parts_mut().into_iter().flatten().nth(i).unwrap() += by;
                let loss = loss(&mut learner);
                learner.parameters = before;
                loss
            };
            let slope = (at(step) - at(-step)) / f64::from(2.0 * step);
            assert!((slope - gradient[i]).abs() < 1e-3 * (1.0 + slope.abs()), "{i}: {slope} {}", gradient[i]);
        }
    }
}
