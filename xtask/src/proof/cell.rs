//! One field of the proof's table, and the table.

use super::allow;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What was found for a kernel and a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// As the table shows it.
    pub(super) shown: String,
    /// What is wrong, if anything.
    pub(super) fault: Option<String>,
}

/// What a compiler says of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) registers: u64,
    pub(super) spilled: u64,
}

impl Cell {
    /// Nothing is wrong.
    pub(super) fn good(shown: impl Into<String>) -> Cell {
        Cell { shown: shown.into(), fault: None }
    }

    /// Something is.
    pub(super) fn bad(fault: impl Into<String>) -> Cell {
        Cell { shown: "FAILED".into(), fault: Some(fault.into()) }
    }

    /// From what a compiler said of each entry: the most registers, and no spills but those that are allowed.
    pub(super) fn of_entries(kernel: &str, target: &str, wanted: &[String], got: &[Entry]) -> Cell {
        if let Some(missing) = wanted.iter().find(|w| got.iter().all(|e| e.name != **w)) {
            return Cell::bad(format!("the compiler made no entry {missing}"));
        }
        let registers = got.iter().map(|e| e.registers).max().unwrap_or(0);
        let spilled: u64 = got.iter().map(|e| e.spilled).sum();
        let limit = allow::limit(kernel, target);
        if spilled > limit {
            let which: Vec<_> = got.iter().filter(|e| e.spilled > 0).map(|e| e.name.as_str()).collect();
            return Cell::bad(format!("{spilled} spilled of at most {limit}, in {}", which.join(", ")));
        }
        let allowed = if spilled > 0 { format!(" ({spilled} spilled)") } else { String::new() };
        Cell::good(format!("{registers}{allowed}"))
    }

    /// For the cache.
    pub(super) fn to_json(&self) -> Value {
        json!(self.shown)
    }

    /// From the cache, where only good ones are.
    pub(super) fn from_json(value: &Value) -> Option<Cell> {
        value.as_str().map(Cell::good)
    }
}

/// Kernels down, targets across.
pub(super) struct Table {
    columns: Vec<&'static str>,
    rows: BTreeMap<String, BTreeMap<&'static str, Cell>>,
}

impl Table {
    /// No field is filled yet.
    pub(super) fn new(kernels: impl IntoIterator<Item = String>, columns: Vec<&'static str>) -> Table {
        Table { columns, rows: kernels.into_iter().map(|k| (k, BTreeMap::new())).collect() }
    }

    /// Fills a field.
    pub(super) fn put(&mut self, kernel: &str, column: &'static str, cell: Cell) {
        self.rows.entry(kernel.to_owned()).or_default().insert(column, cell);
    }

    /// As text.
    pub(super) fn shown(&self) -> String {
        let field =
            |row: &BTreeMap<&str, Cell>, c: &str| row.get(c).map_or("", |x| x.shown.as_str()).to_owned();
        let first = self.rows.keys().map(String::len).max().unwrap_or(0).max("kernel".len());
        let widths: Vec<usize> = self
            .columns
            .iter()
            .map(|c| self.rows.values().map(|r| field(r, c).len()).max().unwrap_or(0).max(c.len()))
            .collect();
        let line = |name: &str, fields: Vec<String>| {
            let fields = fields.iter().zip(&widths).map(|(f, w)| format!("  {f:>w$}")).collect::<String>();
            format!("{name:<first$}{fields}\n")
        };
        let mut out = line("kernel", self.columns.iter().map(|c| (*c).to_owned()).collect());
        for (name, row) in &self.rows {
            out.push_str(&line(name, self.columns.iter().map(|c| field(row, c)).collect()));
        }
        out
    }

    /// Everything that is wrong, a field that was never filled included.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, row) in &self.rows {
            for column in &self.columns {
                match row.get(column) {
                    None => faults.push(format!("{name}, {column}: nothing was proven")),
                    Some(Cell { fault: Some(why), .. }) => faults.push(format!("{name}, {column}: {why}")),
                    Some(_) => {}
                }
            }
        }
        if self.rows.is_empty() {
            faults.push("there are no kernels".into());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, registers: u64, spilled: u64) -> Entry {
        Entry { name: name.into(), registers, spilled }
    }

    #[test]
    fn a_spill_or_a_missing_entry_is_a_fault() {
        let wanted = ["a_b".to_owned(), "a_c".to_owned()];
        let of = |got: &[Entry]| Cell::of_entries("a", "sm_90", &wanted, got);
        assert_eq!(of(&[entry("a_b", 40, 0), entry("a_c", 72, 0)]), Cell::good("72"));
        assert!(of(&[entry("a_b", 40, 0)]).fault.is_some_and(|f| f.contains("a_c")));
        let spills = of(&[entry("a_b", 40, 0), entry("a_c", 255, 8)]);
        assert!(spills.fault.is_some_and(|f| f.contains("8 spilled") && f.contains("a_c")));
    }

    #[test]
    fn a_field_that_nothing_fills_is_a_fault() {
        let mut table = Table::new(["k_f32".to_owned(), "k_f64".to_owned()], vec!["PoCL", "sm_90"]);
        table.put("k_f32", "PoCL", Cell::good("3"));
        table.put("k_f32", "sm_90", Cell::bad("it spills"));
        table.put("k_f64", "PoCL", Cell::good("4"));
        let wrong = table.faults();
        assert_eq!(wrong, ["k_f32, sm_90: it spills", "k_f64, sm_90: nothing was proven"]);
        assert!(
            table.shown().lines().nth(1).is_some_and(|l| l.starts_with("k_f32") && l.ends_with("FAILED"))
        );
        assert!(!Table::new([], vec!["PoCL"]).faults().is_empty());
    }
}
