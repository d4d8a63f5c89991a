//! The check as JSON: the same facts, values in base units.

use serde_json::{Value, json};

use super::Checked;

/// An object with a list of assertions.
pub(crate) fn json(checked: &Checked) -> Value {
    let assertions: Vec<Value> = checked
        .outcomes
        .iter()
        .map(|outcome| {
            let place = outcome.place.as_ref().map(|place| {
                json!({
                    "process": place.process,
                    "class": place.class,
                    "shard": place.shard,
                    "seconds": place.at.map(|at| at.as_secs_f64()),
                })
            });
            json!({
                "assertion": outcome.assertion,
                "result": outcome.judgement.id(),
                "value": outcome.value,
                "limit": outcome.limit,
                "place": place,
                "note": outcome.note,
            })
        })
        .collect();
    json!({
        "holds": checked.holds(),
        "source": checked.source,
        "processes": checked.processes,
        "seconds": checked.seconds,
        "assertions": assertions,
    })
}
