//! Sizes as programs have them.

use crate::random::Random;

/// A size from `min` to `max`, each doubling half as frequent as the one before, so that all doublings together hold the
/// same number of bytes: a power law, as traces of allocators show it. Both ends are at least 1.
#[inline]
pub(super) fn power_law(random: &mut Random, min: usize, max: usize) -> usize {
    let doublings = (max / min).ilog2();
    let doubling = random.next_u64().trailing_zeros().min(doublings);
    within(random, min << doubling, max)
}

/// A size from `min` to `max`, every doubling as frequent as every other.
pub(super) fn even(random: &mut Random, min: usize, max: usize) -> usize {
    let doublings = (max / min).ilog2();
    let doubling = random.below(doublings + 1);
    within(random, min << doubling, max)
}

/// A size of the doubling that begins at `low`, as far as `max` allows.
#[inline]
fn within(random: &mut Random, low: usize, max: usize) -> usize {
    let high = (low * 2 - 1).min(max);
    low + random.below((high - low + 1) as u32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_size_is_from_min_to_max(seed in any::<u64>(), min in 16_usize..5000, more in 0_usize..4_000_000) {
            let mut random = Random::new(seed, 0);
            for _ in 0..50 {
                for size in [power_law(&mut random, min, min + more), even(&mut random, min, min + more)] {
                    prop_assert!(size >= min && size <= min + more);
                }
            }
        }
    }

    #[test]
    fn small_ones_are_frequent_and_every_doubling_holds_as_many_bytes() {
        let mut random = Random::new(1, 0);
        let mut bytes = [0_usize; 6];
        for _ in 0..400_000 {
            let size = power_law(&mut random, 16, 1023);
            bytes[(size / 16).ilog2() as usize] += size;
        }
        // The last doubling has what would be above, too.
        let mean = bytes[..5].iter().sum::<usize>() / 5;
        assert!(bytes[..5].iter().all(|b| b.abs_diff(mean) < mean / 10), "{bytes:?}");
    }
}
