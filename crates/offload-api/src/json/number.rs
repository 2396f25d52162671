//! JSON numbers to `f64` and integers.
//!
//! Decimal digits that fit 53 bits with a power of ten up to 10^22 are exact in one multiplication or division
//! (Clinger, "How to read floating point numbers accurately", 1990); everything else goes through the standard
//! library, which is correctly rounded too.

/// Why a number was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadNumber {
    /// Not a JSON number (NaN and infinity are not).
    Malformed,
    /// A number beyond the range of the type.
    Range,
    /// A fraction where an integer is wanted.
    NotInteger,
}

/// 10^0 … 10^22, the powers of ten that f64 holds exactly.
const POW10: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Reads the number at the start of `b`; returns it and its length in bytes.
#[inline]
pub(super) fn parse_f64(b: &[u8]) -> Result<(f64, usize), BadNumber> {
    let at = |i: usize| b.get(i).copied().unwrap_or(0);
    let negative = at(0) == b'-';
    let mut i = usize::from(negative);
    let mut mantissa: u64 = 0;
    let digits_start = i;
    while at(i).is_ascii_digit() {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(at(i) - b'0'));
        i += 1;
    }
    let int_digits = i - digits_start;
    if int_digits == 0 || (int_digits > 1 && at(digits_start) == b'0') {
        return Err(BadNumber::Malformed);
    }
    let mut exponent: i64 = 0;
    let mut digits = int_digits;
    if at(i) == b'.' {
        i += 1;
        let start = i;
        while at(i).is_ascii_digit() {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(at(i) - b'0'));
            i += 1;
        }
        if i == start {
            return Err(BadNumber::Malformed);
        }
        digits += i - start;
        exponent -= (i - start) as i64;
    }
    if at(i) | 0x20 == b'e' {
        i += 1;
        let minus = at(i) == b'-';
        i += usize::from(minus || at(i) == b'+');
        let start = i;
        let mut e: i64 = 0;
        while at(i).is_ascii_digit() {
            e = (e * 10 + i64::from(at(i) - b'0')).min(1_000_000);
            i += 1;
        }
        if i == start {
            return Err(BadNumber::Malformed);
        }
        exponent += if minus { -e } else { e };
    }
    // 19 digits cannot have wrapped a u64; more than that is left to the standard library.
    let value = if digits <= 19 && mantissa <= 1 << 53 && (-22..=22).contains(&exponent) {
        let m = mantissa as f64;
        let v = if exponent < 0 { m / POW10[-exponent as usize] } else { m * POW10[exponent as usize] };
        if negative { -v } else { v }
    } else {
        let text = std::str::from_utf8(&b[..i]).map_err(|_| BadNumber::Malformed)?;
        text.parse().map_err(|_| BadNumber::Malformed)?
    };
    if value.is_finite() { Ok((value, i)) } else { Err(BadNumber::Range) }
}

/// Reads the integer at the start of `b`; `19.0` and `1e3` count as integers.
pub(super) fn parse_i128(b: &[u8]) -> Result<(i128, usize), BadNumber> {
    let (value, len) = parse_f64(b)?;
    let text = &b[..len];
    if text.iter().any(|c| matches!(c, b'.' | b'e' | b'E')) {
        if value.fract() != 0.0 {
            return Err(BadNumber::NotInteger);
        }
        // Beyond 2^53 a fractional spelling no longer names one integer.
        if value.abs() > 9_007_199_254_740_992.0 {
            return Err(BadNumber::Range);
        }
        return Ok((value as i128, len));
    }
    let text = std::str::from_utf8(text).map_err(|_| BadNumber::Malformed)?;
    Ok((text.parse().map_err(|_| BadNumber::Range)?, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_standard_library_on_every_spelling() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for i in 0..200_000u64 {
            let x = f64::from_bits(next());
            if !x.is_finite() {
                continue;
            }
            let text = match i % 5 {
                0 => format!("{x:e}"),
                1 => format!("{:.3}", x % 1e6),
                2 => format!("{}", (x % 1e15) as i64),
                3 => format!("{:.17e}", x),
                _ => format!(
                    "{}.{:0>3}E{}",
                    next() % 1_000_000_000_000,
                    next() % 1000,
                    (next() % 50) as i64 - 25
                ),
            };
            let (got, len) = parse_f64(text.as_bytes()).expect(&text);
            assert_eq!(len, text.len(), "{text}");
            assert_eq!(got.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
    }

    #[test]
    fn refuses_what_json_does_not_allow() {
        for bad in
            ["", "-", "+1", ".5", "5.", "01", "-01", "1e", "1e+", "nan", "NaN", "Infinity", "--1", "0x10"]
        {
            let r = parse_f64(bad.as_bytes());
            // A prefix that is a number is for the caller to notice by what follows it.
            assert!(r == Err(BadNumber::Malformed) || r.is_ok_and(|(_, n)| n < bad.len()), "{bad}: {r:?}");
        }
        assert_eq!(parse_f64(b"1e400"), Err(BadNumber::Range));
        assert_eq!(parse_f64(b"-1e400"), Err(BadNumber::Range));
        assert_eq!(parse_f64(b"1e99999999999999999999"), Err(BadNumber::Range));
        assert_eq!(parse_f64(b"1e-400"), Ok((0.0, 6)));
        assert_eq!(parse_i128(b"18446744073709551615"), Ok((18_446_744_073_709_551_615, 20)));
        assert_eq!(parse_i128(b"19.0"), Ok((19, 4)));
        assert_eq!(parse_i128(b"1.5"), Err(BadNumber::NotInteger));
    }
}
