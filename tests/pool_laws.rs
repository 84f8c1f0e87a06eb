//! Whatever happens, in whatever order, late, twice or never: the pool keeps its promises.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a test says what it expects by failing, and drives the machines with small numbers"
)]

mod harness;

use harness::{Bytes, Harness};
use proptest::prelude::*;

fn runs() -> ProptestConfig {
    ProptestConfig { cases: 500, max_shrink_iters: 3_000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(runs())]

    #[test]
    fn every_step_of_any_history_keeps_the_promises(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
        let mut bytes = Bytes::new(&bytes);
        Harness::new(&mut bytes).play(&mut bytes);
    }

    #[test]
    fn after_any_history_everybody_is_served_once_the_server_is_well(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut bytes = Bytes::new(&bytes);
        let mut harness = Harness::new(&mut bytes);
        harness.play(&mut bytes);
        harness.recover();
    }
}
