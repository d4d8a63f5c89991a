//! Answers that are young enough to be given again. Whoever asks in a hurry, or many at a time, gets the answer that the
//! last one got, so that no client makes work that another one has to wait for.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;

/// How old an answer may be: less than the time between two scrapes or two frames that anybody reads.
const YOUNG: Duration = Duration::from_millis(50);

/// The last answer of each kind.
#[derive(Debug)]
pub(crate) struct Recent<K>(Mutex<Vec<(K, Instant, Bytes)>>);

impl<K> Default for Recent<K> {
    fn default() -> Recent<K> {
        Recent(Mutex::default())
    }
}

impl<K: PartialEq> Recent<K> {
    /// The young answer of that kind, or a new one.
    pub(crate) fn or<E>(&self, kind: K, make: impl FnOnce() -> Result<Bytes, E>) -> Result<Bytes, E> {
        // A panic while it was held cannot leave it in a bad state: entries are whole.
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|(_, made, _)| made.elapsed() < YOUNG);
        if let Some((.., bytes)) = answers.iter().find(|(known, ..)| *known == kind) {
            return Ok(bytes.clone());
        }
        let bytes = make()?;
        answers.push((kind, Instant::now(), bytes.clone()));
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_given_again_while_it_is_young_and_by_its_kind() {
        let recent = Recent::default();
        let mut made = 0;
        let mut ask = |kind| {
            let bytes: Result<Bytes, ()> = recent.or(kind, || {
                made += 1;
                Ok(Bytes::from(vec![made]))
            });
            bytes.expect("made")[0]
        };
        let (first, other) = (ask("text"), ask("gzip"));
        assert_ne!(first, other);
        let begun = Instant::now();
        while ask("text") == first {
            assert!(begun.elapsed() < Duration::from_secs(10), "it stays for ever");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
