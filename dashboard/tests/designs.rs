//! What is said about the designs, once: page/designs.json is what the page shows and what docs/DESIGNS.md is made from.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Deserialize;
use stormglass_telemetry::Metric;

/// Says how to accept a change.
const BLESS: &str = "STORMGLASS_BLESS";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    intro: Vec<String>,
    designs: Vec<Design>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Design {
    name: String,
    paper: String,
    short: String,
    picture: Vec<Row>,
    how: String,
    pop: String,
    push: String,
    contends: String,
    /// A metric, and what it shows.
    watch: Vec<(String, String)>,
}

/// One list in a picture: what has to be passed to change it, and its blocks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    label: String,
    gates: Vec<String>,
    blocks: Vec<String>,
    /// How many of the blocks one pop takes.
    take: usize,
    /// How many of them have just been pushed.
    #[serde(default)]
    fresh: usize,
    /// The blocks are magazines of so many.
    #[serde(default)]
    magazines: bool,
    /// The list goes on.
    #[serde(default)]
    more: bool,
    note: String,
}

fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn about() -> About {
    let text = std::fs::read_to_string(path("page/designs.json")).expect("page/designs.json is there");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("page/designs.json: {error}"))
}

/// `shard 3  [lock] -> { 7 2 9 } 4 ...   a pop takes a batch under the lock`
fn picture(rows: &[Row]) -> String {
    let lists: Vec<String> = rows
        .iter()
        .map(|row| {
            let mut list = String::new();
            for gate in &row.gates {
                let _ = write!(list, "[{gate}] -> ");
            }
            for (i, block) in row.blocks.iter().enumerate() {
                let open = if row.take > 0 && i == 0 { "{ " } else { "" };
                let close = if i + 1 == row.take { " }" } else { "" };
                let block = if row.magazines { format!("({block} blocks)") } else { block.clone() };
                let fresh = if i < row.fresh { "+" } else { "" };
                let _ = write!(list, "{open}{fresh}{block}{close} ");
            }
            list + if row.more { "..." } else { "" }
        })
        .collect();
    let width = |texts: &mut dyn Iterator<Item = &str>| texts.map(|t| t.trim_end().len()).max().unwrap_or(0);
    let labels = width(&mut rows.iter().map(|row| row.label.as_str()));
    let middle = width(&mut lists.iter().map(String::as_str));
    let mut text = String::new();
    for (row, list) in rows.iter().zip(&lists) {
        let _ = writeln!(text, "{:labels$}   {:middle$}   {}", row.label, list.trim_end(), row.note);
    }
    text
}

fn markdown(about: &About) -> String {
    let mut out = String::from(
        "# The designs\n\n\
         Made from `dashboard/page/designs.json`, which the page shows too, under \"About the designs\";\n\
         `STORMGLASS_BLESS=1 cargo test -p stormglass-dashboard --test designs` writes it anew.\n",
    );
    for paragraph in &about.intro {
        let _ = write!(out, "\n{paragraph}\n");
    }
    out.push_str(
        "\nIn the pictures, `[lock]`, `[CAS]` and `[owner]` are what has to be passed to change the list, `{ }` is what one pop \
         takes,\nand `+` marks what has just been pushed. \"In the paper\" names the phase or the option of the paper that the \
         project started\nfrom.\n\n| design | in the paper | what it does |\n|---|---|---|\n",
    );
    for d in &about.designs {
        let _ = writeln!(out, "| [`{0}`](#{0}) | {1} | {2} |", d.name, d.paper, d.short);
    }
    for d in &about.designs {
        let _ = write!(out, "\n## `{}`\n\n*{}.* {}\n\n", d.name, capital(&d.paper), d.how);
        let _ = write!(out, "```text\n{}```\n\n", picture(&d.picture));
        let _ =
            write!(out, "- **A pop** {}\n- **A push** {}\n- **Contended:** {}\n", d.pop, d.push, d.contends);
        for (metric, says) in &d.watch {
            let _ = writeln!(out, "- **Watch** `{metric}`: {says}.");
        }
    }
    out
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[test]
fn designs_md_is_what_the_page_says() {
    let file = path("../docs/DESIGNS.md");
    let wanted = markdown(&about());
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&file, &wanted).expect("written");
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == wanted,
        "docs/DESIGNS.md is stale: {BLESS}=1 cargo test -p stormglass-dashboard --test designs"
    );
}

#[test]
fn what_is_said_can_be_looked_up() {
    let about = about();
    let names: Vec<&str> = about.designs.iter().map(|d| d.name.as_str()).collect();
    let known = |name: &str| Metric::ALL.iter().any(|metric| metric.descriptor().name == name);
    for (i, d) in about.designs.iter().enumerate() {
        assert!(!names[..i].contains(&d.name.as_str()), "{} stands twice", d.name);
        // The name is an anchor on the page and in the document.
        assert!(d.name.bytes().all(|c| c.is_ascii_lowercase() || c == b'-'), "{}", d.name);
        assert!(!d.picture.is_empty() && !d.watch.is_empty(), "{}", d.name);
        for row in &d.picture {
            assert!(row.take.max(row.fresh) <= row.blocks.len(), "{}: {}", d.name, row.label);
        }
        let watched = d.watch.iter().flat_map(|(metric, says)| [metric.as_str(), says.as_str()]);
        for text in [&*d.how, &d.pop, &d.push, &d.contends].into_iter().chain(watched) {
            assert!(text.matches('`').count().is_multiple_of(2), "{}: {text}", d.name);
            // Whatever stands in backticks is a design, a metric, or an operation.
            for word in text.split('`').skip(1).step_by(2) {
                let there = names.contains(&word) || known(word) || word.starts_with("op=\"");
                assert!(there, "{}: `{word}` is neither a design nor a metric", d.name);
            }
        }
        for (metric, _) in &d.watch {
            assert!(known(metric), "{}: there is no metric {metric}", d.name);
        }
    }
}

/// What one looks for on the page and in /metrics has one order and one set of names.
#[test]
fn the_page_knows_the_look_of_every_design() {
    let script = std::fs::read_to_string(path("page/designs.js")).expect("page/designs.js is there");
    let list = script.split("const order = [").nth(1).and_then(|rest| rest.split(']').next());
    let order: Vec<&str> =
        list.expect("the list is there").split('"').skip(1).step_by(2).filter(|n| !n.is_empty()).collect();
    let names: Vec<String> = about().designs.into_iter().map(|d| d.name).collect();
    assert_eq!(order, names);
}
