//! Columns as another element type, where every value has a place in it.

use offload_api::{DType, Data, Tensor};

/// The tensor with its elements as `to`. Integers go to any integer type and to `f64`, `f32` goes to `f64`.
///
/// # Errors
/// The row of the first element that does not fit, or `None` when there is no such conversion.
pub(super) fn cast(t: &Tensor, to: DType) -> Result<Tensor, Option<usize>> {
    let width = t.shape().get(1..).unwrap_or_default().iter().product::<usize>().max(1);
    let shape = t.shape().to_vec();
    if t.dtype() == to {
        return Ok(t.clone());
    }
    let data = match (t.data(), to) {
        (Data::F32(b), DType::F64) => Ok(wrapped(b.iter().map(|&x| f64::from(x)).collect::<Vec<_>>())),
        (Data::F32(_) | Data::F64(_), _) => return Err(None),
        (Data::I32(b), to) => integers(b.iter().map(|&x| i128::from(x)), to)?,
        (Data::I64(b), to) => integers(b.iter().map(|&x| i128::from(x)), to)?,
        (Data::U8(b), to) => integers(b.iter().map(|&x| i128::from(x)), to)?,
        (Data::U64(b), to) => integers(b.iter().map(|&x| i128::from(x)), to)?,
    };
    let data = data.map_err(|i| Some(i / width))?;
    Tensor::from_data(shape, data).ok_or(None)
}

fn wrapped<T: offload_api::Element>(v: Vec<T>) -> Data {
    T::wrap(v.into())
}

fn all<T: offload_api::Element>(
    values: impl Iterator<Item = i128>,
    to: impl Fn(i128) -> Option<T>,
) -> Result<Data, usize> {
    values.enumerate().map(|(i, v)| to(v).ok_or(i)).collect::<Result<Vec<T>, usize>>().map(wrapped)
}

/// Integers as another type; the index of the first that does not fit.
fn integers(values: impl Iterator<Item = i128>, to: DType) -> Result<Result<Data, usize>, Option<usize>> {
    /// Beyond it, a double no longer names every integer.
    const EXACT: i128 = 1 << 53;
    Ok(match to {
        DType::I32 => all(values, |v| i32::try_from(v).ok()),
        DType::I64 => all(values, |v| i64::try_from(v).ok()),
        DType::U8 => all(values, |v| u8::try_from(v).ok()),
        DType::U64 => all(values, |v| u64::try_from(v).ok()),
        DType::F64 => all(values, |v| (-EXACT..=EXACT).contains(&v).then_some(v as f64)),
        DType::F32 => return Err(None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_what_they_are_or_are_refused_with_their_row() {
        let ids = Tensor::vector(vec![3i64, 0, i64::MAX]);
        assert_eq!(cast(&ids, DType::U64).unwrap(), Tensor::vector(vec![3u64, 0, i64::MAX as u64]));
        assert_eq!(cast(&ids, DType::F64), Err(Some(2)), "2^63 - 1 is no double");
        let pairs = Tensor::new([2, 2], vec![1i64, 2, 3, -4]).unwrap();
        assert_eq!(cast(&pairs, DType::U64), Err(Some(1)), "the row, not the element");
        assert_eq!(
            cast(&pairs, DType::F64).unwrap(),
            Tensor::new([2, 2], vec![1.0, 2.0, 3.0, -4.0]).unwrap()
        );
        let halves = Tensor::vector(vec![0.5f32]);
        assert_eq!(cast(&halves, DType::F64).unwrap(), Tensor::vector(vec![0.5f64]));
        assert_eq!(cast(&Tensor::vector(vec![0.5f64]), DType::F32), Err(None));
        assert_eq!(cast(&halves, DType::I64), Err(None));
    }
}
