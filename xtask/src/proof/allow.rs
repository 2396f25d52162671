//! What is known and accepted, each with its reason: spills, and kernels that the simulator does not see.

/// A kernel variant that may spill on a target.
pub(super) struct Allowed {
    /// The text with its element type (`gemm_tiled_f64`).
    pub(super) kernel: &'static str,
    /// The column of the table (`sm_80`).
    pub(super) target: &'static str,
    /// The most it may spill, in the compiler's unit (bytes for NVIDIA, registers for AMD).
    pub(super) at_most: u64,
    /// Why that is better than what it would take to avoid it.
    pub(super) reason: &'static str,
}

/// The exceptions. NVIDIA's figure is the size of the instructions that store and load, each of 4 bytes.
pub(super) const ALLOWED: &[Allowed] = &[
    Allowed {
        kernel: "vector_costs_four_f64",
        target: "sm_100",
        at_most: 8,
        reason: "one word, stored and loaded once: the assembler stops at 80 of 255 registers for more groups at a time",
    },
    Allowed {
        kernel: "vector_sift",
        target: "sm_100",
        at_most: 52,
        reason: "seven words at the limit of 255 registers; no card of this generation was at hand to choose its tiles by",
    },
    Allowed {
        kernel: "series_decode",
        target: "sm_80",
        at_most: 16,
        reason: "two words, each stored and loaded once: the assembler stops at 72 of 255 registers for more groups at a time",
    },
    Allowed {
        kernel: "series_decode",
        target: "sm_90",
        at_most: 24,
        reason: "three words, each stored and loaded once: the assembler stops at 72 of 255 registers for more groups at a time",
    },
    Allowed {
        kernel: "series_decimals_f64",
        target: "sm_100",
        at_most: 8,
        reason: "one word, stored and loaded once: the assembler stops at 44 of 255 registers for more groups at a time",
    },
    Allowed {
        kernel: "series_profile",
        target: "sm_100",
        at_most: 24,
        reason: "one word, stored once and loaded at five places: the assembler stops at 80 of 255 registers for more groups at a time",
    },
];

/// Kernels, or entries of theirs, that the simulator does not see.
pub(super) const UNRACED: &[(&str, &str)] = &[
    ("matrix_jacobi_f32", ROUNDS),
    ("matrix_jacobi_f64", ROUNDS),
    (
        "matrix_small_f64",
        "its shared memory is more than the simulator's device has; the same text is seen with f32",
    ),
    ("vector_sift", "it is started for many thousand rows only, which take the simulator hours"),
];
const ROUNDS: &str = "jacobi_round is started for more than a hundred columns only, sixteen million items at least; the rest is seen";

/// Whether the simulator need not see all of this kernel.
pub(super) fn is_unraced(kernel: &str) -> bool {
    UNRACED.iter().any(|(k, _)| *k == kernel)
}

/// What a kernel may spill on a target.
pub(super) fn limit(kernel: &str, target: &str) -> u64 {
    let row = ALLOWED.iter().find(|a| a.kernel == kernel && a.target == target);
    row.map_or(0, |a| a.at_most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exception_has_a_reason() {
        assert!(ALLOWED.iter().all(|a| a.reason.len() > 20 && a.at_most > 0));
        assert_eq!(limit("no_such_kernel", "sm_90"), 0);
        assert_eq!((limit("series_decode", "sm_80"), limit("series_decode", "sm_100")), (16, 0));
    }
}
