//! A state of a process's world as a person reads it.

use std::fmt;

use super::world::State;
use crate::show::{name, pacer, until};

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pacer: machine, ghost } = self;
        pacer(f, machine)?;
        for dial in &ghost.dials {
            write!(f, "dial {}: over {}", name(dial.id), until(dial.deadline))?;
            f.write_str(if dial.stale { ", older than the last failure" } else { "" })?;
            f.write_str(if dial.outdated { ", older than the last renewal\n" } else { "\n" })?;
        }
        for session in &ghost.sessions {
            writeln!(f, "session at endpoint {}: stable {}", session.endpoint, until(session.stable_at))?;
        }
        for (endpoint, ledger) in ghost.ledgers.iter().enumerate() {
            let fatal = ledger.fatal.map_or_else(String::new, |fault| format!("; fatal: {fault}"));
            let (spent, churned, floor) = (ledger.spent, ledger.churned, until(ledger.floor));
            writeln!(f, "ledger {endpoint}: S2 {spent} ms, S2b {churned} ms, S3 allows a dial {floor}{fatal}")?;
        }
        write!(f, "the environment {} its promise", if ghost.well { "keeps" } else { "does not keep" })?;
        ghost.broken.map_or(Ok(()), |law| write!(f, "\n{} is broken", law.name()))
    }
}
