//! The exact likelihood of a stationary ARMA series, by the filter of Kalman in the form of Harvey (1989): what least
//! squares that start from zeros cannot say of the first values.

use super::arma::ORDER;

/// States: the orders, and one for the error itself.
const STATES: usize = ORDER + 1;

type Square = [[f64; STATES]; STATES];

/// The logarithm of the likelihood of `z`, whose mean is 0, at its most likely variance; `None` when the filter breaks down.
pub(super) fn logarithm(z: &[f64], ar: &[f64], ma: &[f64]) -> Option<f64> {
    let mut moves = [0.0; STATES];
    moves[..ar.len()].copy_from_slice(ar);
    let mut shock = [0.0; STATES];
    shock[0] = 1.0;
    shock[1..=ma.len()].copy_from_slice(ma);

    let mut p = stationary(&moves, &shock)?;
    let mut a = [0.0; STATES];
    let (mut squares, mut logs) = (0.0, 0.0);
    let mut gain = [0.0; STATES];
    let mut steady = false;
    for value in z {
        let error = value - a[0];
        let variance = if steady { 1.0 } else { p[0][0] };
        if variance.is_nan() || variance <= 0.0 {
            return None;
        }
        squares += error * error / variance;
        logs += variance.ln();
        if !steady {
            (0..STATES).for_each(|i| gain[i] = p[i][0] / variance);
            let first = p[0];
            for i in 0..STATES {
                (0..STATES).for_each(|j| p[i][j] -= gain[i] * first[j]);
            }
            p = moved(&p, &moves);
            for i in 0..STATES {
                (0..STATES).for_each(|j| p[i][j] += shock[i] * shock[j]);
            }
            // From here on each error has the variance of a shock, and the gain stays.
            steady = variance - 1.0 < 1e-13;
        }
        (0..STATES).for_each(|i| a[i] += gain[i] * error);
        let first = a[0];
        for i in 0..STATES {
            a[i] = moves[i] * first + if i + 1 < STATES { a[i + 1] } else { 0.0 };
        }
    }
    let n = z.len() as f64;
    let variance = (squares / n).max(1e-24);
    let all = -0.5 * n * ((std::f64::consts::TAU * variance).ln() + 1.0) - 0.5 * logs;
    all.is_finite().then_some(all)
}

/// `T P Tᵀ` for the transition `T` whose first column is `moves` and that shifts the states up by one.
fn moved(p: &Square, moves: &[f64; STATES]) -> Square {
    let mut half = [[0.0; STATES]; STATES];
    for i in 0..STATES {
        for j in 0..STATES {
            half[i][j] = moves[i] * p[0][j] + if i + 1 < STATES { p[i + 1][j] } else { 0.0 };
        }
    }
    let mut whole = [[0.0; STATES]; STATES];
    for i in 0..STATES {
        for j in 0..STATES {
            whole[i][j] = half[i][0] * moves[j] + if j + 1 < STATES { half[i][j + 1] } else { 0.0 };
        }
    }
    whole
}

/// The variance of the states before the first value: the sum of what all shocks before leave, doubled up.
fn stationary(moves: &[f64; STATES], shock: &[f64; STATES]) -> Option<Square> {
    let mut power: Square = [[0.0; STATES]; STATES];
    let mut p: Square = [[0.0; STATES]; STATES];
    for i in 0..STATES {
        power[i][0] = moves[i];
        if i + 1 < STATES {
            power[i][i + 1] += 1.0;
        }
        (0..STATES).for_each(|j| p[i][j] = shock[i] * shock[j]);
    }
    for _ in 0..40 {
        let half = product(&power, &p);
        let mut added = 0.0f64;
        for i in 0..STATES {
            for j in 0..STATES {
                let more: f64 = (0..STATES).map(|k| half[i][k] * power[j][k]).sum();
                p[i][j] += more;
                added = added.max(more.abs());
            }
        }
        if !added.is_finite() {
            return None;
        }
        if added < 1e-15 * p[0][0] {
            return Some(p);
        }
        power = product(&power, &power);
    }
    None
}

fn product(a: &Square, b: &Square) -> Square {
    let mut c = [[0.0; STATES]; STATES];
    for i in 0..STATES {
        for j in 0..STATES {
            c[i][j] = (0..STATES).map(|k| a[i][k] * b[k][j]).sum();
        }
    }
    c
}

#[cfg(test)]
mod tests {
    use super::logarithm;

    /// The density of a normal vector whose covariances are those of the model, by elimination.
    fn by_elimination(z: &[f64], covariance: impl Fn(usize) -> f64) -> f64 {
        let n = z.len();
        let mut a: Vec<Vec<f64>> =
            (0..n).map(|i| (0..n).map(|j| covariance(i.abs_diff(j))).collect()).collect();
        let mut y = z.to_vec();
        let (mut logs, mut squares) = (0.0, 0.0);
        for k in 0..n {
            logs += a[k][k].ln();
            squares += y[k] * y[k] / a[k][k];
            let row = a[k].clone();
            for i in k + 1..n {
                let f = a[i][k] / row[k];
                (k..n).for_each(|j| a[i][j] -= f * row[j]);
                y[i] -= f * y[k];
            }
        }
        let n = n as f64;
        -0.5 * n * ((std::f64::consts::TAU * squares / n).ln() + 1.0) - 0.5 * logs
    }

    #[test]
    fn the_filter_agrees_with_the_density_of_all_values_at_once() {
        let z = [0.3, -1.2, 0.8, 2.1, -0.4, 0.0, 1.7, -2.2, 0.5, 0.9];
        // AR(1): variance 1 / (1 − φ²), and φ to the power of the lag. MA(1): 1 + θ², then θ, then nothing.
        let ar = by_elimination(&z, |lag| 0.6f64.powi(lag as i32) / (1.0 - 0.36));
        assert!((logarithm(&z, &[0.6], &[]).unwrap() - ar).abs() < 1e-10);
        let ma = by_elimination(&z, |lag| [1.0 + 0.64, -0.8].get(lag).copied().unwrap_or(0.0));
        assert!((logarithm(&z, &[], &[-0.8]).unwrap() - ma).abs() < 1e-10);
        // ARMA(1, 1) with φ = 0.5 and θ = 0.4: (1 + 2 φ θ + θ²) / (1 − φ²), then (φ + θ)(1 + φ θ) / (1 − φ²) φ^(lag − 1).
        let both = by_elimination(&z, |lag| match lag {
            0 => 1.56 / 0.75,
            l => 0.9 * 1.2 / 0.75 * 0.5f64.powi(l as i32 - 1),
        });
        assert!((logarithm(&z, &[0.5], &[0.4]).unwrap() - both).abs() < 1e-10);
    }
}
