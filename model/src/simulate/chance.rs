//! Chance: each process draws from a stream of its own, so that one more process changes nothing for the others.

/// `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): a counter
/// and a mix, so a run depends on nothing but its seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Chance {
    /// The stream of one process. Streams begin at random places of a cycle of 2⁶⁴.
    pub(super) const fn of(seed: u64, process: u32) -> Self {
        Self(mix(mix(seed).wrapping_add(GOLDEN) ^ (process as u64)))
    }

    /// The next word.
    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }
}

const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the reference implementation by Sebastiano Vigna, seeded with 1234567.
    #[test]
    fn the_words_are_those_of_the_reference() {
        let mut chance = Chance(1_234_567);
        let words = [chance.next(), chance.next(), chance.next()];
        assert_eq!(words, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn streams_differ_by_seed_and_by_process() {
        let first = |seed, process| Chance::of(seed, process).next();
        let words = [first(1, 0), first(1, 1), first(2, 0), first(2, 1)];
        for (place, word) in words.iter().enumerate() {
            assert!(!words[..place].contains(word), "{words:?}");
        }
    }
}
