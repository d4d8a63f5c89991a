//! docs/METRICS.md, made from the metric table.

use core::fmt::Write as _;

use crate::schema::{Kind, Label, Metric, Scope, Shape};

/// The text of docs/METRICS.md.
#[must_use]
pub fn metrics_markdown() -> String {
    let mut out = String::from(
        "# Metrics\n\n\
         Generated from the metric table, `telemetry/src/schema.rs`; `STORMGLASS_BLESS=1 cargo test -p stormglass-telemetry\n\
         metrics_md` writes it anew.\n\n\
         Every series carries `command`, `strategy` and `workload`, unless its help says otherwise, and is the sum over all\n\
         processes that share them, living, dead and gone, since the sidecar started: a counter never falls when a process ends.\n\
         A series of a shard exists once the shard has been used (a histogram once it has a value); a metric that no process\n\
         counts has no series, and is never 0.\n\
         Histograms are cumulative Prometheus histograms with power-of-two bounds.\n\n\
         A process with an injected delay shows what was asked for, not what the machine does by itself. Each of its series has the\n\
         further label `injected`, which says where and how much; `{injected=\"\"}` leaves such series out of a query.\n",
    );
    let scopes = [
        (Scope::Class, "By class"),
        (Scope::Shard, "By class and shard"),
        (Scope::Totals, "Of an allocator of every size, beside its classes"),
        (Scope::Process, "Of a process, or of the sidecar"),
    ];
    for (scope, title) in scopes {
        let _ = write!(
            out,
            "\n## {title}\n\n| metric | kind | labels | unit | what it counts |\n|---|---|---|---|---|\n"
        );
        for d in Metric::ALL.iter().map(|metric| metric.descriptor()).filter(|d| d.scope == scope) {
            let kind = match d.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let labels: Vec<String> = d.labels.iter().map(|label| format!("`{}`", label.name())).collect();
            let _ = writeln!(
                out,
                "| `{}` | {kind} | {} | {} | {} |",
                d.name,
                labels.join(", "),
                d.unit.name(),
                d.help
            );
        }
    }
    out.push_str(
        "\n## Values of the labels\n\nOf the mid pool. Another writer may have other classes and shards: each segment says its own.\n\n",
    );
    for label in Label::ALL {
        let values: Vec<String> = label.values(Shape::MID).iter().map(|value| format!("`{value}`")).collect();
        let _ = writeln!(out, "- `{}`: {}", label.name(), values.join(", "));
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn metrics_md_is_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/METRICS.md");
        let wanted = super::metrics_markdown();
        if std::env::var_os("STORMGLASS_BLESS").is_some() {
            std::fs::write(path, &wanted).expect("written");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == wanted,
            "docs/METRICS.md is stale: STORMGLASS_BLESS=1 cargo test -p stormglass-telemetry metrics_md"
        );
    }
}
