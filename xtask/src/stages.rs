//! The pipeline flows one way: a stage may use earlier stages, never a later one.

use crate::source::{is_word, line_of};

/// What a stage may use: everything before it. `records` is vocabulary below all stages, `data` holds the resident
/// datasets that admission names, `engine` joins them.
const ORDER: &[&str] = &["records", "data", "admit", "cache", "dispatch", "place", "run", "settle", "engine"];

/// Uses of a later stage that are allowed, with the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "admit",
    "dispatch::Limits",
    "plain figures of a tenant: admission fills them in from the tenant's quota and the dispatcher enforces them",
)];

/// Where the stages are.
pub(crate) const FOLDER: &str = "crates/offload-pipeline/src/";

/// Uses of a later stage in the code of one file, as line and message. `path` is relative to the repository.
pub(crate) fn backward(path: &str, code: &str) -> Vec<(usize, String)> {
    let Some(rest) = path.strip_prefix(FOLDER) else { return Vec::new() };
    let parts: Vec<&str> = rest.split('/').collect();
    let stage = parts[0].trim_end_matches(".rs");
    let Some(rank) = ORDER.iter().position(|s| *s == stage) else { return Vec::new() };
    let depth = parts.len() - usize::from(parts.last() == Some(&"mod.rs"));
    let mut found = Vec::new();
    for (at, path) in from_root(code, depth) {
        let mut names = path.split("::");
        let Some(to) = names.next() else { continue };
        let Some(later) = ORDER.iter().position(|s| *s == to) else { continue };
        let item = names.next().map_or_else(|| to.to_owned(), |name| format!("{to}::{name}"));
        if later > rank && !EXCEPTIONS.iter().any(|(from, allowed, _)| *from == stage && *allowed == item) {
            found.push((line_of(code, at), format!("the stage {stage} uses {item}, which comes after it")));
        }
    }
    found
}

/// Every path in the code that starts at the crate's root, without the root, with lists in braces written out.
fn from_root(code: &str, depth: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for root in ["crate::".to_owned(), "super::".repeat(depth)] {
        for (at, _) in code.match_indices(&root) {
            let joined = code[..at].chars().next_back().is_some_and(|c| is_word(c) || c == ':');
            if !joined {
                let tail: String = code[at + root.len()..].split(';').next().unwrap_or("").into();
                let tail: String = tail.split_whitespace().collect::<Vec<_>>().join(" ");
                expand("", &tail, &mut |path| found.push((at, path)));
            }
        }
    }
    found
}

/// Writes `a::{b, c::d}` out as `a::b` and `a::c::d`.
fn expand(before: &str, tail: &str, put: &mut dyn FnMut(String)) {
    let end = tail.find(|c: char| !is_word(c) && c != ':').unwrap_or(tail.len());
    let (head, rest) = tail.split_at(end);
    if !(head.is_empty() || head.ends_with("::")) || !rest.starts_with('{') {
        return put(format!("{before}{head}"));
    }
    let mut depth = 0;
    let mut start = 1;
    for (i, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (c == ',' && depth == 1) || depth == 0 {
            let item = rest[start..i].trim();
            if !item.is_empty() {
                expand(&format!("{before}{head}"), item, put);
            }
            start = i + 1;
        }
        if depth == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, code: &str) -> Vec<usize> {
        backward(&format!("{FOLDER}{path}"), code).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn earlier_stages_and_vocabulary_may_be_used() {
        assert!(lines("run/cpu.rs", "use crate::dispatch::LaneId;\nuse crate::records::Quota;").is_empty());
        assert!(lines("engine/flow.rs", "use crate::{admit::Gate, settle::Answer};").is_empty());
        assert!(lines("dispatch/scan.rs", "use super::place;\nuse super::run::x;").is_empty());
    }

    #[test]
    fn later_stages_may_not() {
        assert_eq!(lines("cache/results.rs", "use std::sync::Arc;\nuse crate::run::Task;"), [2]);
        assert_eq!(lines("admit/mod.rs", "fn f() { super::settle::told() }"), [1]);
        assert_eq!(lines("admit/price.rs", "use super::super::place::Ledger;"), [1]);
        assert_eq!(
            lines("cache/key.rs", "use crate::{\n    admit::Admitted,\n    place::{Ledger, Places},\n};"),
            [1, 1]
        );
        assert_eq!(lines("records/key.rs", "use crate::admit::Caller;"), [1]);
        assert_eq!(lines("settle/outcome.rs", "type E = crate::engine::Engine;"), [1]);
    }

    #[test]
    fn an_exception_covers_its_item_alone() {
        assert!(lines("admit/request.rs", "use crate::dispatch::Limits;").is_empty());
        assert_eq!(lines("admit/request.rs", "use crate::dispatch::{Limits, Dispatcher};"), [1]);
        assert_eq!(lines("cache/mod.rs", "use crate::dispatch::Limits;"), [1]);
        assert!(EXCEPTIONS.iter().all(|(_, _, reason)| !reason.is_empty()));
    }
}
