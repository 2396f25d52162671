//! Rows by their key: which are replaced, which are new, which go.

use offload_api::{Column, Data, Run};
use std::collections::HashMap;

/// What names a row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Key<'a> {
    Whole(i128),
    Text(&'a [u8]),
}

impl Key<'_> {
    /// As a caller reads it.
    pub(super) fn shown(&self) -> String {
        match self {
            Key::Whole(n) => n.to_string(),
            Key::Text(t) => String::from_utf8_lossy(t).chars().take(64).collect(),
        }
    }
}

/// Whether rows can be named by such a column.
pub(super) fn is_key(column: &Column) -> bool {
    match column {
        Column::Text(_) => true,
        Column::Tensor(t) => t.shape().len() == 1 && !t.dtype().is_real(),
    }
}

fn key(column: &Column, row: usize) -> Key<'_> {
    match column {
        Column::Text(t) => Key::Text(t.get(row)),
        Column::Tensor(t) => match t.data() {
            Data::I32(b) => Key::Whole(b[row].into()),
            Data::I64(b) => Key::Whole(b[row].into()),
            Data::U8(b) => Key::Whole(b[row].into()),
            Data::U64(b) => Key::Whole(b[row].into()),
            // Refused by `is_key` before.
            Data::F32(_) | Data::F64(_) => Key::Whole(0),
        },
    }
}

/// The rows of a column by their keys.
///
/// # Errors
/// The second row of a key that is there twice.
pub(super) fn index(column: &Column) -> Result<HashMap<Key<'_>, usize>, usize> {
    let mut index = HashMap::with_capacity(column.rows());
    for row in 0..column.rows() {
        if index.insert(key(column, row), row).is_some() {
            return Err(row);
        }
    }
    Ok(index)
}

/// The first row of `index` whose key one of `columns` has.
pub(super) fn first_met<'a>(
    columns: &'a [Column],
    index: &HashMap<Key<'a>, usize>,
) -> Option<(Key<'a>, usize)> {
    let rows = columns.iter().flat_map(|c| (0..c.rows()).map(move |row| key(c, row)));
    let met = rows.filter_map(|k| index.get(&k).map(|row| (k, *row)));
    met.min_by_key(|(_, row)| *row)
}

/// Adds a row to runs, lengthening the last where it goes on.
fn push(runs: &mut Vec<Run>, source: usize, row: usize) {
    match runs.last_mut() {
        Some(last) if last.source == source && last.rows.end == row => last.rows.end += 1,
        _ => runs.push(Run { source, rows: row..row + 1 }),
    }
}

/// All rows of `old`, those with a key of `index` replaced by the row of `new` (the source behind the old ones), and
/// then the rows of `new` whose keys are new. Says how many were replaced as well.
pub(super) fn upserted(old: &[Column], new: &Column, index: &HashMap<Key<'_>, usize>) -> (Vec<Run>, usize) {
    let mut runs = Vec::new();
    let mut used = vec![false; new.rows()];
    for (source, column) in old.iter().enumerate() {
        for row in 0..column.rows() {
            match index.get(&key(column, row)) {
                Some(&with) => {
                    used[with] = true;
                    push(&mut runs, old.len(), with);
                }
                None => push(&mut runs, source, row),
            }
        }
    }
    let replaced = used.iter().filter(|u| **u).count();
    used.iter().enumerate().filter(|(_, u)| !**u).for_each(|(row, _)| push(&mut runs, old.len(), row));
    (runs, replaced)
}

/// All rows of `old` but those with a key of `index`, and how many those are.
pub(super) fn without(old: &[Column], index: &HashMap<Key<'_>, usize>) -> (Vec<Run>, usize) {
    let mut runs = Vec::new();
    let mut gone = 0;
    for (source, column) in old.iter().enumerate() {
        for row in 0..column.rows() {
            if index.contains_key(&key(column, row)) {
                gone += 1;
            } else {
                push(&mut runs, source, row);
            }
        }
    }
    (runs, gone)
}

/// All rows of `columns`.
pub(super) fn everything(columns: &[Column]) -> Vec<Run> {
    columns.iter().enumerate().map(|(source, c)| Run { source, rows: 0..c.rows() }).collect()
}
