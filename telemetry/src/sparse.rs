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
        let mut runs: Vec<(u32, u32)> = Vec::new();
        let mut open = false;
        for (at, &value) in values.iter().enumerate() {
            match runs.last_mut() {
                _ if value == 0 => {}
                Some((_, len)) if open => *len += 1,
                _ => runs.push((at as u32, 1)),
            }
            open = value != 0;
        }
        runs.shrink_to_fit();
        let mut kept = Vec::with_capacity(runs.iter().map(|(_, len)| *len as usize).sum());
        kept.extend(values.iter().filter(|&&value| value != 0));
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
        }
    }
}
