//! ARMA(p, q) around a mean: coefficients by least squares of the errors, which start from zeros (Box and Jenkins 1970),
//! from the regression of Hannan and Rissanen (1982) by damped steps (Marquardt 1963).

use super::likelihood::logarithm;
use super::simplex::least;
use super::squares::Squares;
use offload_core::{Context, Failure};

/// The largest number of values before, or of errors before, that a value depends on.
pub(super) const ORDER: usize = 5;
/// Steps of least squares for each.
pub(super) const STEPS: usize = 30;
/// Series of up to so many values, in which the first ones weigh, are fitted by the exact likelihood in the end.
const EXACT: usize = 200;
/// The largest partial correlation that a model may have; at 1 it has no mean to come back to.
const LARGEST_PARTIAL: f64 = 0.999;
/// The most coefficients of a model.
const MOST: usize = 2 * ORDER + 1;

/// The orders of a model, and whether it has a mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) p: usize,
    pub(super) q: usize,
    pub(super) mean: bool,
}

impl Orders {
    pub(super) fn count(&self) -> usize {
        self.p + self.q + usize::from(self.mean)
    }
}

/// A model of the differences: `z = w − mean`, `z[t] = Σ ar z[t−i] + Σ ma e[t−j] + e[t]`.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) orders: Orders,
    pub(super) mean: f64,
    pub(super) ar: Vec<f64>,
    pub(super) ma: Vec<f64>,
    pub(super) squares: f64,
    pub(super) criterion: f64,
}

/// Fits one model; `None` when there are too few values, or it has no level to come back to.
pub(super) fn fit(w: &[f64], orders: Orders, ctx: &Context) -> Result<Option<Model>, Failure> {
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
            if gain < 1e-8 {
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

/// The solution of `k` equations of a positive definite matrix, by elimination.
fn solved(a: &mut [[f64; MOST]; MOST], b: &mut [f64; MOST], k: usize) -> Option<Vec<f64>> {
    for i in 0..k {
        let row = a[i];
        if row[i].is_nan() || row[i] <= 0.0 {
            return None;
        }
        for j in i + 1..k {
            let f = a[j][i] / row[i];
            (i..k).for_each(|c| a[j][c] -= f * row[c]);
            b[j] -= f * b[i];
        }
    }
    let mut x = vec![0.0; k];
    for i in (0..k).rev() {
        let rest: f64 = (i + 1..k).map(|j| a[i][j] * x[j]).sum();
        x[i] = (b[i] - rest) / a[i][i];
    }
    x.iter().all(|v| v.is_finite()).then_some(x)
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
    pub(super) fn next(&self, z: &[f64], e: &[f64]) -> f64 {
        let along = |c: &[f64], v: &[f64]| c.iter().zip(v.iter().rev()).map(|(c, v)| c * v).sum::<f64>();
        along(&self.ar, z) + along(&self.ma, e)
    }

    pub(super) fn errors(&self, w: &[f64]) -> Vec<f64> {
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

    /// The damped step of least squares, and its length; `None` when there is none.
    fn step(&self, w: &[f64], damping: f64) -> Option<(Vec<f64>, f64)> {
        let (p, q, k) = (self.orders.p, self.orders.q, self.orders.count());
        if k == 0 {
            return None;
        }
        // Sums of products of how errors change with two coefficients, and with one and the error. The step need not be
        // exact, so their digits suffice.
        let (mut products, mut right) = ([[0.0; MOST]; MOST], [0.0; MOST]);
        // Of the last `q` times, the latest first: the errors, and how they change with each coefficient.
        let (mut e, mut changes) = ([0.0; ORDER], [[0.0; MOST]; ORDER]);
        for t in 0..w.len() {
            let z = |lag: usize| if t >= lag { w[t - lag] - self.mean } else { 0.0 };
            let mut change = [0.0; MOST];
            (0..p).for_each(|i| change[i] = -z(i + 1));
            change[p..p + q].iter_mut().zip(&e).for_each(|(c, e)| *c = -e);
            if self.orders.mean {
                change[k - 1] = -1.0 + self.ar[..p.min(t)].iter().sum::<f64>();
            }
            let mut error = z(0) - (0..p).map(|i| self.ar[i] * z(i + 1)).sum::<f64>();
            for (ma, (e, changes)) in self.ma.iter().zip(e.iter().zip(&changes)) {
                error -= ma * e;
                change.iter_mut().zip(changes).for_each(|(c, old)| *c -= ma * old);
            }
            for i in 0..k {
                let by = change[i];
                products[i].iter_mut().zip(&change).for_each(|(s, c)| *s += by * c);
                right[i] -= by * error;
            }
            e.rotate_right(1);
            changes.rotate_right(1);
            (e[0], changes[0]) = (error, change);
        }
        (0..k).for_each(|i| products[i][i] += damping * products[i][i].max(1e-12));
        let step = solved(&mut products, &mut right, k)?;
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
