//! Our text, held against that of the `prometheus` crate.

use std::sync::Arc;

use prometheus::TextEncoder;
use proptest::prelude::*;
use stormglass_telemetry::{Process, Snapshot};

use super::tests::{exposition, general};
use super::{protobuf, text};
use crate::synthetic::{self, Fixed, SECOND};

/// Any processes: their words and counts are whatever a writer may say.
fn processes() -> impl Strategy<Value = Vec<Snapshot>> {
    let word = prop_oneof!["[a-c]{0,2}", "[\"\\\\\n,={} é]{1,6}", "\\PC{0,8}"];
    let cells = proptest::collection::vec(
        (any::<prop::sample::Index>(), prop_oneof![0..100_u64, any::<u64>()]),
        0..40,
    );
    let process = (word.clone(), word.clone(), word, cells, any::<bool>());
    let process = process.prop_map(|(command, workload, version, cells, large)| {
        let mut snapshot =
            if large { general(7) } else { synthetic::snapshot(synthetic::process(8, "mutex"), SECOND) };
        let process = Process { command, workload, version, ..(*snapshot.process).clone() };
        snapshot.process = Arc::new(process);
        for (at, value) in cells {
            let at = at.index(snapshot.counts.values.len());
            snapshot.counts.values[at] = value;
        }
        snapshot
    });
    proptest::collection::vec(process, 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_text_is_what_the_crate_would_write(snapshots in processes(), room in prop_oneof![0..2000_u64, Just(u64::MAX)]) {
        let answer = exposition(Fixed::new(snapshots), room).answer();
        let mut text = String::new();
        text::encode(&answer, &mut text);
        let oracle = TextEncoder::new().encode_to_string(&protobuf::families(&answer)).expect("it encodes");
        prop_assert!(text == oracle, "{}", first_difference(&text, &oracle));
    }
}

fn first_difference(text: &str, oracle: &str) -> String {
    let lines = text.lines().zip(oracle.lines()).find(|(ours, theirs)| ours != theirs);
    format!("{lines:?}")
}
