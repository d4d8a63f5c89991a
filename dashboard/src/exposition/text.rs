//! Prometheus text 0.0.4. Invariant: it is what the `prometheus` crate would write of the same answer; tests hold the two against
//! each other. The crate makes every label of every line a string of its own, which is most of the time of a scrape.

use stormglass_telemetry::Kind;

use super::answer::Answer;
use super::labels::escape;
use super::lines;

/// Appends the whole answer.
pub(super) fn encode(answer: &Answer, out: &mut String) {
    for family in &answer.families {
        if !family.help.is_empty() {
            out.push_str("# HELP ");
            out.push_str(&family.name);
            out.push(' ');
            escape(out, &family.help, false);
            out.push('\n');
        }
        out.push_str("# TYPE ");
        out.push_str(&family.name);
        out.push_str(match family.kind {
            Kind::Counter => " counter\n",
            Kind::Gauge => " gauge\n",
            Kind::Histogram => " histogram\n",
        });
        lines::put(out, answer, family, |bound| bound.to_string());
    }
}
