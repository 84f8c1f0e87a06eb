//! What the world knows and the pacer does not: dials, sessions, and what each endpoint has coming to it.

use relink::{
    DialId, Fault, Span, Time,
    pacer::{Event, Pacer},
};

use super::{law::Law, world::World};
use crate::worlds::NOW;

/// A dial that is neither answered nor given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dial {
    /// Its name.
    pub id: DialId,
    /// When the driver ends it.
    pub deadline: Time,
    /// When an endpoint that keeps its promise has served it; of any other, `NEVER`.
    pub serve_by: Time,
    /// It was started before the last renewal.
    pub outdated: bool,
    /// It was started before its endpoint's last failure.
    pub stale: bool,
}

/// A session that is online.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session {
    /// Where.
    pub endpoint: u8,
    /// From then on it is stable.
    pub stable_at: Time,
}

/// What one endpoint has coming to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// No dial may start earlier: what S3 asks for after every failed dial and every unstable loss.
    pub floor: Time,
    /// The fatal fault that no renewal has followed.
    pub fatal: Option<Fault>,
    /// Refused credentials since the last success or renewal.
    pub refusals: u8,
    /// A dial has succeeded since the last failure.
    pub ramp: bool,
    /// The leaky bucket of S2, in milliseconds: a dial pays in `lo·w0`, each success takes out
    /// `min(2, max_dials)` times that, time takes out itself.
    pub spent: u64,
    /// The leaky bucket of S2b: a dial pays in `lo·w0`, a session closed on purpose takes that out again,
    /// time takes out itself times the places; one that becomes stable empties it.
    pub churned: u64,
}

impl Ledger {
    /// Nothing was dialed yet.
    pub const NEW: Self = Self { floor: NOW, fatal: None, refusals: 0, ramp: false, spent: 0, churned: 0 };

    /// How many dials S1 allows at once.
    pub(super) fn dials_max(&self, world: &World) -> usize {
        if self.ramp { usize::from(world.policy.max_dials) } else { 1 }
    }
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// By rising serial.
    pub dials: Vec<Dial>,
    /// Rising.
    pub sessions: Vec<Session>,
    /// One for each endpoint.
    pub ledgers: Vec<Ledger>,
    /// The outage on record may be forgotten from then on (S4c).
    pub quiet_until: Time,
    /// The environment keeps its promise.
    pub well: bool,
    /// The first law that was broken: nothing happens after that.
    pub broken: Option<Law>,
}

impl Ghost {
    pub(super) fn new(ledgers: Vec<Ledger>) -> Self {
        let (dials, sessions) = (Vec::new(), Vec::new());
        Self { dials, sessions, ledgers, quiet_until: Time::NEVER, well: false, broken: None }
    }

    pub(super) fn must(&mut self, world: &World, holds: bool, law: Law) {
        if !holds && self.broken.is_none() && world.laws.contains(&law) {
            self.broken = Some(law);
        }
    }

    /// What is known of an endpoint.
    pub fn ledger(&self, endpoint: u8) -> Option<&Ledger> {
        self.ledgers.get(usize::from(endpoint))
    }

    fn with(&mut self, endpoint: u8, change: impl FnOnce(&mut Ledger)) {
        if let Some(ledger) = self.ledgers.get_mut(usize::from(endpoint)) {
            change(ledger);
        }
    }

    /// A dial starts: may it?
    pub(super) fn dialed(&mut self, world: &World, dial: Dial) {
        let endpoint = dial.id.endpoint();
        let Some(ledger) = self.ledger(endpoint).copied() else { return };
        let unanswered = self.dials.iter().filter(|other| other.id.endpoint() == endpoint).count();
        self.must(world, unanswered < ledger.dials_max(world), Law::S1);
        self.must(world, ledger.fatal.is_none(), Law::S7);
        if world.accounts {
            let least = shortest_wait(world).as_millis();
            let (dials, places) = (u64::from(world.policy.max_dials), u64::from(world.places));
            let (spent, churned) = (ledger.spent + least, ledger.churned + least);
            self.with(endpoint, |ledger| (ledger.spent, ledger.churned) = (spent, churned));
            self.must(world, spent <= dials * least, Law::S2);
            self.must(world, churned <= places * least, Law::S2b);
        }
        self.must(world, ledger.floor <= NOW, Law::S3);
        self.dials.push(dial);
    }

    /// Takes note of what has happened; `pacer` knows of it already.
    pub(super) fn observe(&mut self, world: &World, pacer: &Pacer, event: Event) {
        let least = shortest_wait(world).as_millis();
        match event {
            Event::Requested { .. } => {}
            Event::Dialed { dial } => {
                self.answered(dial);
                let credit = u64::from(world.policy.max_dials.min(2)) * least;
                let on_record = pacer.outage_since().is_some();
                self.with(dial.endpoint(), |ledger| {
                    ledger.refusals = 0;
                    ledger.ramp = true;
                    ledger.spent = ledger.spent.saturating_sub(credit);
                    ledger.churned = if on_record { ledger.churned } else { 0 };
                });
                let stable_at = if on_record { NOW + world.policy.stable_for } else { NOW };
                self.sessions.push(Session { endpoint: dial.endpoint(), stable_at });
            }
            Event::Failed { dial, fault } => self.failed(world, pacer, dial, fault),
            Event::Abandoned { dial } => {
                self.answered(dial);
                self.put_off(world, dial.endpoint(), pacer.overload(dial.endpoint()));
            }
            Event::Lost { endpoint, unstable: true } => self.put_off(world, endpoint, lesson(world, pacer, endpoint)),
            Event::Lost { .. } => {}
            Event::Retired { endpoint } => {
                self.with(endpoint, |ledger| ledger.churned = ledger.churned.saturating_sub(least));
            }
            Event::Renewed => self.renewed(world),
        }
        let failed = matches!(event, Event::Failed { .. } | Event::Lost { unstable: true, .. });
        self.unsettle(world, pacer, failed);
    }

    fn answered(&mut self, dial: DialId) -> Option<Dial> {
        let place = self.dials.iter().position(|known| known.id == dial)?;
        Some(self.dials.remove(place))
    }

    fn failed(&mut self, world: &World, pacer: &Pacer, dial: DialId, fault: Fault) {
        let outdated = self.answered(dial).is_none_or(|dial| dial.outdated);
        self.put_off(world, dial.endpoint(), lesson(world, pacer, dial.endpoint()));
        self.with(dial.endpoint(), |ledger| {
            if outdated || ledger.fatal == Some(Fault::Misconfigured) {
                return;
            }
            ledger.refusals += u8::from(fault == Fault::Denied);
            let refused = fault == Fault::Denied && ledger.refusals >= world.policy.refusals_max;
            if fault == Fault::Misconfigured || refused {
                ledger.fatal = Some(fault);
            }
        });
    }

    /// One dial at a time again, and not before the shortest wait that the window allows.
    fn put_off(&mut self, world: &World, endpoint: u8, window: Span) {
        let wait = world.policy.jitter(window.max(world.policy.w0), 0);
        for dial in self.dials.iter_mut().filter(|dial| dial.id.endpoint() == endpoint) {
            dial.stale = true;
        }
        self.with(endpoint, |ledger| {
            ledger.ramp = false;
            ledger.floor = ledger.floor.max(NOW + wait);
        });
    }

    fn renewed(&mut self, world: &World) {
        for dial in &mut self.dials {
            dial.outdated = true;
        }
        for ledger in &mut self.ledgers {
            // A new generation buys an endpoint that had refused too often one new try.
            let spent =
                if ledger.fatal == Some(Fault::Denied) { world.policy.refusals_max.saturating_sub(1) } else { 0 };
            ledger.refusals = spent;
            ledger.fatal = None;
        }
    }

    /// When the outage may be forgotten: `stable_for`, and twice the longest wait of an overload, after a
    /// session came online, the outage began beside one, or something failed.
    fn unsettle(&mut self, world: &World, pacer: &Pacer, failed: bool) {
        if self.sessions.is_empty() || pacer.outage_since().is_none() {
            self.quiet_until = Time::NEVER;
        } else if failed || self.quiet_until == Time::NEVER {
            let over = (0..world.endpoints).map(|endpoint| pacer.overload(endpoint)).max().unwrap_or(Span::ZERO);
            self.quiet_until = NOW + world.policy.stable_for + world.policy.jitter_hi.of(over) * 2;
        }
    }

    /// Time has passed since `last`.
    pub(super) fn waited(&mut self, world: &World, pacer: &Pacer, last: &Self) {
        let tick = world.tick.as_millis();
        let places = u64::from(world.places);
        for ledger in &mut self.ledgers {
            ledger.spent = ledger.spent.saturating_sub(tick);
            ledger.churned = ledger.churned.saturating_sub(tick * places);
        }
        for session in last.sessions.iter().filter(|s| s.stable_at > NOW && s.stable_at <= NOW + world.tick) {
            self.with(session.endpoint, |ledger| ledger.churned = 0);
        }
        if pacer.outage_since().is_none() {
            self.quiet_until = Time::NEVER;
        }
    }
}

/// `lo·w0`, the shortest wait of all.
fn shortest_wait(world: &World) -> Span {
    world.policy.jitter(world.policy.w0, 0)
}

/// The window after a failure: `max(w_down, w_over)`, as they are after it. Silence from a server never
/// seen waits by `ka`, which no policy of these worlds has below `kd`.
fn lesson(world: &World, pacer: &Pacer, endpoint: u8) -> Span {
    world.policy.down_window(pacer.age(&world.policy)).max(pacer.overload(endpoint))
}
