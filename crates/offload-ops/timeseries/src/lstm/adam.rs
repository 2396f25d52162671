//! Steps down the gradient by Adam (Kingma and Ba 2015), of a length that falls to zero along half a cosine (Loshchilov and
//! Hutter 2017), with gradients cut to a norm (Pascanu, Mikolov and Bengio 2013).

use super::GATES;
use super::parameters::Parameters;

const FIRST: f32 = 0.9;
const SECOND: f32 = 0.999;
/// Keeps a step finite where a gradient has always been 0.
const LEAST: f64 = 1e-8;
/// The longest step.
const RATE: f64 = 0.01;
/// The largest norm of a gradient.
const LARGEST: f32 = 1.0;

/// Means of the gradient and of its square, and the steps that are left.
pub(super) struct Adam {
    first: Box<Parameters>,
    second: Box<Parameters>,
}

/// How long each of `steps` steps is, and what is added to the root that it is divided by. Corrections for means that start at 0
/// are included (the end of the paper's section 2).
pub(super) fn lengths(steps: usize) -> Vec<[f32; 2]> {
    let of = |i: usize| {
        let t = i as i32 + 1;
        let fallen = 0.5 + 0.5 * (std::f64::consts::PI * i as f64 / steps as f64).cos();
        let (first, second) = (1.0 - f64::from(FIRST).powi(t), (1.0 - f64::from(SECOND).powi(t)).sqrt());
        [(RATE * fallen * second / first) as f32, (LEAST * second) as f32]
    };
    (0..steps).map(of).collect()
}

impl Adam {
    pub(super) fn new() -> Adam {
        Adam { first: Parameters::zeros(), second: Parameters::zeros() }
    }

    /// A step of this length.
    #[inline(always)]
    pub(super) fn step(&mut self, p: &mut Parameters, gradient: &Parameters, [length, least]: [f32; 2]) {
        let norm = norm(gradient);
        let cut = if norm > LARGEST { LARGEST / norm } else { 1.0 };
        let moments = self.first.parts_mut().into_iter().zip(self.second.parts_mut());
        for ((p, g), (first, second)) in p.parts_mut().into_iter().zip(gradient.parts()).zip(moments) {
            for (((p, g), m), v) in p.iter_mut().zip(g).zip(first).zip(second) {
                let g = g * cut;
                *m = FIRST.mul_add(*m, (1.0 - FIRST) * g);
                *v = SECOND.mul_add(*v, (1.0 - SECOND) * (g * g));
                *p = (-length).mul_add(*m / (v.sqrt() + least), *p);
            }
        }
    }
}

/// The root of the sum of squares, summed up in as many chains as there are gates, then in pairs.
#[inline(always)]
fn norm(gradient: &Parameters) -> f32 {
    let mut sums = [0.0f32; GATES];
    for part in gradient.parts() {
        for of_gates in part.chunks(GATES) {
            sums.iter_mut().zip(of_gates).for_each(|(s, g)| *s = g.mul_add(*g, *s));
        }
    }
    let mut half = GATES / 2;
    while half > 0 {
        let (low, high) = sums.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(l, h)| *l += *h);
        half /= 2;
    }
    sums[0].sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_those_of_the_paper() {
        // One coordinate by the algorithm as it is printed, in double precision.
        let steps = 40;
        let (mut p, mut g) = (Parameters::zeros(), Parameters::zeros());
        let mut adam = Adam::new();
        let (mut x, mut m, mut v) = (0.0f64, 0.0f64, 0.0f64);
        for (i, length) in lengths(steps).into_iter().enumerate() {
            let gradient = 0.3 * (x - 0.05) + 0.01 * (i as f64 * 0.7).sin();
            g.recurrent[3][5] = gradient as f32;
            adam.step(&mut p, &g, length);
            let t = i as i32 + 1;
            let rate = 0.005 * (1.0 + (std::f64::consts::PI * i as f64 / steps as f64).cos());
            m = 0.9 * m + 0.1 * gradient;
            v = 0.999 * v + 0.001 * gradient * gradient;
            x -= rate * (m / (1.0 - 0.9f64.powi(t))) / ((v / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-8);
            assert!((f64::from(p.recurrent[3][5]) - x).abs() < 1e-6, "{i}: {} {x}", p.recurrent[3][5]);
        }
        assert!(x.abs() > 0.02 && p.input == [0.0; GATES]);
    }

    #[test]
    fn long_gradients_are_cut() {
        let mut g = Parameters::zeros();
        g.bias[0] = 3e6;
        g.head[2] = -4e6;
        assert_eq!(norm(&g), 5e6);
        let mut adam = Adam::new();
        adam.step(&mut Parameters::zeros(), &g, [0.01, 1e-8]);
        assert!((adam.first.bias[0] - 0.06).abs() < 1e-6 && (adam.second.head[2] - 0.00064).abs() < 1e-8);
    }
}
