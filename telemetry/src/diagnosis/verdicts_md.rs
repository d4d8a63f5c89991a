//! docs/VERDICTS.md, made from the rules.

use core::fmt::Write as _;

use super::alarm::{CALM, HOLD, RAISE_AFTER, RAISE_LOOKS};
use super::numbers::Short;
use super::rules::{RULES, Side};
use super::{Scope, Severity};

/// The text of docs/VERDICTS.md.
#[must_use]
pub fn verdicts_markdown() -> String {
    let mut out = format!(
        "# Verdicts\n\n\
         Generated from the rules, `telemetry/src/diagnosis/rules/`; `STORMGLASS_BLESS=1 cargo test -p stormglass-telemetry\n\
         verdicts_md` writes it anew.\n\n\
         A verdict says what is wrong, where, by which numbers, and what to try. The sidecar looks at each process a few times a second, and\n\
         so do the page, `/metrics` (`stormglass_verdict_active`, `stormglass_verdicts_raised_total`), the log and the summaries of the command\n\
         line, because they all ask the same rules. A rule sees counters and never a design's name.\n\n\
         A verdict turns on when {RAISE_LOOKS} looks in a row, spanning {:.1} s at least, reach every limit for raising; a storm that rages is named\n\
         within 2 s. It stays on for {} s at least, and turns off when it has missed a limit for staying in every look of {} s, or when its\n\
         process ends. Each has a limit on a rate, so that a ratio of a few events raises nothing. What lies below the limits may still cost\n\
         something: a verdict names what is worth acting on, and its absence proves no more than that.\n\n\
         *Storm*: threads undo or await each other's work, so that more of them get less done. *Waste*: work that need not be. *Note*: what is\n\
         measured is not only the program.\n\n\
         Of a process with an injected delay, what is found was asked for; each of its findings says so.\n\n\
         Figures of storms and of larson are those of [reports](reports/) (`stormglass report --quick`, 2 cores of an AMD EPYC) and of what\n\
         `e2e/record-counts` records; ten minutes of recorded benign loads raise nothing, nor would they at ten times their rates.\n\n\
         In Prometheus `stormglass_verdict_active{{verdict=\"retry_storm\"}} == 1` is what to alert on; `/api/snapshot` has the same under\n\
         `processes[].verdicts`, with the numbers; `RUST_LOG=stormglass::verdict=info` logs what turns on and off.\n\n\
         | verdict | kind | about | says |\n|---|---|---|---|\n",
        RAISE_AFTER.as_secs_f64(),
        HOLD.as_secs(),
        CALM.as_secs(),
    );
    // Writing to a string does not fail.
    for rule in &RULES {
        let id = rule.verdict.id();
        let (kind, about) = (kind(rule.advice.severity), about(rule.scope));
        let _ = writeln!(out, "| [`{id}`](#{id}) | {kind} | {about} | {} |", rule.advice.says);
    }
    for rule in &RULES {
        let advice = &rule.advice;
        let _ = write!(
            out,
            "\n## {}\n\n**{}.** {}\n\n| evidence | | raised at | stays on | why there |\n|---|---|---|---|---|\n",
            rule.verdict.id(),
            advice.title,
            advice.says
        );
        for limit in (rule.limits)() {
            let side = if limit.side == Side::AtLeast { "at least" } else { "at most" };
            let _ = writeln!(
                out,
                "| `{}` | {} | {side} {} | {side} {} | {} |",
                limit.field,
                limit.what,
                Short(limit.raise),
                Short(limit.clear),
                limit.why
            );
        }
        let _ = write!(out, "\n**What it means.** {}\n\n**What to try.** {}\n", advice.means, advice.tries);
    }
    out
}

fn kind(severity: Severity) -> &'static str {
    match severity {
        Severity::Storm => "storm",
        Severity::Waste => "waste",
        Severity::Note => "note",
    }
}

fn about(scope: Scope) -> &'static str {
    match scope {
        Scope::Shard => "a shard",
        Scope::Class => "a class",
        Scope::Process => "a process, or the sidecar",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn verdicts_md_is_what_the_rules_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/VERDICTS.md");
        let wanted = super::verdicts_markdown();
        if std::env::var_os("STORMGLASS_BLESS").is_some() {
            std::fs::write(path, &wanted).expect("written");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == wanted,
            "docs/VERDICTS.md is stale: STORMGLASS_BLESS=1 cargo test -p stormglass-telemetry verdicts_md"
        );
    }
}
