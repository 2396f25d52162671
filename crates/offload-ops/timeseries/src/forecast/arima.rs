//! ARIMA(p, d, q): differences by the test of Kwiatkowski, Phillips, Schmidt and Shin (1992), orders by steps from the
//! likeliest neighbours (Hyndman and Khandakar 2008), coefficients by least squares of the errors, which start from
//! zeros (Box and Jenkins 1970), from the regression of Hannan and Rissanen (1982) by damped steps (Marquardt 1963).

use super::likelihood::logarithm;
use super::outcome::Outcome;
use super::simplex::least;
use super::squares::Squares;
use offload_core::{Context, Failure};

/// The largest number of values before, or of errors before, that a value depends on.
pub(super) const ORDER: usize = 5;
/// Models that are tried, at most.
const MODELS: usize = 40;
/// Steps of least squares for each.
const STEPS: usize = 30;
/// Series of up to so many values, in which the first ones weigh, are fitted by the exact likelihood in the end.
const EXACT: usize = 200;
/// The largest partial correlation that a model may have; at 1 it has no mean to come back to.
const LARGEST_PARTIAL: f64 = 0.999;

/// Multiplications and additions to find a model of `n` values.
pub(super) fn work(n: f64) -> f64 {
    MODELS as f64 * STEPS as f64 * n * 200.0
}

/// Bytes that the search takes for each value: differences, errors, and what the longest regression holds.
pub(super) const BYTES_PER_VALUE: u64 = 8 * 6;

/// The orders of a model, and whether it has a mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Orders {
    p: usize,
    q: usize,
    mean: bool,
}

impl Orders {
    fn count(&self) -> usize {
        self.p + self.q + usize::from(self.mean)
    }
}

/// A model of the differences: `z = w − mean`, `z[t] = Σ ar z[t−i] + Σ ma e[t−j] + e[t]`.
#[derive(Clone, Debug)]
struct Model {
    orders: Orders,
    mean: f64,
    ar: Vec<f64>,
    ma: Vec<f64>,
    squares: f64,
    criterion: f64,
}

/// Forecasts of a series; `None` when there are too few values, or all are one.
///
/// # Errors
/// When the job is cancelled.
pub(super) fn ahead(y: &[f64], horizon: usize, ctx: &Context) -> Result<Option<Outcome>, Failure> {
    let origin = y.first().copied().unwrap_or(0.0);
    let scale = y.iter().map(|v| (v - origin).abs()).sum::<f64>() / y.len().max(1) as f64;
    if y.len() < 12 || scale == 0.0 || !scale.is_finite() {
        return Ok(None);
    }
    let mut w: Vec<f64> = y.iter().map(|v| (v - origin) / scale).collect();
    // The last value before each difference, to sum the forecasts up from.
    let mut lasts = Vec::new();
    while lasts.len() < 2 && !level(&w) {
        lasts.push(w[w.len() - 1]);
        w = w.windows(2).map(|pair| pair[1] - pair[0]).collect();
    }
    let d = lasts.len();
    let Some(model) = search(&w, d, ctx)? else { return Ok(None) };
    let n = w.len();
    let errors = model.errors(&w);
    let deviation = (model.squares / n.saturating_sub(model.orders.count()).max(1) as f64).sqrt() * scale;

    // The model goes on with errors of zero; and with one error of 1 alone, for the variance.
    let mut z: Vec<f64> = w[n - ORDER.min(n)..].iter().map(|v| v - model.mean).collect();
    let mut e: Vec<f64> = errors[n - ORDER.min(n)..].to_vec();
    let (mut effect_z, mut effect_e) = (vec![0.0; ORDER], vec![0.0; ORDER]);
    let (mut values, mut deviations) = (Vec::with_capacity(horizon), Vec::with_capacity(horizon));
    let (mut level_of, mut effects) = (lasts, vec![0.0; d]);
    let mut variance = 0.0;
    for step in 0..horizon {
        let next = model.next(&z, &e);
        advance(&mut z, next);
        advance(&mut e, 0.0);
        let mut value = next + model.mean;
        for level in level_of.iter_mut().rev() {
            *level += value;
            value = *level;
        }
        values.push(origin + scale * value);
        let error = if step == 0 { 1.0 } else { 0.0 };
        let mut effect = model.next(&effect_z, &effect_e) + error;
        advance(&mut effect_z, effect);
        advance(&mut effect_e, error);
        for sum in effects.iter_mut().rev() {
            *sum += effect;
            effect = *sum;
        }
        variance += effect * effect;
        deviations.push(deviation * f64::sqrt(variance));
    }
    let Orders { p, q, mean } = model.orders;
    let model = format!(
        "arima({p}, {d}, {q}){}",
        match (mean, d) {
            (false, _) => "",
            (true, 0) => " with mean",
            (true, _) => " with drift",
        }
    );
    Ok(Some(Outcome { values, deviations, log: false, season: Vec::new(), model }))
}

/// Puts a value at the end and drops the first.
fn advance(last: &mut [f64], new: f64) {
    last.rotate_left(1);
    if let Some(end) = last.last_mut() {
        *end = new;
    }
}

/// Whether a series keeps its level: the statistic of Kwiatkowski et al. is below its value at 5%.
fn level(w: &[f64]) -> bool {
    let n = w.len() as f64;
    let mean = w.iter().sum::<f64>() / n;
    let e: Vec<f64> = w.iter().map(|v| v - mean).collect();
    let covariance = |lag: usize| e[lag..].iter().zip(&e).map(|(a, b)| a * b).sum::<f64>() / n;
    let lags = (4.0 * (n / 100.0).powf(0.25)) as usize;
    let long: f64 = covariance(0)
        + (1..=lags.min(e.len() - 1))
            .map(|l| 2.0 * (1.0 - l as f64 / (lags as f64 + 1.0)) * covariance(l))
            .sum::<f64>();
    let mut sum = 0.0;
    let sums: f64 = e
        .iter()
        .map(|v| {
            sum += v;
            sum * sum
        })
        .sum();
    long <= 0.0 || sums / (n * n * long) < 0.463
}

/// The likeliest model among neighbours, by the corrected criterion of Akaike.
fn search(w: &[f64], d: usize, ctx: &Context) -> Result<Option<Model>, Failure> {
    let mut tried: Vec<Orders> = Vec::new();
    let mut best: Option<Model> = None;
    let means: &[bool] = match d {
        0 => &[true],
        1 => &[false, true],
        _ => &[false],
    };
    let starts: Vec<Orders> = [(2, 2), (0, 0), (1, 0), (0, 1)]
        .iter()
        .flat_map(|&(p, q)| means.iter().map(move |&mean| Orders { p, q, mean }))
        .collect();
    let mut next = starts;
    while !next.is_empty() {
        let mut improved = false;
        for orders in std::mem::take(&mut next) {
            if tried.contains(&orders) || tried.len() >= MODELS {
                continue;
            }
            tried.push(orders);
            let Some(model) = fit(w, orders, ctx)? else { continue };
            if best.as_ref().is_none_or(|b| model.criterion < b.criterion) {
                best = Some(model);
                improved = true;
            }
        }
        if let (true, Some(b)) = (improved, &best) {
            let Orders { p, q, mean } = b.orders;
            let steps = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)];
            let moved = |of: usize, by: isize| of.checked_add_signed(by).filter(|&o| o <= ORDER);
            next.extend(
                steps.iter().filter_map(|&(i, j)| Some(Orders { p: moved(p, i)?, q: moved(q, j)?, mean })),
            );
            if means.len() > 1 {
                next.push(Orders { p, q, mean: !mean });
            }
        }
    }
    Ok(best)
}

/// Fits one model; `None` when there are too few values, or it has no level to come back to.
fn fit(w: &[f64], orders: Orders, ctx: &Context) -> Result<Option<Model>, Failure> {
    let n = w.len();
    let k = orders.count();
    if n < 2 * k + 8 {
        return Ok(None);
    }
    let mean = if orders.mean { w.iter().sum::<f64>() / n as f64 } else { 0.0 };
    let mut model = Model {
        orders,
        mean,
        ar: vec![0.0; orders.p],
        ma: vec![0.0; orders.q],
        squares: 0.0,
        criterion: 0.0,
    };
    regress(w, &mut model);
    while !model.returns() {
        model.ar.iter_mut().chain(&mut model.ma).for_each(|c| *c *= 0.8);
        if model.ar.iter().chain(&model.ma).all(|c| c.abs() < 1e-6) {
            break;
        }
    }
    model.squares = sum_of_squares(&model.errors(w));
    let mut damping = 1e-3;
    for _ in 0..STEPS {
        ctx.check()?;
        let Some((step, length)) = model.step(w, damping) else { break };
        let moved = model.moved(&step);
        let squares = if moved.returns() { sum_of_squares(&moved.errors(w)) } else { f64::INFINITY };
        if squares < model.squares {
            let gain = (model.squares - squares) / model.squares.max(f64::MIN_POSITIVE);
            model = Model { squares, ..moved };
            damping = (damping / 10.0).max(1e-12);
            if gain < 1e-10 {
                break;
            }
        } else {
            damping *= 10.0;
            if damping > 1e8 || length < 1e-10 {
                break;
            }
        }
    }
    if n <= EXACT && k > 0 {
        model = likeliest(w, model, ctx)?;
    }
    let z: Vec<f64> = w.iter().map(|v| v - model.mean).collect();
    let Some(likelihood) = logarithm(&z, &model.ar, &model.ma) else { return Ok(None) };
    let (n, k) = (n as f64, k as f64 + 1.0);
    model.criterion = 2.0 * k - 2.0 * likelihood + 2.0 * k * (k + 1.0) / (n - k - 1.0).max(1.0);
    Ok(Some(model))
}

/// From the coefficients of least squares to those of the largest likelihood.
fn likeliest(w: &[f64], model: Model, ctx: &Context) -> Result<Model, Failure> {
    let k = model.orders.count();
    let mut z = vec![0.0; w.len()];
    let unlikely = |step: &[f64]| {
        ctx.check()?;
        let moved = model.moved(step);
        if !moved.returns() {
            return Ok(f64::INFINITY);
        }
        z.iter_mut().zip(w).for_each(|(z, w)| *z = w - moved.mean);
        Ok(logarithm(&z, &moved.ar, &moved.ma).map_or(f64::INFINITY, |l| -l))
    };
    let (step, _) = least(&vec![0.0; k], 0.05, 60 * (k + 1), unlikely)?;
    let mut moved = model.moved(&step);
    moved.squares = sum_of_squares(&moved.errors(w));
    Ok(moved)
}

fn sum_of_squares(e: &[f64]) -> f64 {
    e.iter().map(|e| e * e).sum()
}

/// First coefficients: errors of a long autoregression stand for the errors of the model.
fn regress(w: &[f64], model: &mut Model) {
    let n = w.len();
    let Orders { p, q, .. } = model.orders;
    if p + q == 0 {
        return;
    }
    let z: Vec<f64> = w.iter().map(|v| v - model.mean).collect();
    let before = |v: &[f64], t: usize, lag: usize| if t >= lag { v[t - lag] } else { 0.0 };
    let mut errors = Vec::new();
    if q > 0 {
        let long = (10.0 * (n as f64).log10()) as usize;
        let long = long.clamp(p + q, (n / 4).max(p + q));
        let mut squares = Squares::new(long);
        let mut row = vec![0.0; long];
        for t in 0..n {
            (0..long).for_each(|i| row[i] = before(&z, t, i + 1));
            squares.add(&mut row, z[t]);
        }
        let ar = squares.solution();
        errors =
            (0..n).map(|t| z[t] - (0..long).map(|i| ar[i] * before(&z, t, i + 1)).sum::<f64>()).collect();
    }
    let mut squares = Squares::new(p + q);
    let mut row = vec![0.0; p + q];
    for t in 0..n {
        (0..p).for_each(|i| row[i] = before(&z, t, i + 1));
        (0..q).for_each(|j| row[p + j] = before(&errors, t, j + 1));
        squares.add(&mut row, z[t]);
    }
    let all = squares.solution();
    model.ar.copy_from_slice(&all[..p]);
    model.ma.copy_from_slice(&all[p..]);
}

impl Model {
    /// The next value less the mean, from the last ones and the last errors, the latest last.
    fn next(&self, z: &[f64], e: &[f64]) -> f64 {
        let along = |c: &[f64], v: &[f64]| c.iter().zip(v.iter().rev()).map(|(c, v)| c * v).sum::<f64>();
        along(&self.ar, z) + along(&self.ma, e)
    }

    fn errors(&self, w: &[f64]) -> Vec<f64> {
        let mut e = vec![0.0; w.len()];
        for t in 0..w.len() {
            let z = |lag: usize| if t >= lag { w[t - lag] - self.mean } else { 0.0 };
            let by_ar: f64 = self.ar.iter().enumerate().map(|(i, c)| c * z(i + 1)).sum();
            let by_ma: f64 =
                self.ma.iter().enumerate().map(|(j, c)| if t > j { c * e[t - j - 1] } else { 0.0 }).sum();
            e[t] = z(0) - by_ar - by_ma;
        }
        e
    }

    /// Whether values and errors of long ago lose their weight: all partial correlations are below 1.
    fn returns(&self) -> bool {
        let ma: Vec<f64> = self.ma.iter().map(|c| -c).collect();
        [&self.ar, &ma].into_iter().all(|c| {
            let mut c = c.clone();
            while let Some(last) = c.pop() {
                if last.is_nan() || last.abs() >= LARGEST_PARTIAL {
                    return false;
                }
                let k = c.len();
                let lower: Vec<f64> =
                    (0..k).map(|i| (c[i] + last * c[k - 1 - i]) / (1.0 - last * last)).collect();
                c = lower;
            }
            true
        })
    }

    /// The damped step of least squares, and its length.
    fn step(&self, w: &[f64], damping: f64) -> Option<(Vec<f64>, f64)> {
        let (p, q, k) = (self.orders.p, self.orders.q, self.orders.count());
        if k == 0 {
            return None;
        }
        let mut squares = Squares::new(k);
        // Of the last `q` times: the errors, and how they change with each coefficient.
        let (mut e, mut changes) = (vec![0.0; q], vec![vec![0.0; k]; q]);
        let mut sizes = vec![0.0; k];
        for t in 0..w.len() {
            let z = |lag: usize| if t >= lag { w[t - lag] - self.mean } else { 0.0 };
            let mut change = vec![0.0; k];
            (0..p).for_each(|i| change[i] = -z(i + 1));
            (0..q).for_each(|j| change[p + j] = -e[j]);
            if self.orders.mean {
                change[k - 1] = -1.0 + (0..p).filter(|&i| t > i).map(|i| self.ar[i]).sum::<f64>();
            }
            let mut error = z(0) - (0..p).map(|i| self.ar[i] * z(i + 1)).sum::<f64>();
            for j in 0..q {
                error -= self.ma[j] * e[j];
                for i in 0..k {
                    change[i] -= self.ma[j] * changes[j][i];
                }
            }
            (0..k).for_each(|i| sizes[i] += change[i] * change[i]);
            squares.add(&mut change.clone(), -error);
            if q > 0 {
                e.rotate_right(1);
                e[0] = error;
                changes.rotate_right(1);
                changes[0] = change;
            }
        }
        for i in 0..k {
            let mut row = vec![0.0; k];
            row[i] = (damping * sizes[i].max(1e-12)).sqrt();
            squares.add(&mut row, 0.0);
        }
        let step = squares.solution();
        let length = step.iter().fold(0.0, |l: f64, s| l.max(s.abs()));
        Some((step, length))
    }

    fn moved(&self, step: &[f64]) -> Model {
        let (p, q) = (self.orders.p, self.orders.q);
        let mut m = self.clone();
        m.ar.iter_mut().zip(&step[..p]).for_each(|(c, s)| *c += s);
        m.ma.iter_mut().zip(&step[p..p + q]).for_each(|(c, s)| *c += s);
        if self.orders.mean {
            m.mean += step[p + q];
        }
        m
    }
}
