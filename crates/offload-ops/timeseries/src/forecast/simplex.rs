//! The least value of a function of few variables without derivatives (Nelder and Mead 1965).

use offload_core::Failure;

/// Where a function is least, as near as `evaluations` evaluations come.
///
/// # Errors
/// The first of the function.
pub(super) fn least(
    start: &[f64],
    step: f64,
    evaluations: usize,
    mut f: impl FnMut(&[f64]) -> Result<f64, Failure>,
) -> Result<(Vec<f64>, f64), Failure> {
    let n = start.len();
    let mut points: Vec<(Vec<f64>, f64)> = Vec::with_capacity(n + 1);
    for i in 0..=n {
        let mut p = start.to_vec();
        if i > 0 {
            p[i - 1] += step;
        }
        let value = f(&p)?;
        points.push((p, value));
    }
    let mut used = n + 1;
    while n > 0 && used < evaluations {
        points.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (best, worst) = (points[0].1, points[n].1);
        let wide = (0..n).map(|j| spread(&points, j)).fold(0.0, f64::max);
        if worst - best <= 1e-9 * (1.0 + best.abs()) && wide < 1e-3 {
            break;
        }
        let center: Vec<f64> =
            (0..n).map(|j| points[..n].iter().map(|p| p.0[j]).sum::<f64>() / n as f64).collect();
        let towards = |by: f64, points: &[(Vec<f64>, f64)]| -> Vec<f64> {
            center.iter().zip(&points[n].0).map(|(c, w)| c + by * (c - w)).collect()
        };
        let mirrored = towards(1.0, &points);
        let value = f(&mirrored)?;
        used += 1;
        if value < best {
            let far = towards(2.0, &points);
            let farther = f(&far)?;
            used += 1;
            points[n] = if farther < value { (far, farther) } else { (mirrored, value) };
        } else if value < points[n - 1].1 {
            points[n] = (mirrored, value);
        } else {
            let near = towards(if value < worst { 0.5 } else { -0.5 }, &points);
            let nearer = f(&near)?;
            used += 1;
            if nearer < value.min(worst) {
                points[n] = (near, nearer);
            } else {
                let first = points[0].0.clone();
                for p in &mut points[1..] {
                    p.0.iter_mut().zip(&first).for_each(|(x, b)| *x = (*x + b) / 2.0);
                    p.1 = f(&p.0)?;
                }
                used += n;
            }
        }
    }
    points.sort_by(|a, b| a.1.total_cmp(&b.1));
    Ok(points.swap_remove(0))
}

/// How far apart the points are in one variable.
fn spread(points: &[(Vec<f64>, f64)], j: usize) -> f64 {
    let ends =
        points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| (l.min(p.0[j]), h.max(p.0[j])));
    ends.1 - ends.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_valley_of_rosenbrock_is_walked_to_its_end() {
        let f = |x: &[f64]| Ok(100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2));
        let (x, value) = least(&[-1.2, 1.0], 0.5, 2000, f).unwrap();
        assert!((x[0] - 1.0).abs() < 1e-3 && (x[1] - 1.0).abs() < 1e-3 && value < 1e-7, "{x:?} {value}");
    }
}
