//! Values most of which are 0, for those who keep them for long: no program uses every class, shard and operation.
//!
//! Invariant: runs rise, do not touch, and hold no 0; so what it takes grows with the values that there are, and equal values
//! are kept in equal form.

/// A row of values, without its zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sparse {
    /// Where values other than 0 follow each other: index of the first, and how many.
    runs: Vec<(u32, u32)>,
    values: Vec<u64>,
}

impl Sparse {
    /// The same values, of which there are fewer than 2^32.
    pub fn of(values: &[u64]) -> Sparse {
        let mut kept = Vec::with_capacity(values.iter().filter(|&&value| value != 0).count());
        let mut runs: Vec<(u32, u32)> = Vec::new();
        // Eight at a time: most of them are eight zeros.
        for (start, eight) in (0..).step_by(8).zip(values.chunks(8)) {
            if eight.iter().fold(0, |any, value| any | value) == 0 {
                continue;
            }
            for (at, &value) in (start..).zip(eight).filter(|(_, value)| **value != 0) {
                match runs.last_mut() {
                    Some((first, len)) if *first + *len == at => *len += 1,
                    _ => runs.push((at, 1)),
                }
                kept.push(value);
            }
        }
        runs.shrink_to_fit();
        Sparse { runs, values: kept }
    }

    /// Adds them to `values`, of which there must be as many as these were made from.
    pub fn add_to(&self, values: &mut [u64]) {
        let mut rest = &self.values[..];
        for &(start, len) in &self.runs {
            let (run, after) = rest.split_at(len as usize);
            for (value, more) in values[start as usize..].iter_mut().zip(run) {
                *value = value.wrapping_add(*more);
            }
            rest = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Sparse;

    proptest! {
        #[test]
        fn what_is_kept_comes_back(values in proptest::collection::vec(prop_oneof![Just(0), any::<u64>()], 0..60)) {
            let sparse = Sparse::of(&values);
            let mut back = vec![0; values.len()];
            sparse.add_to(&mut back);
            prop_assert_eq!(&back, &values);
            prop_assert_eq!(sparse.values.len(), values.iter().filter(|&&value| value != 0).count());
            let ends = sparse.runs.iter().map(|&(start, len)| start + len);
            let mut after = sparse.runs.iter().skip(1);
            prop_assert!(ends.zip(after.by_ref()).all(|(end, (next, _))| end < *next), "{:?}", sparse.runs);
        }
    }
}
