//! JSON numbers to `f64` and integers.
//!
//! Short numbers without an exponent are converted here, by one division of numbers that `f64` holds exactly and that IEEE 754
//! therefore rounds correctly (Clinger, "How to read floating point numbers accurately", 1990); everything else by a
//! correctly rounding library (Lemire, "Number parsing at a gigabyte per second", 2021), with what JSON forbids refused before.

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

/// The most digits of which every number is below 2^53, and so exactly an `f64`.
const EXACT_DIGITS: usize = 15;
/// The powers of ten that divide fractions of so many digits.
const POWERS: [f64; EXACT_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Reads the number at the start of `b`; returns it and its length in bytes.
#[inline]
pub(super) fn parse_f64(b: &[u8]) -> Result<(f64, usize), BadNumber> {
    let at = |i: usize| b.get(i).copied().unwrap_or(0);
    let negative = at(0) == b'-';
    let start = usize::from(negative);
    let mut i = start;
    let mut digits: u64 = 0;
    let mut more = |i: &mut usize| {
        for c in b.get(*i..).unwrap_or_default() {
            let digit = c.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit));
            *i += 1;
        }
    };
    more(&mut i);
    if i == start || (i > start + 1 && at(start) == b'0') {
        return Err(BadNumber::Malformed);
    }
    let (mut count, mut behind) = (i - start, 0);
    if at(i) == b'.' {
        let point = i;
        i += 1;
        more(&mut i);
        behind = i - point - 1;
        // The library takes more than JSON allows: a point needs a digit behind it.
        if behind == 0 {
            return Err(BadNumber::Malformed);
        }
        count += behind;
    }
    if count <= EXACT_DIGITS && !matches!(at(i), b'e' | b'E') {
        let v = digits as f64 / POWERS[behind];
        return Ok((if negative { -v } else { v }, i));
    }
    let (value, len) = fast_float2::parse_partial(b).map_err(|_| BadNumber::Malformed)?;
    // Overflow comes back as infinity.
    if f64::is_finite(value) { Ok((value, len)) } else { Err(BadNumber::Range) }
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
                2 if i % 2 == 0 => format!("{}", (x % 1e15) as i64),
                // Around as many digits as are converted here.
                2 => {
                    let digits = (next() % 10u64.pow(1 + (i / 10 % 17) as u32)).to_string();
                    let (whole, behind) = digits.split_at(digits.len().min(1 + (next() % 16) as usize));
                    let sign = if i % 4 == 1 { "-" } else { "" };
                    let zeros = "0".repeat((next() % 8) as usize);
                    if behind.is_empty() {
                        format!("{sign}0.{zeros}{whole}")
                    } else {
                        format!("{sign}{whole}.{zeros}{behind}")
                    }
                }
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
