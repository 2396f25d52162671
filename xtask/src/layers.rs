//! The crate table of ARCHITECTURE.md, held against what the crates really depend on.

use crate::{step, tree};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Crates that a database must not compile when it embeds the client.
const NOT_IN_CLIENT: &[&str] = &["actix-web", "rusqlite", "libsqlite3-sys"];

/// This crate: it may have no row, and then depends on no other.
const TOOL: &str = "xtask";

/// Checks the table and the client.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let crates = workspace(&metadata(root)?)?;
    let table = table(&tree::read(root, "ARCHITECTURE.md")?)?;
    let mut found = check(&table, &crates);
    found.extend(client_pulls(&client_tree(root)?));
    for finding in &found {
        println!("{finding}");
    }
    match found.len() {
        0 => {
            println!(
                "layers: {} crates depend on what ARCHITECTURE.md says; the client is lean",
                crates.len()
            );
            Ok(())
        }
        n => Err(format!("layers: {n} broken rules")),
    }
}

/// A row: what a crate may depend on, always and in an optional feature.
#[derive(Debug, Default, PartialEq)]
struct Row {
    always: Vec<String>,
    optional: Vec<String>,
}

/// A crate of the workspace and its dependencies on others of it.
#[derive(Debug, Default)]
struct Member {
    normal: Vec<String>,
    optional: Vec<String>,
    dev: Vec<String>,
}

type Members = BTreeMap<String, Member>;

fn metadata(root: &Path) -> Result<Json, String> {
    let mut command = Command::new(step::cargo());
    command.current_dir(root).args(["metadata", "--no-deps", "--format-version", "1"]);
    serde_json::from_str(&step::output(&mut command)?).map_err(|e| format!("cargo metadata: {e}"))
}

fn client_tree(root: &Path) -> Result<String, String> {
    let mut command = Command::new(step::cargo());
    command.current_dir(root).args(["tree", "-p", "heliosdb-gpu-offload", "--no-default-features"]);
    step::output(command.args(["-e", "normal", "--prefix", "none"]))
}

fn client_pulls(tree: &str) -> Vec<String> {
    let has = |name: &&&str| tree.lines().any(|line| line.split(' ').next() == Some(**name));
    NOT_IN_CLIENT
        .iter()
        .filter(has)
        .map(|name| format!("without the feature server, {name} is compiled"))
        .collect()
}

fn workspace(metadata: &Json) -> Result<Members, String> {
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let name = |p: &Json| p["name"].as_str().map(str::to_owned);
    let ours: BTreeSet<String> = packages.iter().filter_map(name).collect();
    let mut members = Members::new();
    for package in packages {
        let mut member = Member::default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let Some(on) = name(dependency).filter(|n| ours.contains(n)) else { continue };
            match dependency["kind"].as_str() {
                Some("dev") => member.dev.push(on),
                _ if dependency["optional"] == true => member.optional.push(on),
                _ => member.normal.push(on),
            }
        }
        members.extend(name(package).map(|n| (n, member)));
    }
    Ok(members)
}

/// The rows of the table under `## Crates`, by the crate as it is written there.
fn table(text: &str) -> Result<BTreeMap<String, Row>, String> {
    let lines =
        text.lines().skip_while(|l| l.trim() != "## Crates").skip(1).take_while(|l| !l.starts_with("## "));
    let mut rows =
        lines.map(str::trim).skip_while(|l| !l.starts_with('|')).take_while(|l| l.starts_with('|'));
    let head: Vec<&str> = rows.next().map(cells).unwrap_or_default();
    let column = |name: &str| head.iter().position(|cell| *cell == name);
    let (Some(of), Some(on)) = (column("crate"), column("may depend on")) else {
        return Err("ARCHITECTURE.md has no table `crate | may depend on` under `## Crates`".into());
    };
    let mut table = BTreeMap::new();
    for line in rows.skip(1) {
        let cells = cells(line);
        let (Some(of), Some(on)) = (cells.get(of), cells.get(on)) else {
            return Err(format!("the row {line} of ARCHITECTURE.md lacks a cell"));
        };
        let of = names(of).pop().ok_or_else(|| format!("the row {line} names no crate"))?;
        let (always, optional) = on.split_once("with feature").unwrap_or((on, ""));
        let optional = optional.split_once(':').map_or("", |(_, crates)| crates);
        table.insert(of, Row { always: names(always), optional: names(optional) });
    }
    Ok(table)
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

/// The crates that a cell names: `core` stands for `offload-core`, and what is in round brackets is a remark.
fn names(cell: &str) -> Vec<String> {
    let remark = |mut out: String, part: &str| {
        out.push_str(part.split_once(')').map_or("", |(_, after)| after));
        out
    };
    let mut parts = cell.split('(');
    let plain = parts.next().unwrap_or("").to_owned();
    let plain = parts.fold(plain, remark).replace('`', "");
    let words = plain.split([',', ' ']).filter(|w| !matches!(*w, "" | "and" | "–" | "—" | "-"));
    words
        .map(|word| match word {
            "families" | "ops-<family>" | "ops-*" => "offload-ops-*".to_owned(),
            TOOL => TOOL.to_owned(),
            _ if word.contains("offload") => word.to_owned(),
            _ => format!("offload-{word}"),
        })
        .collect()
}

/// Whether `name` is the crate, or one of the crates, that a cell names.
fn is(pattern: &str, name: &str) -> bool {
    pattern == name || pattern.strip_suffix('*').is_some_and(|stem| name.starts_with(stem))
}

fn check(table: &BTreeMap<String, Row>, members: &Members) -> Vec<String> {
    let mut found = Vec::new();
    for pattern in table.keys() {
        if !members.keys().any(|name| is(pattern, name)) {
            found.push(format!("ARCHITECTURE.md has a row for {pattern}, which is not in the workspace"));
        }
    }
    let tool = Row::default();
    for (name, member) in members {
        let row = table.iter().find(|(pattern, _)| is(pattern, name)).map(|(_, row)| row);
        let Some(row) = row.or((name == TOOL).then_some(&tool)) else {
            found.push(format!("{name} has no row in ARCHITECTURE.md"));
            continue;
        };
        let allowed = |on: &str, cells: &[String]| cells.iter().any(|pattern| is(pattern, on));
        for on in &member.normal {
            if !allowed(on, &row.always) {
                let why =
                    if allowed(on, &row.optional) { "outside its feature" } else { "which its row forbids" };
                found.push(format!("{name} depends on {on}, {why}"));
            }
        }
        for on in &member.optional {
            if !allowed(on, &row.always) && !allowed(on, &row.optional) {
                found.push(format!("{name} depends on {on}, which its row forbids"));
            }
        }
        for on in member.dev.iter().filter(|on| reaches(members, on, name)) {
            found.push(format!("the tests of {name} depend on {on}, which is built on {name}"));
        }
    }
    found
}

/// Whether `from` depends on `to`, perhaps through others.
fn reaches(members: &Members, from: &str, to: &str) -> bool {
    let mut todo = vec![from];
    let mut seen = BTreeSet::new();
    while let Some(name) = todo.pop() {
        if name == to {
            return true;
        }
        if seen.insert(name) {
            let next = members.get(name).into_iter().flat_map(|m| m.normal.iter().chain(&m.optional));
            todo.extend(next.map(String::as_str));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = "# Architecture\n\n## Crates\n\nWords.\n\n\
        | crate | what | may depend on |\n|---|---|---|\n\
        | `api` | wire | – |\n| `core` | words | api |\n| `ops-<family>` | work | api, core |\n\
        | `ops` | list | core, families |\n| `heliosdb-gpu-offload` (binary and facade) | it | api, and with feature `server`: core, ops |\n\
        \n## Else\n\n| crate | may depend on |\n|---|---|\n| `no` | – |\n";

    fn members(change: &[(&str, &str, Option<&str>, bool)]) -> Members {
        let mut all: BTreeMap<&str, Vec<Json>> = BTreeMap::new();
        let usual = [
            ("offload-api", "serde", None, false),
            ("offload-core", "offload-api", None, false),
            ("offload-ops-matrix", "offload-core", None, false),
            ("offload-ops", "offload-ops-matrix", None, false),
            ("heliosdb-gpu-offload", "offload-ops", None, true),
            ("xtask", "offload-core", Some("dev"), false),
        ];
        for (of, on, kind, optional) in usual.iter().chain(change) {
            all.entry(of).or_default().push(json!({"name": on, "kind": kind, "optional": optional}));
        }
        let packages: Vec<Json> =
            all.into_iter().map(|(name, on)| json!({"name": name, "dependencies": on})).collect();
        workspace(&json!({ "packages": packages })).unwrap()
    }

    fn findings(change: &[(&str, &str, Option<&str>, bool)]) -> String {
        check(&table(TEXT).unwrap(), &members(change)).join("\n")
    }

    #[test]
    fn the_table_is_read_as_it_is_written() {
        let table = table(TEXT).unwrap();
        assert_eq!(table.len(), 5);
        assert_eq!(table["offload-ops"].always, ["offload-core", "offload-ops-*"]);
        let binary = &table["heliosdb-gpu-offload"];
        assert_eq!(binary.always, ["offload-api"]);
        assert_eq!(binary.optional, ["offload-core", "offload-ops"]);
        assert!(super::table("# Architecture\n").unwrap_err().contains("no table"));
    }

    #[test]
    fn what_the_table_says_passes() {
        assert_eq!(findings(&[]), "");
    }

    #[test]
    fn what_it_does_not_say_is_found() {
        let back = findings(&[("offload-core", "offload-ops", None, false)]);
        assert_eq!(back, "offload-core depends on offload-ops, which its row forbids");
        let always = findings(&[("heliosdb-gpu-offload", "offload-core", None, false)]);
        assert_eq!(always, "heliosdb-gpu-offload depends on offload-core, outside its feature");
        let tool = findings(&[("xtask", "offload-api", None, false)]);
        assert_eq!(tool, "xtask depends on offload-api, which its row forbids");
    }

    #[test]
    fn tests_may_go_further_but_not_in_a_circle() {
        assert_eq!(findings(&[("offload-ops", "offload-api", Some("dev"), false)]), "");
        let circle = findings(&[("offload-core", "offload-ops", Some("dev"), false)]);
        assert_eq!(circle, "the tests of offload-core depend on offload-ops, which is built on offload-core");
    }

    #[test]
    fn rows_and_crates_match_one_to_one() {
        assert_eq!(
            findings(&[("offload-new", "serde", None, false)]),
            "offload-new has no row in ARCHITECTURE.md"
        );
        let text = TEXT.replace("| `ops` |", "| `gone` | x | – |\n| `ops` |");
        let found = check(&table(&text).unwrap(), &members(&[]));
        assert_eq!(found, ["ARCHITECTURE.md has a row for offload-gone, which is not in the workspace"]);
    }

    #[test]
    fn a_fat_client_is_found() {
        assert!(client_pulls("serde v1\nactix-web-codegen v4\n").is_empty());
        assert_eq!(client_pulls("serde v1\nactix-web v4.18.0\nrusqlite v0.43 (*)\n").len(), 2);
    }
}
