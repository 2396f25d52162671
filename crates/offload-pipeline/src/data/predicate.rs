//! Tests on a column: for each row 1 where its value passes, else 0.

use offload_api::{Column, Comparison, Data, Test};
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::collections::HashSet;

/// A value to compare numbers with.
#[derive(Clone, Copy, Debug)]
enum Number {
    Whole(i128),
    Real(f64),
}

/// The rows that pass.
///
/// # Errors
/// Why the test does not suit the column.
pub(super) fn mask(column: &Column, test: &Test) -> Result<Vec<u8>, String> {
    match column {
        Column::Text(texts) => {
            let mut mask = vec![1u8; texts.len()];
            for (comparison, value) in &test.comparisons {
                let wanted = text(value)?;
                let equal = match comparison {
                    Comparison::Eq => true,
                    Comparison::Ne => false,
                    other => {
                        return Err(format!("has texts, which eq, ne and in test, not {}", other.name()));
                    }
                };
                narrow(&mut mask, |row| (texts.get(row) == wanted) == equal);
            }
            if let Some(listed) = &test.one_of {
                let listed: HashSet<&[u8]> = listed.iter().map(text).collect::<Result<_, _>>()?;
                narrow(&mut mask, |row| listed.contains(texts.get(row)));
            }
            Ok(mask)
        }
        Column::Tensor(t) if t.shape().len() != 1 => {
            Err(format!("has {} dimensions, a test takes one number or text per row", t.shape().len()))
        }
        Column::Tensor(t) => {
            let mut mask = vec![1u8; t.shape()[0]];
            match t.data() {
                // The number is rounded as the column's were.
                Data::F32(b) => {
                    numbers(&mut mask, test, |row| Number::Real(b[row].into()), |f| f64::from(f as f32))?
                }
                Data::F64(b) => numbers(&mut mask, test, |row| Number::Real(b[row]), |f| f)?,
                Data::I32(b) => numbers(&mut mask, test, |row| Number::Whole(b[row].into()), |f| f)?,
                Data::I64(b) => numbers(&mut mask, test, |row| Number::Whole(b[row].into()), |f| f)?,
                Data::U8(b) => numbers(&mut mask, test, |row| Number::Whole(b[row].into()), |f| f)?,
                Data::U64(b) => numbers(&mut mask, test, |row| Number::Whole(b[row].into()), |f| f)?,
            }
            Ok(mask)
        }
    }
}

fn narrow(mask: &mut [u8], passes: impl Fn(usize) -> bool) {
    for (row, m) in mask.iter_mut().enumerate() {
        *m &= u8::from(passes(row));
    }
}

fn numbers(
    mask: &mut [u8],
    test: &Test,
    at: impl Fn(usize) -> Number,
    round: impl Fn(f64) -> f64,
) -> Result<(), String> {
    let number =
        |v: &Json| number(v).map(|n| if let Number::Real(f) = n { Number::Real(round(f)) } else { n });
    for (comparison, value) in &test.comparisons {
        let wanted = number(value)?;
        let passes = |ordering: Option<Ordering>| match comparison {
            Comparison::Eq => ordering == Some(Ordering::Equal),
            // What has no order, NaN, is unequal to everything.
            Comparison::Ne => ordering != Some(Ordering::Equal),
            Comparison::Lt => ordering == Some(Ordering::Less),
            Comparison::Le => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
            Comparison::Gt => ordering == Some(Ordering::Greater),
            Comparison::Ge => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
        };
        narrow(mask, |row| passes(compare(at(row), wanted)));
    }
    if let Some(listed) = &test.one_of {
        let listed: HashSet<Listed> =
            listed.iter().map(|v| number(v).map(listed_as)).collect::<Result<_, _>>()?;
        narrow(mask, |row| listed.contains(&listed_as(at(row))));
    }
    Ok(())
}

/// A number as a set holds it: equal numbers are equal whatever their types.
#[derive(PartialEq, Eq, Hash)]
enum Listed {
    Whole(i128),
    Bits(u64),
}

fn listed_as(n: Number) -> Listed {
    match n {
        Number::Whole(i) => Listed::Whole(i),
        Number::Real(f) if f.fract() == 0.0 && f.abs() < 1e37 => Listed::Whole(f as i128),
        Number::Real(f) => Listed::Bits(f.to_bits()),
    }
}

fn compare(a: Number, b: Number) -> Option<Ordering> {
    match (a, b) {
        (Number::Whole(a), Number::Whole(b)) => Some(a.cmp(&b)),
        (Number::Real(a), Number::Real(b)) => a.partial_cmp(&b),
        (Number::Whole(a), Number::Real(b)) => whole_to_real(a, b),
        (Number::Real(a), Number::Whole(b)) => whole_to_real(b, a).map(Ordering::reverse),
    }
}

/// Compares without rounding the integer.
fn whole_to_real(a: i128, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    // Beyond the range of the conversion, which saturates, every integer of a column is on one side.
    let floor = b.floor() as i128;
    Some(a.cmp(&floor).then(if b > b.floor() { Ordering::Less } else { Ordering::Equal }))
}

fn number(v: &Json) -> Result<Number, String> {
    match v {
        Json::Bool(b) => Ok(Number::Whole(i128::from(*b))),
        Json::Number(n) => n
            .as_i64()
            .map(i128::from)
            .or_else(|| n.as_u64().map(i128::from))
            .map(Number::Whole)
            .or_else(|| n.as_f64().map(Number::Real))
            .ok_or_else(|| "is compared with a number that is out of range".to_owned()),
        _ => Err("has numbers, the test compares with a text".to_owned()),
    }
}

fn text(v: &Json) -> Result<&[u8], String> {
    v.as_str().map(str::as_bytes).ok_or_else(|| "has texts, the test compares with a number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use offload_api::{DatasetRef, Tensor};

    fn test(text: &str) -> Test {
        let reference = format!(r#"{{"dataset":"d",{text}}}"#);
        serde_json::from_str::<DatasetRef>(&reference).unwrap().test.unwrap()
    }

    #[test]
    fn rows_pass_as_their_values_compare() {
        let years = Column::Tensor(Tensor::vector(vec![1999i64, 2000, 2005, 2010]));
        let big = Column::Tensor(Tensor::vector(vec![9_007_199_254_740_993i64, 9_007_199_254_740_992]));
        let reals = Column::Tensor(Tensor::vector(vec![0.1f32, 1.0, f32::NAN, -2.5]));
        let langs = Column::Text(["de", "en", "fr", "de"].into_iter().collect());
        for (column, body, expected) in [
            (&years, r#""ge":2000,"lt":2010"#, &[0, 1, 1, 0][..]),
            (&years, r#""gt":1999.5"#, &[0, 1, 1, 1]),
            (&years, r#""le":1999.5"#, &[1, 0, 0, 0]),
            (&years, r#""eq":2005.0"#, &[0, 0, 1, 0]),
            (&years, r#""ne":2005"#, &[1, 1, 0, 1]),
            (&years, r#""in":[2010,1999.0,7]"#, &[1, 0, 0, 1]),
            (&years, r#""in":[]"#, &[0, 0, 0, 0]),
            (&years, r#""lt":1e300"#, &[1, 1, 1, 1]),
            (&years, r#""ge":-1e300,"in":[2000]"#, &[0, 1, 0, 0]),
            (&big, r#""eq":9007199254740993"#, &[1, 0]),
            (&reals, r#""eq":0.1"#, &[1, 0, 0, 0]),
            (&reals, r#""lt":1"#, &[1, 0, 0, 1]),
            (&reals, r#""ne":1"#, &[1, 0, 1, 1]),
            (&reals, r#""in":[1,0.1]"#, &[1, 1, 0, 0]),
            (&langs, r#""eq":"de""#, &[1, 0, 0, 1]),
            (&langs, r#""ne":"de""#, &[0, 1, 1, 0]),
            (&langs, r#""in":["fr","en"]"#, &[0, 1, 1, 0]),
        ] {
            assert_eq!(mask(column, &test(body)).unwrap(), expected, "{body}");
        }
        for (column, body, part) in [
            (&langs, r#""lt":"x""#, "not lt"),
            (&langs, r#""eq":5"#, "with a number"),
            (&years, r#""eq":"x""#, "with a text"),
        ] {
            assert!(mask(column, &test(body)).unwrap_err().contains(part), "{body}");
        }
        let rows = Column::Tensor(Tensor::new([1, 2], vec![1i64, 2]).unwrap());
        assert!(mask(&rows, &test(r#""eq":1"#)).unwrap_err().contains("2 dimensions"));
    }
}
