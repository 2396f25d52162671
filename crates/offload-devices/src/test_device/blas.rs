//! Matrix products of the test device: plain loops, so that they are an independent check of the CPU path.

use super::{Lane, block};
use offload_core::device::{At, Blas, DeviceError, Gemm};

impl Blas for Lane {
    fn gemm(&mut self, g: &Gemm, double: bool, a: At, b: At, c: At) -> Result<(), DeviceError> {
        let mut state = self.shared.call("gemm")?;
        let left = block(&mut state, a.handle)?[a.offset_bytes as usize..].to_vec();
        let right = block(&mut state, b.handle)?[b.offset_bytes as usize..].to_vec();
        let out = &mut block(&mut state, c.handle)?[c.offset_bytes as usize..];
        if double {
            let read = |bytes: &[u8]| {
                bytes.as_chunks::<8>().0.iter().map(|x| f64::from_le_bytes(*x)).collect::<Vec<f64>>()
            };
            let result = product(g, &read(&left), &read(&right))?;
            write(out, result.iter().map(|x| x.to_le_bytes()))
        } else {
            let read = |bytes: &[u8]| {
                bytes
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|x| f64::from(f32::from_le_bytes(*x)))
                    .collect::<Vec<f64>>()
            };
            let result = product(g, &read(&left), &read(&right))?;
            write(out, result.iter().map(|x| (*x as f32).to_le_bytes()))
        }
    }
}

fn write<const N: usize>(out: &mut [u8], elements: impl Iterator<Item = [u8; N]>) -> Result<(), DeviceError> {
    for (to, from) in out.chunks_exact_mut(N).zip(elements) {
        to.copy_from_slice(&from);
    }
    Ok(())
}

fn product(g: &Gemm, a: &[f64], b: &[f64]) -> Result<Vec<f64>, DeviceError> {
    let (left, right) = (g.m * g.k, g.k * g.n);
    let need = |each: bool, one: usize| if each { one * g.batch } else { one };
    if a.len() < need(g.batched.0, left) || b.len() < need(g.batched.1, right) {
        return Err(DeviceError::Call("gemm: an operand is smaller than its shape".into()));
    }
    let mut c = vec![0.0; g.batch * g.m * g.n];
    for (i, c) in c.chunks_exact_mut((g.m * g.n).max(1)).enumerate() {
        let a = &a[if g.batched.0 { i * left } else { 0 }..];
        let b = &b[if g.batched.1 { i * right } else { 0 }..];
        for row in 0..g.m {
            for k in 0..g.k {
                let x = if g.transpose_a { a[k * g.m + row] } else { a[row * g.k + k] };
                for col in 0..g.n {
                    c[row * g.n + col] += x * if g.transpose_b { b[col * g.k + k] } else { b[k * g.n + col] };
                }
            }
        }
    }
    Ok(c)
}
