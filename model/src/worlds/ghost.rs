//! What the world knows and the machines do not: the other ends of the sessions, who was lent what,
//! who came first, and which law was broken.

mod obey;

use relink::{
    Checked, DialId, Fault, LeaseId, Span, Time, Work,
    fence::History,
    pool::{ASKERS, Event},
};

use super::{NOW, law::Law};

/// Where a dial or its session stands at the driver's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// The dial has no answer yet.
    Dialing,
    /// The dial was given up; it may still open a session, fail, or end.
    Aborting,
    /// A session is open.
    Open,
    /// Its end was ordered.
    Closing,
}

/// A question whose answer is outstanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// What was asked.
    pub about: About,
    /// When the answer is too late: its name.
    pub by: Time,
}

/// What a session or its server was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum About {
    /// The session: its role. `old`: a demotion came after the question, so the answer proves nothing.
    Role {
        /// Whether the answer is older than the demotion.
        old: bool,
    },
    /// The session: to come back to a clean state.
    Reset,
    /// The server: whether the session is at work.
    Alive,
}

/// How good the evidence of a session's role is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// No demotion was observed since.
    Current,
    /// A demotion was observed while it was being collected.
    Older,
    /// A demotion was observed while the session was open.
    Demoted,
}

/// One dial or session, from the order to dial until nothing of it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its name.
    pub dial: DialId,
    /// The link it was dialed for.
    pub slot: u16,
    /// Where it stands.
    pub line: Line,
    /// When a dial must have ended.
    pub deadline: Time,
    /// The one question that is open.
    pub question: Option<Question>,
    /// An earlier borrower left a transaction or an unread answer behind.
    pub dirty: bool,
    /// What is known of its role.
    pub evidence: Evidence,
    /// It was dialed before the last renewal.
    pub outdated: bool,
    /// It opened after its dial had been given up.
    pub late: bool,
    /// The primary has changed since it was dialed or asked for its role: its answer may be out of date.
    pub turned: bool,
}

impl Peer {
    /// Whether it is asked for its role.
    pub fn is_asked_for_role(&self) -> bool {
        matches!(self.question, Some(Question { about: About::Role { .. }, .. }))
    }
}

/// One borrower, from the grant until it has given the session back or was told of its loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Borrower {
    /// The lease.
    pub lease: LeaseId,
    /// The link.
    pub slot: u16,
    /// The session.
    pub dial: DialId,
    /// What it is doing.
    pub work: Work,
    /// The pool was told.
    pub told: bool,
    /// The server was last heard of, or the statement was sent, then.
    pub heard_at: Time,
    /// The pool wants to be told.
    pub looked: bool,
    /// When the silent death of its session must have been noticed; `NEVER` while the session lives.
    pub noticed_by: Time,
    /// The server was asked about it since then, and could not tell yet.
    pub undecided: bool,
}

impl Borrower {
    /// Whether its session has died in silence.
    pub fn is_cut_off(&self) -> bool {
        self.noticed_by < Time::NEVER
    }
}

/// What the caller of a statement was told that was in flight when its session ended, and may have become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// That it may have been carried out.
    Ambiguous,
    /// That nothing of it was.
    Undone,
}

/// One who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Waiter {
    /// The wait.
    pub lease: LeaseId,
    /// When it must have been told.
    pub deadline: Time,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// By rising serial.
    pub peers: Vec<Peer>,
    /// In the order in which they came.
    pub queue: Vec<Waiter>,
    /// In the order in which they were served.
    pub borrowers: Vec<Borrower>,
    /// Endpoints, as bits, whose fatal fault no renewal has followed.
    pub fatal: u8,
    /// The drain deadline, once the pool was told to end.
    pub stopped: Option<Time>,
    /// Whether the pool is paused.
    pub paused: bool,
    /// Which endpoint is the primary, where that matters.
    pub primary: u8,
    /// The primary before does not know that it was replaced.
    pub split: bool,
    /// Moreover, a session of the primary has told its timeline, so that the other can be known by its own.
    pub met: bool,
    /// The last step began a lease on another than the primary; where primaries may be replaced without their knowledge:
    /// though that one had been met. Where a standby is preferred: it opened a session with the primary.
    pub misled: bool,
    /// Where sessions die in silence: a statement that may still come to its server, the latest such, or one that was told
    /// undone.
    pub underway: Option<Told>,
    /// The last step carried it out.
    pub appeared: bool,
    /// The first law that was broken: nothing is judged after that.
    pub broken: Option<Law>,
}

impl Ghost {
    /// The dial or session of that name.
    pub fn peer(&self, dial: DialId) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.dial == dial)
    }

    fn peer_mut(&mut self, dial: DialId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.dial == dial)
    }

    pub(crate) fn must(&mut self, holds: bool, law: Law) {
        if !holds && self.broken.is_none() {
            self.broken = Some(law);
        }
    }

    /// Takes note of what has happened, before the pool is told.
    pub(crate) fn observe(&mut self, event: Event, policy: &Checked) {
        match event {
            Event::Asked { lease, deadline } => self.queue.push(Waiter { lease, deadline }),
            Event::GaveUp { lease } => self.queue.retain(|waiter| waiter.lease != lease),
            Event::Returned { lease, work, .. } => self.returned(lease, work),
            // As if left unclean: nobody may have it any more.
            Event::Discarded { lease, .. } => self.returned(lease, Work::InTransaction),
            Event::Dialed { dial, .. } => self.with(dial, |peer| {
                peer.late = peer.line == Line::Aborting;
                peer.line = Line::Open;
                peer.turned = false;
            }),
            Event::DialFailed { dial, fault, .. } => self.dial_failed(dial, fault),
            Event::Proved { dial, by, .. } => match self.answered(dial, by) {
                Some(About::Role { old: false }) => self.with(dial, |peer| peer.evidence = Evidence::Current),
                Some(About::Reset) => self.with(dial, |peer| peer.dirty = false),
                Some(About::Role { old: true } | About::Alive) | None => {}
            },
            Event::Unproved { dial, by, fault, .. } => {
                self.answered(dial, by);
                if fault == Fault::WrongRole {
                    self.demoted();
                }
            }
            Event::Worked { lease, work, heard_at, .. } => self.worked(lease, work, heard_at, policy.patience),
            Event::Ended { lease, work, .. } => self.ended(lease, work),
            Event::FoundAlive { dial, by, .. } | Event::FoundDead { dial, by, .. } => {
                self.answered(dial, by);
            }
            Event::Undecided { dial, by, .. } => {
                self.answered(dial, by);
                self.undecided(dial, NOW + policy.question_deadline * 2);
            }
            Event::Unheard { slot, dial, by } => {
                // One that is there for nothing else is given up.
                if slot >= ASKERS {
                    self.answered(dial, by);
                }
            }
            Event::Gone { dial, .. } => self.peers.retain(|peer| peer.dial != dial),
            Event::Demoted => self.demoted(),
            Event::Renewed => {
                self.fatal = 0;
                for peer in &mut self.peers {
                    peer.outdated = true;
                }
            }
            Event::Paused => self.paused = true,
            Event::Resumed => self.paused = false,
            Event::Stopped { deadline } => self.stopped = Some(deadline),
            Event::Accepted { .. } | Event::Lost { .. } | Event::Resized { .. } | Event::Elapsed => {}
        }
    }

    /// The session at this place dies in silence under its borrower.
    pub(crate) fn die(&mut self, slot: u16, noticed_by: Time) {
        for borrower in self.borrowers.iter_mut().filter(|borrower| borrower.slot == slot) {
            borrower.noticed_by = noticed_by;
        }
    }

    /// The statement that is underway is carried out, whatever its caller was told.
    pub(crate) fn arrive(&mut self) {
        let told = self.underway.take();
        self.appeared = true;
        self.must(told != Some(Told::Undone), Law::S14);
    }

    /// The server was asked about a session that has died, and cannot tell yet: all of both questions' time begins anew.
    fn undecided(&mut self, dial: DialId, noticed_by: Time) {
        for borrower in self.borrowers.iter_mut().filter(|borrower| borrower.dial == dial && borrower.is_cut_off()) {
            borrower.undecided = true;
            borrower.noticed_by = borrower.noticed_by.max(noticed_by);
        }
    }

    /// Another endpoint becomes the primary, while some are being dialed or asked.
    pub(crate) fn fail_over(&mut self, primary: u8) {
        self.primary = primary;
        for peer in &mut self.peers {
            peer.turned |= peer.line == Line::Dialing || peer.is_asked_for_role();
        }
    }

    /// The second endpoint becomes the primary, and the first does not know: whoever asked that one has a true answer.
    pub(crate) fn promote(&mut self, primary: u8) {
        (self.primary, self.split) = (primary, true);
        for peer in self.peers.iter_mut().filter(|peer| peer.dial.endpoint() == primary) {
            peer.turned |= peer.line == Line::Dialing;
        }
    }

    /// Whose server says that it is the primary, if that is what has happened, and what is told instead when it has been
    /// replaced.
    pub(crate) fn says_it_is_primary(&self, event: Event) -> Option<(DialId, Event)> {
        let fault = Fault::WrongRole;
        if let Event::Dialed { slot, dial } = event {
            return Some((dial, Event::DialFailed { slot, dial, fault }));
        }
        let Event::Proved { slot, dial, by } = event else { return None };
        let asked = self.peer(dial).is_some_and(Peer::is_asked_for_role);
        asked.then_some((dial, Event::Unproved { slot, dial, by, fault }))
    }

    /// What an endpoint writes on that is the primary, or was: the second was promoted after the first.
    pub(crate) fn history(endpoint: u8) -> History {
        History { system: 0, timeline: 1 + u32::from(endpoint) }
    }

    fn with(&mut self, dial: DialId, change: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.peer_mut(dial) {
            change(peer);
        }
    }

    fn ask(&mut self, dial: DialId, about: About, by: Time) {
        self.with(dial, |peer| {
            peer.question = Some(Question { about, by });
            peer.turned = false;
        });
    }

    /// What the question of that name was about, if its answer was outstanding.
    fn answered(&mut self, dial: DialId, by: Time) -> Option<About> {
        let peer = self.peer_mut(dial)?;
        let answered = peer.question.take_if(|question| question.by == by)?;
        peer.turned = false;
        Some(answered.about)
    }

    /// The borrower at this place begins something else.
    pub(crate) fn work(&mut self, slot: u16, work: Work) {
        for borrower in self.borrowers.iter_mut().filter(|borrower| borrower.slot == slot) {
            (borrower.work, borrower.told, borrower.heard_at) = (work, false, NOW);
        }
    }

    /// The pool is told what a borrower is doing.
    fn worked(&mut self, lease: LeaseId, work: Work, heard_at: Time, patience: Option<Span>) {
        let Some(borrower) = self.borrowers.iter_mut().find(|borrower| borrower.lease == lease) else { return };
        (borrower.work, borrower.told, borrower.looked) = (work, true, false);
        let dial = borrower.dial;
        let silent =
            matches!(work, Work::Statement { .. }) && patience.is_some_and(|patience| heard_at + patience <= NOW);
        if !silent {
            // The question was about the statement before: its answer is played as a stale one.
            self.with(dial, |peer| peer.question = None);
        }
    }

    /// The borrower is done with a session that nobody may have after it.
    fn ended(&mut self, lease: LeaseId, work: Work) {
        self.worked(lease, work, NOW, None);
        let dial = self.borrowers.iter().find(|borrower| borrower.lease == lease).map(|borrower| borrower.dial);
        if let Some(dial) = dial {
            self.with(dial, |peer| peer.dirty = true);
        }
    }

    fn returned(&mut self, lease: LeaseId, work: Work) {
        let Some(place) = self.borrowers.iter().position(|borrower| borrower.lease == lease) else { return };
        let borrower = self.borrowers.remove(place);
        self.with(borrower.dial, |peer| {
            peer.question = None;
            peer.dirty |= work != Work::AtRest;
        });
    }

    fn dial_failed(&mut self, dial: DialId, fault: Fault) {
        let Some(place) = self.peers.iter().position(|peer| peer.dial == dial) else { return };
        let peer = self.peers.remove(place);
        if peer.line == Line::Dialing && !peer.outdated && fault == Fault::Misconfigured {
            self.fatal |= 1 << dial.endpoint();
        }
    }

    fn demoted(&mut self) {
        for peer in &mut self.peers {
            match peer.line {
                Line::Dialing => peer.evidence = Evidence::Older,
                Line::Open => peer.evidence = Evidence::Demoted,
                Line::Aborting | Line::Closing => {}
            }
            if let Some(Question { about: About::Role { old }, .. }) = &mut peer.question {
                *old = true;
            }
        }
    }
}
