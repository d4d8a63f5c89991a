//! What the docs say of the code, held against the code.

use std::fs;
use std::path::{Path, PathBuf};

use stormglass_allocator::StrategyId;
use stormglass_telemetry::diagnosis::Verdict;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

/// Whether a line of code, not of comment or text, has the word.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern", "unsafe(", "global_asm!"]
        .iter()
        .any(|word| code.contains(word))
}

#[test]
fn every_module_with_unsafe_code_is_named_in_docs_unsafe_md() {
    let page = fs::read_to_string(root().join("docs/UNSAFE.md")).expect("the page");
    let mut files = Vec::new();
    for member in ["allocator", "allocator/preload", "bench", "cli", "dashboard", "telemetry"] {
        sources(&root().join(member).join("src"), &mut files);
    }
    assert!(files.len() > 50, "the sources were found");
    let mut named = 0;
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        // Tests, at the end of a module or in a file of their own, are not what the page is about.
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        if code.lines().any(is_unsafe) && !code.contains("#[test]") {
            let path = file.strip_prefix(root()).expect("below the root").display().to_string();
            assert!(
                page.contains(&format!("`{path}`")),
                "{path} has unsafe code and is not in docs/UNSAFE.md"
            );
            named += 1;
        }
    }
    assert!(named > 5, "unsafe code was found");
}

#[test]
fn the_readme_has_every_design_in_the_words_of_the_list() {
    let readme = fs::read_to_string(root().join("README.md")).expect("the page");
    for id in StrategyId::ALL {
        let row = format!("| `{id}` | {} | {} |\n", id.paper(), id.about());
        assert!(readme.contains(&row), "README.md has no row\n{row}");
    }
}

#[test]
fn what_verdicts_advise_are_designs_and_commands_that_there_are() {
    for verdict in Verdict::ALL {
        let names: Vec<&str> = verdict.tries().split('`').skip(1).step_by(2).collect();
        for name in &names {
            let design = StrategyId::ALL.iter().any(|id| id.name() == *name);
            assert!(design || name.starts_with("stormglass"), "{verdict} advises `{name}`");
        }
        assert!(
            names.contains(&"page") || verdict == Verdict::WatchingCost,
            "{verdict} names what avoids it"
        );
        for word in verdict.tries().split('`').step_by(2).flat_map(|text| text.split_whitespace()) {
            let bare = StrategyId::ALL.iter().any(|id| id.name().contains('-') && word.contains(id.name()));
            assert!(!bare, "{verdict}: {word} is a name and stands without backticks");
        }
    }
}
