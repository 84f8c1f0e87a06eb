//! The committed corpus, and random inputs, through the bodies of the fuzz targets: deterministic, on stable.

use std::{fs, path::Path};

#[test]
fn the_corpus_of_the_pool_finds_nothing() {
    replay("pool", relink_fuzz::pool);
}

#[test]
fn the_corpus_of_the_link_finds_nothing() {
    replay("link", relink_fuzz::link);
}

#[test]
fn the_corpus_of_the_policy_finds_nothing() {
    replay("policy", relink_fuzz::policy);
}

#[test]
fn the_corpus_of_the_classifier_finds_nothing() {
    replay("classify", relink_fuzz::classify);
}

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(folder).expect("a corpus") {
        body(&fs::read(entry.expect("an entry").path()).expect("an input"));
        inputs += 1;
    }
    assert!(inputs >= 8, "the corpus of {target} is gone");
    // A linear congruential generator (Knuth, MMIX): the same inputs in every run.
    let mut state = 1_u64;
    for length in 0..300 {
        let mut input = Vec::with_capacity(length);
        while input.len() < length {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            input.push((state >> 56) as u8);
        }
        body(&input);
    }
}
