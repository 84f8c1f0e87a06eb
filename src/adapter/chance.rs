//! The adapter's source of chance: one stream a pool, seeded by the operating system.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
///
/// Jitter needs no secrecy, only that two processes never share a sequence: the seed's 64 bits come
/// from the operating system, so two of 10⁶ processes start alike with a probability below 10⁻⁷, and
/// their streams are then still read at different times.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// Another sequence in each process.
    pub(super) fn from_system() -> Self {
        // Without the system's entropy, the address of a fresh allocation and the time still differ.
        let seed = getrandom::u64().unwrap_or_else(|_| {
            let place = Box::new(0_u8);
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let low = u64::try_from(since.as_nanos() & u128::from(u64::MAX)).unwrap_or(0);
            low ^ (std::ptr::from_ref(&*place).addr() as u64) ^ (u64::from(std::process::id()) << 32)
        });
        Self(seed)
    }

    /// The same sequence for the same seed.
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next word: each of the 2⁶⁴ as likely.
    pub(super) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
