//! The numbers that are learned, where they start, and which windows they are learned from.

use super::{GATES, HEAD, HIDDEN};

/// The weights of a network. Gradients and moments have the same shape.
#[derive(Clone, Debug)]
pub(super) struct Parameters {
    /// From the state to the gates: input, forget, candidate, output.
    pub(super) recurrent: [[f32; GATES]; HIDDEN],
    /// From the input to the gates.
    pub(super) input: [f32; GATES],
    /// What is added to the gates.
    pub(super) bias: [f32; GATES],
    /// From the state, from the last inputs and from 1 to the prediction.
    pub(super) head: [f32; HEAD],
}

/// How many numbers there are.
pub(super) const COUNT: usize = HIDDEN * GATES + 2 * GATES + HEAD;

impl Parameters {
    /// All of them 0.
    pub(super) fn zeros() -> Box<Parameters> {
        Box::new(Parameters {
            recurrent: [[0.0; GATES]; HIDDEN],
            input: [0.0; GATES],
            bias: [0.0; GATES],
            head: [0.0; HEAD],
        })
    }

    /// Where learning starts: uniform within ± 1 / √hidden, as PyTorch has it; forget gates open (Jozefowicz, Zaremba and
    /// Sutskever 2015); a head of zeros, which predicts the mean.
    pub(super) fn start(seed: u64) -> Box<Parameters> {
        let mut start = Parameters::zeros();
        let width = 1.0 / (HIDDEN as f64).sqrt();
        let [recurrent, input, bias, _] = start.parts_mut();
        for (i, v) in recurrent.iter_mut().chain(input).enumerate() {
            let unit = (random(seed, STARTS + i as u64) >> 11) as f64 / (1u64 << 53) as f64;
            *v = (width * (2.0 * unit - 1.0)) as f32;
        }
        bias[HIDDEN..2 * HIDDEN].fill(1.0);
        start
    }

    /// All numbers, in one order.
    pub(super) fn parts(&self) -> [&[f32]; 4] {
        [self.recurrent.as_flattened(), &self.input, &self.bias, &self.head]
    }

    pub(super) fn parts_mut(&mut self) -> [&mut [f32]; 4] {
        [self.recurrent.as_flattened_mut(), &mut self.input, &mut self.bias, &mut self.head]
    }
}

/// Counters of [`random`] for the first weights, and for the errors of simulated paths; windows count from 0.
const STARTS: u64 = 1 << 60;
pub(super) const ERRORS: u64 = 1 << 61;

/// A number for each counter (SplitMix64: Steele, Lea and Flood 2014).
#[inline(always)]
pub(super) fn random(seed: u64, counter: u64) -> u64 {
    let z = seed.wrapping_add(counter.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// One of `count` places, from the high bits.
#[inline(always)]
pub(super) fn place(random: u64, count: usize) -> usize {
    (((random >> 32) * count as u64) >> 32) as usize
}
