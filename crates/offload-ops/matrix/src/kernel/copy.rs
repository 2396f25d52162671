//! Transposed copies in tiles, so that neither side is walked across cache lines.

use faer::MatRef;

/// Entries of a side of a tile: two tiles of `f64` stay in the first-level cache.
const TILE: usize = 32;

/// Writes the transpose of the row-major `rows × columns` matrix `from`, row-major, to `to`.
pub(crate) fn transpose<T: Copy>(from: &[T], rows: usize, columns: usize, to: &mut [T]) {
    transpose_rows(from, rows, columns, 0, to);
}

/// Writes the rows of the transpose from `first` on, as many as `to` holds: columns `first…` of `from`.
pub(crate) fn transpose_rows<T: Copy>(from: &[T], rows: usize, columns: usize, first: usize, to: &mut [T]) {
    if rows == 0 || columns == 0 {
        return;
    }
    let count = to.len() / rows;
    for i in (0..rows).step_by(TILE) {
        let tile_rows = TILE.min(rows - i);
        for j in (0..count).step_by(TILE) {
            for jj in j..count.min(j + TILE) {
                let target = &mut to[jj * rows + i..][..tile_rows];
                for (k, t) in target.iter_mut().enumerate() {
                    *t = from[(i + k) * columns + first + jj];
                }
            }
        }
    }
}

/// Transposes a square matrix where it lies.
pub(crate) fn transpose_square<T: Copy>(a: &mut [T], n: usize) {
    for i in (0..n).step_by(TILE) {
        for j in (i..n).step_by(TILE) {
            for ii in i..n.min(i + TILE) {
                let from = if i == j { ii + 1 } else { j };
                for jj in from..n.min(j + TILE) {
                    a.swap(ii * n + jj, jj * n + ii);
                }
            }
        }
    }
}

/// Writes a matrix of any strides row-major to `to`.
pub(crate) fn write_rows<T: Copy>(from: MatRef<'_, T>, to: &mut [T]) {
    let (rows, columns) = (from.nrows(), from.ncols());
    if from.row_stride() == 1 {
        for j in (0..columns).step_by(TILE) {
            for i in (0..rows).step_by(TILE) {
                for ii in i..rows.min(i + TILE) {
                    let end = columns.min(j + TILE);
                    for (k, t) in to[ii * columns + j..ii * columns + end].iter_mut().enumerate() {
                        *t = from[(ii, j + k)];
                    }
                }
            }
        }
    } else {
        for (i, row) in to.chunks_mut(columns.max(1)).enumerate() {
            for (j, t) in row.iter_mut().enumerate() {
                *t = from[(i, j)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_transposing_agrees() {
        for (rows, columns) in [(1, 1), (3, 5), (32, 33), (70, 70), (1, 100), (100, 1), (0, 4)] {
            let a: Vec<usize> = (0..rows * columns).collect();
            let mut want = vec![0; rows * columns];
            for i in 0..rows {
                for j in 0..columns {
                    want[j * rows + i] = a[i * columns + j];
                }
            }
            let mut got = vec![0; rows * columns];
            transpose(&a, rows, columns, &mut got);
            assert_eq!(got, want);
            write_rows(MatRef::from_column_major_slice(&a, columns, rows), &mut got);
            assert_eq!(got, want);
            if rows == columns {
                let mut square = a.clone();
                transpose_square(&mut square, rows);
                assert_eq!(square, want);
            }
        }
    }
}
