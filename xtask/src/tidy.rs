//! The rules of STYLE.md that no compiler holds.

use crate::source::{self, Source, is_word, line_of, words};
use crate::{stages, tree};
use std::path::Path;

const MAX_LINES: usize = 600;

/// Code that says work is not done, or that a test does not run.
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "#[ignore"];

/// Module names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helper", "helpers", "common", "manager", "misc"];

/// The one crate whose work needs `unsafe`.
const UNSAFE_CRATE: &str = "crates/offload-devices/";

/// Endings of configuration keys, and the word their comment must hold.
const UNITS: &[(&str, &str)] = &[
    ("_ms", "millisecond"),
    ("_us", "microsecond"),
    ("_seconds", "second"),
    ("_days", "day"),
    ("_bytes", "byte"),
    ("_percent", "percent"),
];

/// Checks the whole tree and prints what breaks a rule.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let files = tree::files(root)?;
    let mut found = Vec::new();
    let mut sources = 0;
    for path in &files {
        if path.ends_with(".rs") {
            let text = tree::read(root, path)?;
            found.extend(rust_file(path, &text));
            found.extend(operation_folder(path, &text, &files));
            sources += 1;
        } else if path == "config/offload.toml" {
            found.extend(config(path, &tree::read(root, path)?));
        }
    }
    for finding in &found {
        println!("{finding}");
    }
    match found.len() {
        0 => {
            println!("tidy: {sources} source files, nothing to complain about");
            Ok(())
        }
        n => Err(format!("tidy: {n} broken rules")),
    }
}

/// The rules for one source file.
fn rust_file(path: &str, text: &str) -> Vec<String> {
    let Source { code, comments } = source::split(text);
    let mut found = Vec::new();
    let mut say = |line: usize, what: String| found.push(format!("{path}:{line}: {what}"));

    if !text.starts_with("//!") {
        say(1, "a file starts with //! and says what it is for".into());
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        say(MAX_LINES + 1, format!("{lines} lines, a file has at most {MAX_LINES}: split it by idea"));
    }
    for needle in UNFINISHED {
        for at in words(&code, needle) {
            say(line_of(&code, at), format!("{needle} is not committed: finish it, or leave it out"));
        }
    }
    for at in words(&comments, "FIXME") {
        say(line_of(&comments, at), "FIXME is not committed: fix it, or write it down as a known gap".into());
    }
    for (line, what) in unsafe_code(path, &code, &comments) {
        say(line, what);
    }
    for (line, what) in stages::backward(path, &code) {
        say(line, what);
    }
    for (line, name) in modules(path, &code) {
        if EMPTY_NAMES.contains(&name) {
            say(line, format!("a module named {name} says nothing of what is inside"));
        }
    }
    found
}

fn unsafe_code(path: &str, code: &str, comments: &str) -> Vec<(usize, String)> {
    let notes: Vec<&str> = comments.lines().collect();
    let body: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for at in words(code, "unsafe") {
        let line = line_of(code, at);
        if !path.starts_with(UNSAFE_CRATE) {
            found.push((line, format!("unsafe belongs in {UNSAFE_CRATE} alone")));
            continue;
        }
        // The comment is on the line, or in the block of comments and attributes right above the statement.
        let above = (0..line - 1)
            .rev()
            .take_while(|&i| {
                let code = body.get(i).map_or("", |l| l.trim());
                let bare = code.is_empty() && notes.get(i).is_some_and(|n| !n.trim().is_empty());
                bare || code.starts_with('#') || code.ends_with('=') || code.ends_with('(')
            })
            .chain([line - 1]);
        let said = |i: usize| notes.get(i).is_some_and(|n| n.contains("SAFETY:") || n.contains("# Safety"));
        if !above.into_iter().any(said) {
            found.push((line, "unsafe without a SAFETY: comment that says why it holds".into()));
        }
    }
    found
}

/// The modules a file is or declares.
fn modules<'a>(path: &'a str, code: &'a str) -> Vec<(usize, &'a str)> {
    let mut parts = path.rsplit('/');
    let file = parts.next().unwrap_or(path).trim_end_matches(".rs");
    let own = if file == "mod" { parts.next().unwrap_or(file) } else { file };
    let declared = words(code, "mod").filter_map(|at| {
        let rest = code[at + 3..].trim_start();
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        (rest[end..].trim_start().starts_with('{')).then(|| (line_of(code, at), &rest[..end]))
    });
    [(1, own)].into_iter().chain(declared).collect()
}

/// An operation's folder holds all that an operation owns.
fn operation_folder(path: &str, text: &str, files: &[String]) -> Vec<String> {
    let Some(folder) = path.strip_suffix("/mod.rs").filter(|f| f.starts_with("crates/offload-ops/")) else {
        return Vec::new();
    };
    let code = source::split(text).code;
    if words(&code, "Operation for").next().is_none() {
        return Vec::new();
    }
    let missing = |name: &&str| !files.contains(&format!("{folder}/{name}"));
    let say = |name| format!("{folder}: an operation has a {name}");
    ["cpu.rs", "cases.rs", "doc.md"].into_iter().filter(missing).map(say).collect()
}

/// Every key has a comment right above it, with the unit of its value.
fn config(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut comment = String::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(words) = line.strip_prefix('#') {
            comment.push_str(words);
            continue;
        }
        if let Some((key, _)) = line.split_once('=').filter(|(key, _)| !key.starts_with('[')) {
            let key = key.trim();
            let unit = UNITS.iter().find(|(ending, _)| key.ends_with(ending));
            if comment.trim().is_empty() {
                found.push(format!("{path}:{}: the key {key} has no comment above it", i + 1));
            } else if let Some((_, unit)) = unit.filter(|(_, unit)| !comment.to_lowercase().contains(unit)) {
                found.push(format!("{path}:{}: the comment of {key} does not say {unit}s", i + 1));
            }
        }
        comment.clear();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(path: &str, text: &str) -> String {
        rust_file(path, &format!("//! A file.\n{text}")).join("\n")
    }

    #[test]
    fn a_clean_file_passes() {
        let text =
            "use std::fs;\n/// Says \"todo!\" and FIXME in a text.\nfn f() { g(\"FIXME todo!() unsafe\") }\n";
        assert_eq!(broken("crates/a/src/lib.rs", &text.replace("and FIXME", "")), "");
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        assert!(rust_file("src/a.rs", "fn f() {}\n")[0].contains("starts with //!"));
    }

    #[test]
    fn a_long_file_is_split() {
        assert_eq!(broken("src/a.rs", &"\n".repeat(599)), "");
        assert!(broken("src/a.rs", &"\n".repeat(600)).starts_with("src/a.rs:601: 601 lines"));
    }

    #[test]
    fn unfinished_work_is_not_committed() {
        for code in ["fn f() { todo!() }", "fn f() { unimplemented!(\"x\") }", "#[ignore]\nfn f() {}"] {
            assert!(broken("src/a.rs", code).contains("is not committed"), "{code}");
        }
        assert!(broken("src/a.rs", "fn f() {} // FIXME: later").contains("src/a.rs:2: FIXME"));
        assert_eq!(broken("src/a.rs", "fn not_todo() {}"), "");
    }

    #[test]
    fn unsafe_stays_in_its_crate_and_says_why() {
        let bare = "fn f() { unsafe { g() } }";
        assert!(broken("crates/offload-core/src/a.rs", bare).contains("belongs in"));
        assert!(broken("crates/offload-devices/src/a.rs", bare).contains("without a SAFETY:"));
        let said = "fn f() {\n    // SAFETY: g has no preconditions\n    // on this platform.\n    unsafe { g() }\n}";
        assert_eq!(broken("crates/offload-devices/src/a.rs", said), "");
        assert!(broken("crates/offload-core/src/a.rs", said).contains("belongs in"));
        let assigned = "fn f() {\n    // SAFETY: as above.\n    let x =\n        unsafe { g() };\n}";
        assert_eq!(broken("crates/offload-devices/src/a.rs", assigned), "");
        let far = "// SAFETY: of something else.\nfn f() {}\nfn g() { unsafe { h() } }";
        assert!(broken("crates/offload-devices/src/a.rs", far).contains("without a SAFETY:"));
        assert_eq!(broken("crates/offload-core/src/a.rs", "#![forbid(unsafe_code)]"), "");
    }

    #[test]
    fn module_names_say_what_is_inside() {
        assert!(broken("src/utils.rs", "").contains("named utils"));
        assert!(broken("src/common/mod.rs", "").contains("named common"));
        assert!(broken("src/a.rs", "mod helper {\n}").contains("src/a.rs:2: a module named helper"));
        assert_eq!(broken("src/commons.rs", "mod helping {}"), "");
    }

    #[test]
    fn stages_flow_one_way() {
        let path = "crates/offload-pipeline/src/admit/gate.rs";
        assert!(broken(path, "use crate::run::Task;").contains("gate.rs:2: the stage admit uses run::Task"));
    }

    #[test]
    fn an_operation_folder_is_complete() {
        let path = "crates/offload-ops/matrix/src/norm/mod.rs";
        let files = ["mod.rs", "cpu.rs"].map(|f| format!("crates/offload-ops/matrix/src/norm/{f}"));
        let found = operation_folder(path, "impl Operation for Norm {}", &files);
        assert_eq!(found.len(), 2);
        assert!(found[0].ends_with("has a cases.rs") && found[1].ends_with("has a doc.md"));
        assert!(operation_folder(path, "// impl Operation for Norm", &files).is_empty());
        assert!(operation_folder("src/norm/mod.rs", "impl Operation for Norm {}", &files).is_empty());
    }

    #[test]
    fn a_setting_has_a_comment_with_its_unit() {
        let text = "[a]\n# Milliseconds to wait.\nwait_ms = 3\n\nbare = 1\n# How long.\nlife_seconds = 2\n";
        let found = config("c.toml", text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("c.toml:5: the key bare has no comment"));
        assert!(found[1].starts_with("c.toml:7: the comment of life_seconds does not say seconds"));
    }
}
