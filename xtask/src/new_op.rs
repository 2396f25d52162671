//! `new-op vector.knn`: the folder of a new operation, and its line in the family's list.
//!
//! The template is an operation that works, and this crate's tests compile and run it as it stands.

use crate::tree;
use std::fs;
use std::path::Path;

/// Where the families are.
const FAMILIES: &str = "crates/offload-ops";

/// How a family's list begins, in its `lib.rs`.
const LIST: &str = "offload_core::operations! {";

/// The files of the template, in which `template_family`, `template_op` and `TemplateOp` stand for the names.
const TEMPLATE: &[(&str, &str)] = &[
    ("mod.rs", include_str!("../template/mod.rs")),
    ("cpu.rs", include_str!("../template/cpu.rs")),
    ("cases.rs", include_str!("../template/cases.rs")),
    ("doc.md", include_str!("../template/doc.md")),
];

/// Words that cannot name a module.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

/// Writes the operation `family.name` and says what comes next.
pub(crate) fn run(root: &Path, full_name: &str) -> Result<(), String> {
    let (family, name) = full_name
        .split_once('.')
        .ok_or_else(|| format!("{full_name} is not FAMILY.NAME, as in vector.knn"))?;
    for part in [family, name] {
        if !is_snake_case(part) {
            return Err(format!(
                "{part:?} is not in snake_case: lowercase letters, digits and single underscores"
            ));
        }
    }
    if KEYWORDS.contains(&name) {
        return Err(format!("{name} is a word of Rust and cannot name a module"));
    }
    let families = families(root)?;
    if !families.iter().any(|f| f == family) {
        return Err(format!("there is no family {family}; there are: {}", families.join(", ")));
    }
    let source = format!("{FAMILIES}/{family}/src");
    let folder = format!("{source}/{name}");
    if root.join(&folder).exists() || root.join(format!("{folder}.rs")).exists() {
        return Err(format!("{folder} exists already"));
    }

    let list = format!("{source}/lib.rs");
    let changed = with_line(&tree::read(root, &list)?, name).map_err(|e| format!("{list}: {e}"))?;
    fs::create_dir_all(root.join(&folder)).map_err(|e| format!("{folder}: {e}"))?;
    for (file, text) in TEMPLATE {
        let path = format!("{folder}/{file}");
        fs::write(root.join(&path), filled(text, family, name)).map_err(|e| format!("{path}: {e}"))?;
        println!("wrote {path}");
    }
    fs::write(root.join(&list), changed).map_err(|e| format!("{list}: {e}"))?;
    println!("added {name}::{} to {list}", type_name(name));
    println!("it scales a tensor and passes its cases: change it from there, as CONTRIBUTING.md says");
    Ok(())
}

/// The families there are, by name.
fn families(root: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(root.join(FAMILIES)).map_err(|e| format!("{FAMILIES}: {e}"))?;
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|e| e.path().join("Cargo.toml").is_file())
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

/// The family's `lib.rs` with the new operation at the end of its list.
fn with_line(text: &str, name: &str) -> Result<String, String> {
    let start = text.find(LIST).ok_or_else(|| format!("there is no list `{LIST} … }}` to add to"))?;
    let end = text[start..].find("\n}").ok_or_else(|| format!("the list `{LIST}` does not end"))?;
    let line = format!("    {name}::{},", type_name(name));
    if text[start..start + end].lines().any(|l| l.trim().starts_with(&format!("{name}::"))) {
        return Err(format!("{name} is in the list already"));
    }
    let (before, after) = text.split_at(start + end);
    Ok(format!("{before}\n{line}{after}"))
}

fn filled(text: &str, family: &str, name: &str) -> String {
    text.replace("template_family", family)
        .replace("template_op", name)
        .replace("TemplateOp", &type_name(name))
}

/// `top_k` as the name of a type: `TopK`.
fn type_name(name: &str) -> String {
    let mut out = String::new();
    for word in name.split('_') {
        let mut letters = word.chars();
        out.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

fn is_snake_case(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.split('_').all(|word| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
}

#[cfg(test)]
#[path = "../template/mod.rs"]
mod template_op;

#[cfg(test)]
mod tests {
    use super::template_op::TemplateOp;
    use super::*;
    use crate::tree::Scratch;
    use offload_core::{AnyOperation, Context};
    use std::collections::BTreeMap;

    const LIB: &str = "//! Operations on vectors.\n#![forbid(unsafe_code)]\n\n\
        offload_core::operations! {\n    dot::Dot,\n}\n";

    fn tree_with_family() -> Scratch {
        let s = Scratch::new(&format!("new-op-{:?}", std::thread::current().id()));
        s.write("crates/offload-ops/vector/Cargo.toml", "");
        s.write("crates/offload-ops/vector/src/lib.rs", LIB);
        s.write("crates/offload-ops/vector/src/dot/mod.rs", "");
        s.write("crates/offload-ops/graph/Cargo.toml", "");
        s
    }

    fn contents(s: &Scratch) -> BTreeMap<String, String> {
        let files = tree::files(&s.0).unwrap();
        files.into_iter().map(|f| (f.clone(), tree::read(&s.0, &f).unwrap())).collect()
    }

    #[test]
    fn a_new_operation_is_its_folder_and_one_line() {
        let s = tree_with_family();
        let before = contents(&s);
        run(&s.0, "vector.top_k").unwrap();
        let mut after = contents(&s);
        let folder = "crates/offload-ops/vector/src/top_k";
        for file in ["mod.rs", "cpu.rs", "cases.rs", "doc.md"] {
            let text = after.remove(&format!("{folder}/{file}")).unwrap();
            assert!(!text.to_lowercase().contains("template"), "{file} names the template");
        }
        let lib = after.insert("crates/offload-ops/vector/src/lib.rs".into(), LIB.into()).unwrap();
        assert_eq!(after, before, "something else changed");
        assert_eq!(lib, LIB.replace("    dot::Dot,\n", "    dot::Dot,\n    top_k::TopK,\n"));
    }

    #[test]
    fn what_cannot_be_added_changes_nothing() {
        let s = tree_with_family();
        let before = contents(&s);
        for (name, why) in [
            ("vector.dot", "crates/offload-ops/vector/src/dot exists already"),
            ("matrix.knn", "there is no family matrix; there are: graph, vector"),
            ("vector.topK", "not in snake_case"),
            ("vector.top__k", "not in snake_case"),
            ("vector.2d", "not in snake_case"),
            ("../vector.knn", "not in snake_case"),
            ("vector.match", "a word of Rust"),
            ("knn", "is not FAMILY.NAME"),
            ("graph.bfs", "src/lib.rs"),
        ] {
            let got = run(&s.0, name).unwrap_err();
            assert!(got.contains(why), "{name}: {got}");
        }
        assert_eq!(contents(&s), before);
    }

    #[test]
    fn a_list_that_is_not_there_or_full_is_named() {
        assert!(with_line("fn f() {}", "knn").unwrap_err().contains("no list"));
        assert!(with_line(LIB, "dot").unwrap_err().contains("already"));
    }

    #[test]
    fn the_template_passes_its_cases() {
        let cases = TemplateOp.cases();
        assert!(cases.len() > 1);
        for case in cases {
            let plan = TemplateOp.plan(case.inputs.specs()).unwrap();
            let got = TemplateOp.cpu(case.inputs.clone(), &Context::default());
            case.check(&got).unwrap();
            assert!(plan.outputs.iter().all(|o| got.as_ref().is_ok_and(|r| r.get(o.name).is_some())));
        }
        assert_eq!(TemplateOp.schema().fields.len(), 2);
        assert_eq!(TemplateOp.about().outputs[0].name, "result");
    }

    #[test]
    fn types_are_named_after_the_operation() {
        assert_eq!(type_name("top_k"), "TopK");
        assert_eq!(type_name("knn"), "Knn");
        assert!(
            is_snake_case("fft_2d") && !is_snake_case("_x") && !is_snake_case("x_") && !is_snake_case("")
        );
    }
}
