//! What the terminal shows of a moment: the frame that the page gets, as far as there is room for it here.
//!
//! Invariant: a field that another version does not send is absent, and drawn as absent.

use serde::Deserialize;
use stormglass_telemetry::Measures;

/// Every process at one moment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct View {
    /// Milliseconds since 1970.
    pub(super) time: u64,
    pub(super) processes: Vec<Process>,
    /// Processes that found no room in the frame.
    pub(super) left_out: usize,
}

/// One process.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Process {
    pub(super) id: String,
    pub(super) pid: u32,
    pub(super) command: String,
    pub(super) strategy: String,
    pub(super) workload: String,
    pub(super) injected: Option<String>,
    pub(super) live: bool,
    pub(super) threads: u32,
    pub(super) live_bytes: Option<u64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) rates: Measures,
    pub(super) classes: Vec<String>,
    pub(super) shards: Vec<String>,
    pub(super) grid: Grid,
    pub(super) verdicts: Vec<Verdict>,
}

/// Rows by class, columns by shard.
pub(super) type Cells = Vec<Vec<Option<f64>>>;

/// What the cells can be coloured by.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Grid {
    pub(super) cas_failures_per_second: Cells,
    pub(super) failures_per_attempt: Cells,
    pub(super) lock_wait_ratio: Cells,
    pub(super) walked_per_kept: Cells,
}

/// A verdict that is on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Verdict {
    #[serde(rename = "verdict")]
    pub(super) id: String,
    #[serde(deserialize_with = "word")]
    pub(super) class: Option<String>,
    #[serde(deserialize_with = "word")]
    pub(super) shard: Option<String>,
    pub(super) evidence: String,
    pub(super) advice: String,
}

/// A text or a number, as a text.
fn word<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }))
}
