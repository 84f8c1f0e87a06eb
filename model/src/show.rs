//! A state in short lines, for whoever looks into a world: times as distances from the present, names by their numbers.

use std::fmt;

use relink::{DialId, Time, pacer::Pacer};

use crate::worlds::NOW;

/// How far ahead a time is.
pub(crate) fn until(at: Time) -> String {
    match at {
        Time::NEVER => "never".to_owned(),
        at if at <= NOW => "now".to_owned(),
        at => format!("in {}", at - NOW),
    }
}

/// A dial, or the session that it opened.
pub(crate) fn name(dial: DialId) -> String {
    format!("{} of endpoint {}", dial.serial(), dial.endpoint())
}

/// A line for each endpoint, and one for the outage that is on record.
pub(crate) fn pacer(f: &mut fmt::Formatter<'_>, pacer: &Pacer) -> fmt::Result {
    for endpoint in 0..pacer.endpoints() {
        let phase = format!("{:?}", pacer.phase(endpoint)).to_lowercase();
        let (online, in_flight) = (pacer.online_at(endpoint), pacer.in_flight(endpoint));
        let next = until(pacer.not_before(endpoint));
        writeln!(f, "endpoint {endpoint}: {phase}, next dial {next}; {online} online, {in_flight} in flight")?;
    }
    if let Some(since) = pacer.outage_since() {
        let forgotten = pacer.settles_at().map_or_else(String::new, |at| format!(", forgotten {}", until(at)));
        writeln!(f, "outage: for {}{forgotten}", NOW - since)?;
    }
    Ok(())
}

/// A word of chance as its share of all words, for an action that draws.
pub(crate) fn chance(word: u64) -> String {
    if word == 0 { String::new() } else { format!(", chance {} %", ((u128::from(word) * 100) + (1 << 63)) >> 64) }
}
