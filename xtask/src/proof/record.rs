//! What was proven before, in a file of the repository: each result under a hash of all that it depends on.
//!
//! A text that changed, or was never proven, is proven. Of the rest a run of the tests proves a small part anew, chosen by
//! chance, so that a record that does not hold is noticed; `cargo xtask gpu-proof` leaves the record aside.

use super::cell::Cell;
use serde_json::{Map, Value};
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};

/// Where it is, relative to the repository.
const RECORD: &str = "xtask/proven.json";

/// A test proves one of so many recorded results of its prover anew.
const ONE_IN: u64 = 8;

/// Who proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prover {
    Nvidia,
    Amd,
    Simulator,
}

/// What of the record is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Nothing: everything is proven.
    Nothing,
    /// All but a part, chosen by chance.
    MostOfIt,
}

/// The recorded results.
pub(super) struct Record {
    path: PathBuf,
    before: Map<String, Value>,
    now: Map<String, Value>,
    trust: Trust,
    /// Chosen anew by each run.
    chance: RandomState,
    pub(super) believed: usize,
    pub(super) proven: usize,
}

/// A result's name: what it is of, and a hash of all that it depends on.
pub(super) fn key(what: &str, parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let hash = hasher.finalize().to_hex();
    format!("{what} {}", &hash[..16])
}

impl Record {
    /// What the repository has; nothing, if it has none.
    pub(super) fn open(root: &Path, trust: Trust) -> Result<Record, String> {
        let path = root.join(RECORD);
        let before = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?,
            Err(_) => Map::new(),
        };
        let chance = RandomState::new();
        Ok(Record { path, before, now: Map::new(), trust, chance, believed: 0, proven: 0 })
    }

    /// A result that is believed.
    pub(super) fn get(&mut self, prover: Prover, key: &str) -> Option<Value> {
        if self.trust == Trust::Nothing || self.is_chosen(prover, key) {
            return None;
        }
        let found = self.before.get(key)?.clone();
        self.believed += 1;
        self.now.insert(key.to_owned(), found.clone());
        Some(found)
    }

    /// Whether this run proves this anew. One prover in a run, so that only its tools are needed.
    fn is_chosen(&self, prover: Prover, key: &str) -> bool {
        let provers = [Prover::Nvidia, Prover::Amd, Prover::Simulator];
        let turn = provers[(self.chance.hash_one("prover") % 3) as usize];
        turn == prover && self.chance.hash_one(key).is_multiple_of(ONE_IN)
    }

    /// Records a result.
    pub(super) fn put(&mut self, key: &str, value: Value) {
        self.proven += 1;
        self.now.insert(key.to_owned(), value);
    }

    /// A field that is believed.
    pub(super) fn cell(&mut self, prover: Prover, key: &str) -> Option<Cell> {
        self.get(prover, key).as_ref().and_then(Cell::from_json)
    }

    /// Records a field, if it is good.
    pub(super) fn put_cell(&mut self, key: &str, cell: &Cell) {
        if cell.fault.is_none() {
            self.put(key, cell.to_json());
        }
    }

    /// Writes everything, for a run that ends early.
    pub(super) fn save(&self) -> Result<(), String> {
        let mut all = self.before.clone();
        all.extend(self.now.clone());
        self.write(all)
    }

    /// Writes what this run believed or proved, the rest being of texts that are gone.
    pub(super) fn close(mut self) -> Result<(), String> {
        let now = std::mem::take(&mut self.now);
        if now.keys().any(|k| !self.before.contains_key(k)) || now.len() < self.before.len() {
            println!("{RECORD} has changed: it belongs into the commit");
        }
        self.write(now)
    }

    fn write(&self, mut what: Map<String, Value>) -> Result<(), String> {
        what.sort_keys();
        // A tool of another release counts other registers; that alone is no change.
        for (key, value) in &mut what {
            if let (Trust::MostOfIt, Some(before)) = (self.trust, self.before.get(key)) {
                value.clone_from(before);
            }
        }
        let text = serde_json::to_string_pretty(&what).map_err(|e| e.to_string())? + "\n";
        if fs::read_to_string(&self.path).is_ok_and(|t| t == text) {
            return Ok(());
        }
        fs::write(&self.path, text).map_err(|e| format!("{}: {e}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Scratch;

    #[test]
    fn only_good_fields_are_recorded_and_parts_do_not_run_together() {
        assert_ne!(key("k", &[b"ab", b"c"]), key("k", &[b"a", b"bc"]));
        assert_eq!(key("k sm_90", &[b"a"]), "k sm_90 57feb47890e14cae", "the same on every machine");
        let s = Scratch::new("record");
        s.write("xtask/proven.json", "{\"gone\": \"1\"}\n");
        let mut record = Record::open(&s.0, Trust::Nothing).unwrap();
        record.put_cell("good", &Cell::good("72"));
        record.put_cell("bad", &Cell::bad("it spills"));
        record.close().unwrap();
        assert_eq!(crate::tree::read(&s.0, RECORD).unwrap(), "{\n  \"good\": \"72\"\n}\n");
    }

    #[test]
    fn a_part_of_one_provers_results_is_proven_anew_and_all_where_nothing_is_believed() {
        let s = Scratch::new("trust");
        let keys: Vec<String> = (0..800).map(|n| format!("k{n}")).collect();
        let lines: Map<String, Value> = keys.iter().map(|k| (k.clone(), "1".into())).collect();
        s.write("xtask/proven.json", &Value::Object(lines).to_string());
        let missing = |trust| {
            let mut record = Record::open(&s.0, trust).unwrap();
            [Prover::Nvidia, Prover::Amd, Prover::Simulator]
                .map(|p| keys.iter().filter(|k| record.cell(p, k).is_none()).count())
        };
        assert_eq!(missing(Trust::Nothing), [800; 3]);
        let mut few = missing(Trust::MostOfIt);
        few.sort_unstable();
        assert_eq!(few[..2], [0, 0]);
        assert!((40..200).contains(&few[2]), "{few:?}");
        let mut record = Record::open(&s.0, Trust::MostOfIt).unwrap();
        assert_eq!(record.cell(Prover::Amd, "of another text"), None);
    }
}
