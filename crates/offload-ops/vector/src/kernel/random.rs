//! Numbers that a seed decides.

/// Steele, Lea and Flood's SplitMix64: the number at place `i` of the sequence that `seed` starts.
pub(crate) fn number(seed: u64, i: u64) -> u64 {
    let z = seed.wrapping_add(i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number in (0, 1].
pub(crate) fn unit(seed: u64, i: u64) -> f64 {
    ((number(seed, i) >> 11) + 1) as f64 / 9_007_199_254_740_992.0
}

/// A number below `n`, which is not zero.
pub(crate) fn below(seed: u64, i: u64, n: usize) -> usize {
    ((u128::from(number(seed, i)) * n as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_splitmix64() {
        // The first outputs for the seed 1234567, as published with the reference implementation in C.
        assert_eq!(number(1_234_567, 0), 6_457_827_717_110_365_317);
        assert_eq!(number(1_234_567, 1), 3_203_168_211_198_807_973);
    }
}
