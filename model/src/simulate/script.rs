//! What befalls servers and processes, and when: the stories of [`Story`], line by line.

use relink::Span;

use super::world::{Story, World};

/// A line of the script.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    /// The endpoint goes away, in the world's kind of outage, and all its sessions end.
    Away(u8),
    /// The endpoint serves, in this role.
    Back { place: u8, primary: bool },
    /// The process ends, and a new one begins.
    Replace(u32),
}

/// The script of a world, by time in ns, and the return from which its figures count.
pub(super) fn script(world: &World, processes: u32) -> (Vec<(u64, Turn)>, u64) {
    let outage = nanos(world.outage);
    let lines = match world.story {
        Story::Outage => vec![(0, Turn::Away(0)), (outage, Turn::Back { place: 0, primary: true })],
        Story::Failover => vec![
            (0, Turn::Away(0)),
            (outage, Turn::Back { place: 1, primary: true }),
            (outage * 2, Turn::Back { place: 0, primary: false }),
        ],
        Story::RollingRestart => {
            let last = u64::from(processes.saturating_sub(1)).max(1);
            (0..processes).map(|process| (outage * u64::from(process) / last, Turn::Replace(process))).collect()
        }
    };
    (lines, outage)
}

const fn nanos(span: Span) -> u64 {
    span.as_millis().saturating_mul(1_000_000)
}
