//! The bodies of the fuzz targets, shared by libFuzzer and by the replay of the corpus on stable.

#[path = "../../tests/harness/mod.rs"]
mod harness;
#[path = "../../tests/machines/mod.rs"]
mod machines;

use harness::{Bytes, Harness};
use relink::{Policy, Time, link::Link};

/// A pool, a world that may do anything, and the promises after each step; then a recovery.
pub fn pool(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let mut harness = Harness::new(&mut bytes);
    harness.play(&mut bytes);
    harness.recover();
}

/// One link under any events at any times: nobody else's dial is ever adopted, and the end is the end.
pub fn link(bytes: &[u8]) {
    let policy = machines::policy(|_: &mut Policy| {});
    let (mut bytes, mut link) = (Bytes::new(bytes), Link::Idle);
    while !bytes.is_empty() {
        let events = machines::named_link_events(&link);
        let (name, event) = events[bytes.below(events.len())];
        let now = Time::from_millis(u64::from(bytes.byte()).pow(3));
        let (next, command) = link.step(&policy, now, event);
        let granted = matches!(event, relink::link::Event::Granted { .. });
        assert!(next.dial().is_none() || next.dial() == link.dial() || granted, "{name}: {link:?} -> {next:?}");
        assert!(link != Link::Closed || next == Link::Closed, "{name}: {next:?}");
        let closes = matches!(command, Some(relink::link::Command::Close(_)));
        assert!(!name.ends_with('*') || (next == link && (command.is_none() || closes)), "{name}: {link:?}");
        link = next;
    }
}
