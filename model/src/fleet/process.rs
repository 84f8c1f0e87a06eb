//! One process of a fleet: its pacer, which is the production one, and its one session.

use relink::{
    Backoff, Checked, DialId, Fault, Frame, Span, Time,
    pacer::{Command, Event, Pacer},
};

use super::{limit, server::Answer};
use crate::worlds::NOW;

const TICK: Span = Span::from_millis(1);

/// The one dial of a process that anybody can speak of, as its frame calls it.
const DIAL: DialId = DialId::new(1, 0);

/// Where the one session of a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Session {
    /// Nowhere: it is wanted.
    Wanted,
    /// Its dial is on the way to the server.
    Knocking {
        /// When the dial must have ended.
        deadline: Time,
        /// For how many ticks it has been on the way.
        late: u8,
    },
    /// Its dial will get no answer.
    Hanging {
        /// When the dial must have ended.
        deadline: Time,
    },
    /// Its dial waits in the server's queue.
    Queued {
        /// When it will be answered, which is not after its deadline.
        at: Time,
    },
    /// It is open.
    Online {
        /// When it will have been usable for `stable_for`.
        stable_at: Time,
    },
}

/// One process, seen from the frame whose present is [`NOW`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// The machine under test.
    pub pacer: Pacer,
    /// Its one session.
    pub session: Session,
    /// What has happened at this instant and waits for its random word.
    pub drawing: Option<Event>,
}

impl Process {
    /// A process whose session is open and stable, with no outage on record.
    pub(super) fn settled(policy: &Checked) -> Self {
        let (pacer, _) = Pacer::new(1).step(policy, NOW, Event::Requested { endpoint: 0 }, 0);
        let (pacer, _) = pacer.step(policy, NOW, Event::Dialed { dial: DialId::new(0, 0) }, 0);
        Self { pacer, session: Session::Online { stable_at: NOW }, drawing: None }.seen_from(policy, NOW)
    }

    /// The same process in the frame whose present is [`NOW`], when it is `now` in the old one.
    fn seen_from(mut self, policy: &Checked, now: Time) -> Self {
        let dialing = match self.session {
            Session::Wanted | Session::Online { .. } => self.drawing.is_some(),
            Session::Knocking { .. } | Session::Hanging { .. } | Session::Queued { .. } => true,
        };
        let dials: &[DialId] = if dialing { &[DIAL] } else { &[] };
        let frame = Frame { now, origin: NOW, dials, leases: &[], topology: 0 };
        match &mut self.session {
            Session::Wanted => {}
            Session::Knocking { deadline: at, .. }
            | Session::Hanging { deadline: at }
            | Session::Queued { at }
            | Session::Online { stable_at: at } => *at = frame.due(*at),
        }
        self.pacer = self.pacer.seen_from(policy, &frame);
        self
    }

    /// A tick later: a due dial starts, a dial in a queue or at its deadline is answered.
    pub(super) fn ticked(self, rules: &Rules<'_>, up: bool) -> Self {
        let now = NOW + TICK;
        let seen = |session| Self { session, ..self }.seen_from(rules.policy, now);
        match self.session {
            Session::Online { .. } => seen(self.session),
            Session::Wanted => {
                let pacer = self.pacer.at(now);
                if pacer.next(false).at > now {
                    return seen(Session::Wanted);
                }
                let (pacer, command) = pacer.step(rules.policy, now, Event::Requested { endpoint: 0 }, 0);
                let Some(Command::Dial { dial, deadline }) = command else { return seen(Session::Wanted) };
                // Nobody speaks of any other dial: its name in the frame is the first.
                let frame = Frame { now, origin: NOW, dials: &[dial], leases: &[], topology: 0 };
                let pacer = pacer.seen_from(rules.policy, &frame);
                Self { pacer, session: Session::Knocking { deadline: frame.due(deadline), late: 0 }, drawing: None }
            }
            Session::Queued { at } if at > now => seen(self.session),
            Session::Queued { .. } if up => seen(self.session).dialed(rules),
            Session::Queued { .. } => seen(self.session).failed(rules, Fault::Refused),
            Session::Knocking { deadline, .. } | Session::Hanging { deadline } if deadline <= now => {
                seen(self.session).failed(rules, rules.silence)
            }
            Session::Hanging { .. } => seen(self.session),
            Session::Knocking { deadline, late } => seen(Session::Knocking { deadline, late: late.saturating_add(1) }),
        }
    }

    /// The server has answered its dial, which was knocking.
    pub(super) fn answered(self, rules: &Rules<'_>, answer: Answer) -> Option<Self> {
        let Session::Knocking { deadline, .. } = self.session else { return None };
        let hanging = Self { session: Session::Hanging { deadline }, ..self };
        Some(match answer {
            Answer::Session => self.dialed(rules),
            Answer::Fault(fault) => self.failed(rules, fault),
            Answer::Silence => hanging,
            Answer::After(ticks) => {
                let at = NOW + TICK * u64::from(ticks);
                if at > deadline { hanging } else { Self { session: Session::Queued { at }, ..self } }
            }
        })
    }

    fn dialed(self, rules: &Rules<'_>) -> Self {
        // As in the pool: a session is on trial if the outage clock runs when it opens.
        let on_trial = self.pacer.outage_since().is_some();
        let stable_at = if on_trial { NOW + rules.policy.stable_for } else { NOW };
        self.happens(rules, Session::Online { stable_at }, Event::Dialed { dial: DIAL })
    }

    fn failed(self, rules: &Rules<'_>, fault: Fault) -> Self {
        self.happens(rules, Session::Wanted, Event::Failed { dial: DIAL, fault })
    }

    /// Its session dies.
    pub(super) fn lost(self, rules: &Rules<'_>) -> Option<Self> {
        let Session::Online { stable_at } = self.session else { return None };
        let unstable = NOW < stable_at;
        self.drawing.is_none().then(|| self.happens(rules, Session::Wanted, Event::Lost { endpoint: 0, unstable }))
    }

    /// An event after which the session is at `session`; it waits for its random word if that makes a difference.
    fn happens(self, rules: &Rules<'_>, session: Session, event: Event) -> Self {
        let waiting = Self { session, drawing: Some(event), ..self };
        match waiting.drawn(rules).as_slice() {
            [only] => *only,
            _ => waiting,
        }
    }

    /// What the coin makes of the event that waits: equally likely outcomes, of which some may be the same.
    pub(super) fn drawn(self, rules: &Rules<'_>) -> Vec<Self> {
        let Some(event) = self.drawing else { return Vec::new() };
        let mut outcomes: Vec<(Self, usize)> = Vec::new();
        for slice in 0..rules.slices {
            let drawn = self.told(rules.policy, event, word(slice, rules.slices));
            match outcomes.iter_mut().find(|(known, _)| *known == drawn) {
                Some((_, times)) => *times += 1,
                None => outcomes.push((drawn, 1)),
            }
        }
        let common = outcomes.iter().fold(0, |common, (_, times)| gcd(common, *times));
        outcomes.iter().flat_map(|(drawn, times)| std::iter::repeat_n(*drawn, times / common)).collect()
    }

    /// After the event, with this random word.
    pub(super) fn told(self, policy: &Checked, event: Event, chance: u64) -> Self {
        let (pacer, _) = self.pacer.step(policy, NOW, event, chance);
        Self { pacer, session: self.session, drawing: None }.seen_from(policy, NOW)
    }
}

/// What one process needs to know of its world.
pub(super) struct Rules<'a> {
    pub(super) policy: &'a Checked,
    /// What a dial has met that had no answer by its deadline.
    pub(super) silence: Fault,
    /// Into how many equal slices the words of chance are cut, none of which crosses an edge between two outcomes.
    pub(super) slices: usize,
}

/// The word in the middle of a slice of all words of chance.
pub(super) fn word(slice: usize, slices: usize) -> u64 {
    let middle = ((slice as u128 * 2 + 1) << 63) / slices.max(1) as u128;
    u64::try_from(middle).unwrap_or(u64::MAX)
}

/// The greatest common divisor.
pub(super) fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Into how many equal slices all words of chance are cut by the draws of a policy: a common multiple of the
/// numbers of outcomes of its draws, which are whole milliseconds and equally likely.
///
/// `None` for gRPC, whose numbers are seconds and fixed, and where a draw has more than 16 outcomes.
pub fn slices(policy: &Checked) -> Option<usize> {
    let ms = |span: Span| span.as_millis();
    let windows = (0..=ms(limit::window_max(policy))).map(Span::from_millis);
    let jitter = windows.map(|window| ms(policy.jitter(window, u64::MAX) - policy.jitter(window, 0)));
    let classic = match policy.backoff {
        Backoff::Relink | Backoff::Constant { .. } | Backoff::Exponential { .. } => 0,
        Backoff::FullJitter { cap, .. } | Backoff::EqualJitter { cap, .. } => ms(cap),
        Backoff::DecorrelatedJitter { cap, .. } => ms(cap),
        Backoff::Grpc => return None,
    };
    let most = jitter.chain([classic, ms(policy.w0), ms(policy.replace_jitter)]).max().unwrap_or(0) + 1;
    let most = usize::try_from(most).ok().filter(|most| *most <= 16)?;
    Some((1..=most).fold(1, |all, outcomes| all / gcd(all, outcomes) * outcomes))
}
