//! The grid of a link: every state, every edge of its fields, and every event with the names it has and with others.

use relink::{
    Checked, DialId, Fault, LeaseId, Policy, Span, Time, Work,
    link::{Event, Lease, Link, Session},
    pool::ASKERS,
};

use super::{
    Bug, Finding, Law, Level,
    grid::{Place, around, edges},
    link_law, premise, tell,
};

/// Late enough for every span of the default policy to have passed, as no day is.
pub(super) const NOW: Time = Time::from_millis(10_000_000_000);

/// The dial and the lease that a state has, and others of before and after.
pub(super) const DIAL: DialId = DialId::new(7, 1);
const DIALS: [DialId; 4] = [DIAL, DialId::new(6, 1), DialId::new(8, 1), DialId::new(7, 2)];
const LEASE: LeaseId = LeaseId(4);
const LEASES: [LeaseId; 2] = [LEASE, LeaseId(3)];

const FAULTS: [Fault; 2] = [Fault::Denied, Fault::Misconfigured];
const WORKS: [Work; 4] =
    [Work::AtRest, Work::InTransaction, Work::Statement { durable: false }, Work::Statement { durable: true }];

/// All links under one policy.
pub(super) struct Grid {
    policy: Checked,
    /// Times around now.
    times: Vec<Time>,
    /// Times of the past, as far back as the policy looks.
    past: Vec<Time>,
    topologies: Vec<u32>,
    events: Vec<Event>,
}

/// One for each policy.
pub(super) fn grids(level: Level) -> Vec<Grid> {
    let limited = Policy::builder().lease_warn(Some(Span::from_secs(10)));
    let unlimited = Policy::builder().lease_warn(None).patience(None).idle_max(None);
    [limited, unlimited].into_iter().filter_map(|policy| Some(Grid::new(policy.check().ok()?, level))).collect()
}

impl Grid {
    fn new(policy: Checked, level: Level) -> Self {
        let now = NOW.as_millis();
        let mut times = edges(around(now).into_iter().map(Time::from_millis).chain([Time::NEVER]));
        let spans = [policy.patience, policy.idle_max].into_iter().flatten();
        let edge = |span: Span| around(now - span.as_millis());
        let mut past = edges(spans.flat_map(edge).map(Time::from_millis).chain([NOW]));
        let mut topologies = vec![2];
        if level == Level::Full {
            let far = [0, now + policy.question_deadline.as_millis(), u64::MAX - 1];
            times = edges(times.into_iter().chain(far.map(Time::from_millis)));
            past = edges(past.into_iter().chain([Time::ZERO, Time::from_millis(now + 1)]));
            topologies = vec![0, 2, u32::MAX - 1, u32::MAX];
        }
        let events = events(&times);
        Self { policy, times, past, topologies, events }
    }

    fn session(&self, place: &mut Place) -> Option<Session> {
        let (stable_at, retire_at) = (place.of(&[NOW, Time::NEVER])?, place.of(&self.times)?);
        Some(Session { dial: DIAL, stable_at, retire_at, topology: place.of(&self.topologies)? })
    }

    fn lease(&self, place: &mut Place) -> Option<Lease> {
        let (work, warn_at) = (place.of(&WORKS)?, place.of(&self.times)?);
        Some(Lease { id: LEASE, work, warn_at, heard_at: place.of(&self.past)? })
    }

    /// Every event; the name of the open question is among the names that an answer may have.
    fn events_of(&self, link: &Link) -> impl Iterator<Item = Event> {
        self.events.iter().copied().chain(link.question().into_iter().flat_map(answers_by))
    }

    fn link(&self, kind: u64, place: &mut Place) -> Option<Link> {
        const BOTH: [bool; 2] = [false, true];
        Some(match kind {
            0 => Link::Idle,
            1 => Link::Waiting,
            2 => Link::Held { fault: place.of(&FAULTS)? },
            3 => Link::Closed,
            4 => Link::Dialing {
                dial: DIAL,
                deadline: place.of(&self.times)?,
                topology: place.of(&self.topologies)?,
                connect_by: place.of(&self.times)?,
            },
            5 => {
                let (deadline, opened) = (place.of(&self.times)?, place.of(&BOTH)?);
                Link::Closing { dial: DIAL, deadline, opened }
            }
            6 => Link::Online { session: self.session(place)?, since: place.of(&self.past)?, proved: place.of(&BOTH)? },
            7 => Link::Leased { session: self.session(place)?, lease: self.lease(place)? },
            8 => Link::Suspected {
                session: self.session(place)?,
                lease: self.lease(place)?,
                deadline: place.of(&self.times)?,
                again: place.of(&BOTH)?,
                asker: place.of(&[None, Some(ASKERS)])?,
            },
            9 => Link::Draining {
                session: self.session(place)?,
                lease: self.lease(place)?,
                deadline: place.of(&self.times)?,
            },
            _ => Link::Probing {
                session: self.session(place)?,
                deadline: place.of(&self.times)?,
                topology: place.of(&self.topologies)?,
            },
        })
    }
}

/// The kinds of state.
const KINDS: u64 = 11;

impl super::Grid for Grid {
    type State = Link;

    fn places(&self) -> u64 {
        let [times, past, topologies] = [self.times.len(), self.past.len(), self.topologies.len()].map(|n| n as u64);
        let (session, lease) = (2 * times * topologies, 4 * times * past);
        // Of the kind that has most: a suspected one; or a probing one, where there is more of topologies than of leases.
        KINDS * (session * lease * times * 4).max(session * times * topologies)
    }

    fn state(&self, place: u64) -> Option<Link> {
        let mut rest = Place(place / KINDS);
        let link = self.link(place % KINDS, &mut rest)?;
        // What is left of the number is no field's: that state has come before.
        (rest.0 == 0).then_some(link)
    }

    fn triples(&self, link: &Link) -> u64 {
        self.events_of(link).count() as u64
    }

    fn concern(&self, link: &Link, vain: &mut Vec<Law>) {
        for event in self.events_of(link) {
            let next = link.step(&self.policy, NOW, event);
            vain.retain(|law| !premise::concerns(*law, *link, event, next));
        }
    }

    fn judge(&self, link: &Link, bug: Option<Bug>) -> Option<Finding> {
        self.events_of(link).find_map(|event| {
            let law = link_law::broken(&self.policy, *link, event, bug)?;
            let (next, command) = link_law::step(&self.policy, *link, NOW, event, bug);
            let mut became = tell::shown(&next, NOW);
            if let Some(command) = command {
                became += &format!("; {}", tell::shown(&command, NOW));
            }
            Some(Finding { law, step: [tell::shown(link, NOW), tell::shown(&event, NOW), became] })
        })
    }
}

/// The five answers, or their absence, to a question with this name.
fn answers_by(by: Time) -> [Event; 6] {
    let dial = DIAL;
    [
        Event::Proved { dial, by },
        Event::Unproved { dial, by },
        Event::Unheard { dial, by },
        Event::FoundAlive { dial, by },
        Event::Undecided { dial, by },
        Event::FoundDead { dial, by },
    ]
}

/// Every event, with names that a state has and names that it has not.
fn events(times: &[Time]) -> Vec<Event> {
    use Event::{
        Accepted, DialFailed, Dialed, Doubted, Elapsed, Engaged, FoundAlive, FoundDead, Gone, Granted, HeldBack, Lent,
        Lost, Proved, Questioned, Renewed, Reopened, Retired, Returned, Spared, Stopped, Undecided, Unheard, Unproved,
        Unwanted, Wanted, Worked,
    };
    let (deadline, earlier) = (NOW + Span::from_secs(5), Time::from_millis(1));
    let mut events = vec![Wanted, Unwanted, Renewed, Retired, Elapsed, Questioned { asker: 3 }, Reopened, Spared];
    events.extend([Doubted { topology: 3 }, Engaged { topology: 3 }]);
    events.extend(FAULTS.map(|fault| HeldBack { fault }));
    events.extend(times.iter().map(|deadline| Stopped { deadline: *deadline }));
    events.extend([0, 3, u32::MAX].map(|topology| Granted { dial: DIALS[2], deadline, topology }));
    for dial in DIALS {
        events.extend([Accepted { dial }, DialFailed { dial }, Lost { dial }, Gone { dial }]);
        let retirements = [NOW, deadline, Time::NEVER];
        events.extend(retirements.map(|retire_at| Dialed { dial, stable_at: deadline, retire_at }));
        let by = earlier;
        events.extend([Proved { dial, by }, Unproved { dial, by }, Unheard { dial, by }]);
        events.extend([FoundAlive { dial, by }, Undecided { dial, by }, FoundDead { dial, by }]);
    }
    for lease in LEASES {
        events.push(Lent { lease });
        let heard = [earlier, Time::from_millis(NOW.as_millis() - 1_000), NOW, deadline];
        events.extend(heard.into_iter().flat_map(|heard_at| WORKS.map(|work| Worked { lease, work, heard_at })));
        events.extend(WORKS.map(|work| Returned { lease, work }));
    }
    events
}
