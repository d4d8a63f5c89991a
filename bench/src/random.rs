//! Random numbers of our own: the same on every machine and in every build, so that a seed repeats a run.
//!
//! The generator of the original larson has a short period and is shared by its set-up; this one (xorshift64*,
//! Marsaglia and Vigna) has period 2^64 - 1, keeps its state in one word, and takes three shifts and a
//! multiplication, so that it does not show up beside an allocation.

/// A generator of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream number `stream` of `seed`; streams of one seed have nothing visible in common.
    #[must_use]
    pub(crate) fn new(seed: u64, stream: u64) -> Random {
        let mut state = seed ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03);
        // The state must not be zero, or it stays zero.
        Random(split_mix(&mut state) | 1)
    }

    /// The next 64 bits.
    #[inline]
    pub(crate) fn next_u64(&mut self) -> u64 {
        let mut x = self.0;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0 = x;
        x.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`, which must not be 0. By a multiplication of the upper bits rather than a division;
    /// the bias is below `bound` / 2^32.
    #[inline]
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let high = self.next_u64() >> 32;
        ((high * u64::from(bound)) >> 32) as u32
    }
}

/// `SplitMix64` (Steele, Lea, Flood): turns any state, even a counter, into well-mixed bits.
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn split_mix_is_the_published_one() {
        let mut state = 1_234_567;
        assert_eq!(split_mix(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(split_mix(&mut state), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_seed_repeats_and_streams_differ() {
        let take = |seed, stream| {
            let mut random = Random::new(seed, stream);
            (0..8).map(|_| random.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(take(7, 0), take(7, 0));
        assert_ne!(take(7, 0), take(7, 1));
        assert_ne!(take(7, 0), take(8, 0));
    }

    #[test]
    fn every_value_below_a_small_bound_comes_up_alike() {
        let mut random = Random::new(42, 0);
        let mut seen = [0_u32; 10];
        for _ in 0..100_000 {
            seen[random.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (9_500..10_500).contains(n)), "{seen:?}");
    }

    proptest! {
        #[test]
        fn a_number_is_below_its_bound(seed in any::<u64>(), stream in any::<u64>(), bound in 1_u32..) {
            let mut random = Random::new(seed, stream);
            for _ in 0..100 {
                prop_assert!(random.below(bound) < bound);
            }
        }
    }
}
