//! The grid of a pacer: every edge of the set's and of one endpoint's fields, beside four second endpoints.

use relink::{
    Backoff, Checked, DialId, Fault, Policy, Ratio, Span, Time,
    pacer::{Event, Pacer, Parts, WindowParts},
    policy::Builder,
};

use super::{
    Bug, Finding, Law, Level,
    grid::{Place, edges},
    pacer_law::{self, Case, Moment},
    premise,
    scratch::{Back, Scratch},
    tell,
};

/// Late enough for every span of the policies to have passed.
const NOW: Time = Time::from_millis(10_000_000_000);

/// The serial of the next dial.
const NEXT: u64 = 9;

/// As late as a clock may be, 292 million years from its origin: near the end of all times a wait would reach it.
const LATE: u64 = u64::MAX / 2;

/// One of each outcome class of chance.
const WORDS: [u64; 3] = [0, u64::MAX / 2, u64::MAX];

/// All pacers under one policy.
pub(super) struct Grid {
    policy: Checked,
    lost_at: Vec<Time>,
    settle_at: Vec<Time>,
    not_before: Vec<Time>,
    over: Vec<Span>,
    rung: Vec<Span>,
    cut: Vec<u64>,
    renewed: Vec<u64>,
    online: Vec<u16>,
    in_flight: Vec<u8>,
    allowed: Vec<u8>,
    doublings: Vec<u8>,
    refusals: Vec<u8>,
    dials: Vec<u32>,
    failed: [Option<bool>; 3],
    held: Vec<Option<Fault>>,
    others: Vec<Option<WindowParts>>,
    /// What is known of an endpoint that was never dialed.
    fresh: WindowParts,
    /// When the event comes.
    at: Vec<Time>,
    events: Vec<Event>,
}

/// relink's own backoff with a ramp, and with an end.
pub(super) fn own(level: Level) -> Vec<Grid> {
    let ramp = Policy::builder().max_dials(3);
    let ending = Policy::builder().give_up_dials(Some(3)).give_up_after(Some(Span::from_secs(100)));
    grids([ramp, ending], level)
}

/// Two of the classic ones: one climbs without chance, one draws what it remembers.
pub(super) fn classic(level: Level) -> Vec<Grid> {
    let (base, cap) = (Span::from_secs(1), Span::from_secs(8));
    let ladder = Policy::builder().backoff(Backoff::Exponential { base, cap });
    let spread = Policy::builder().backoff(Backoff::DecorrelatedJitter { base, cap }).max_dials(2);
    grids([ladder, spread], level)
}

fn grids(policies: [Builder; 2], level: Level) -> Vec<Grid> {
    policies.into_iter().filter_map(|policy| Some(Grid::new(policy.check().ok()?, level))).collect()
}

fn times(ms: impl IntoIterator<Item = u64>) -> Vec<Time> {
    edges(ms.into_iter().map(Time::from_millis))
}

impl Grid {
    fn new(policy: Checked, level: Level) -> Self {
        let full = level == Level::Full;
        let now = NOW.as_millis();
        let own = policy.backoff == Backoff::Relink;
        let ago = |span: Span| now - span.as_millis();
        // Where the window of absence begins to grow, and where it and the outage's age stop.
        let knees = [policy.w0, policy.capd].map(|window| inverse(policy.kd, window));
        let few = [policy.elapsed_max].into_iter().chain(policy.give_up_after);
        let lost = few.chain(knees.into_iter().filter(|_| full)).map(ago);
        let lost = lost.chain([now, u64::MAX]);
        let after = [now + 1, now + policy.w0.as_millis()];
        let [floor, ceiling] = [Span::ZERO, policy.elapsed_max].map(|age| policy.cap(age).as_millis());
        let windows = [0, policy.w0.as_millis(), floor, ceiling].into_iter().filter(|ms| own || *ms == 0);
        // Above an edge: below it the window is as good as the edge's, for what is read is the greater of two.
        let over = windows.flat_map(|ms| [Some(ms), full.then_some(ms + u64::from(own))]).flatten();
        let ladder = if full { vec![0, 1_000, 4_001, 8_000] } else { vec![0, 8_000] };
        let rung = if own { vec![0] } else { ladder };
        let top = (0..8).find(|n| policy.dial_deadline_at(*n) == policy.dial_deadline_max).unwrap_or(8);
        let [fresh, _] = Pacer::new(1).parts().windows;
        let quick_or = |all: Vec<u64>, few: Vec<u64>| if full { all } else { few };
        Self {
            lost_at: times(lost),
            settle_at: times(quick_or(
                vec![now, now + 1, now + policy.stable_for.as_millis(), u64::MAX],
                vec![now, now + 1, u64::MAX],
            )),
            not_before: times(quick_or(vec![0, after[0], after[1], LATE], vec![0, after[0]])),
            over: edges(over.map(Span::from_millis)),
            rung: edges(rung.into_iter().map(Span::from_millis)),
            cut: vec![0, NEXT],
            renewed: vec![0, NEXT],
            online: if full { vec![0, 1, u16::MAX] } else { vec![0, 1] },
            in_flight: edges([0, 1, policy.max_dials]),
            allowed: edges([1, policy.max_dials]),
            doublings: edges([0, top]),
            refusals: if full {
                vec![policy.refusals_max - 1, policy.refusals_max]
            } else {
                vec![policy.refusals_max - 1]
            },
            dials: policy.give_up_dials.map_or(vec![0], |most| vec![0, most - 1, most]),
            failed: [None, Some(false), Some(true)],
            held: vec![None, Some(Fault::Denied)],
            others: others(full, fresh),
            fresh,
            at: times(quick_or(vec![0, now, now + 1, now + 10_000_000, LATE], vec![now, now + 10_000_000])),
            events: events(),
            policy,
        }
    }

    fn parts(&self, mut place: Place) -> Option<Parts> {
        let place = &mut place;
        let (lost_at, settle_at) = (place.of(&self.lost_at)?, place.of(&self.settle_at)?);
        let window = WindowParts {
            not_before: place.of(&self.not_before)?,
            over: place.of(&self.over)?,
            rung: place.of(&self.rung)?,
            cut: place.of(&self.cut)?,
            hedge_at: NOW + self.policy.hedge_after,
            online: place.of(&self.online)?,
            in_flight: place.of(&self.in_flight)?,
            allowed: place.of(&self.allowed)?,
            doublings: place.of(&self.doublings)?,
            refusals: place.of(&self.refusals)?,
            failed: place.of(&self.failed)?,
            seen: place.of(&[false, true])?,
            flapped: place.of(&[false, true])?,
            held: place.of(&self.held)?,
        };
        let (renewed, dials, other) = (place.of(&self.renewed)?, place.of(&self.dials)?, place.of(&self.others)?);
        Some(Parts {
            now: NOW,
            lost_at,
            settle_at,
            next: NEXT,
            renewed,
            credentials: 1,
            dials,
            endpoints: if other.is_some() { 2 } else { 1 },
            favourite: 0,
            windows: [window, other.unwrap_or(self.fresh)],
        })
    }
}

/// None; one that was never dialed; one with a session; one that is held.
fn others(full: bool, fresh: WindowParts) -> Vec<Option<WindowParts>> {
    let online = WindowParts { online: 1, failed: Some(false), ..fresh };
    let held = WindowParts { held: Some(Fault::Misconfigured), failed: Some(true), seen: true, ..fresh };
    let some = if full { vec![fresh, online, held] } else { vec![online] };
    [None].into_iter().chain(some.into_iter().map(Some)).collect()
}

/// The age at which `share` of it is `window`.
fn inverse(share: Ratio, window: Span) -> Span {
    let millionths = u64::from(share.as_millionths()).max(1);
    Span::from_millis(window.as_millis() * 1_000_000 / millionths)
}

impl super::Grid for Grid {
    type State = Parts;

    fn places(&self) -> u64 {
        let fields =
            [self.lost_at.len(), self.settle_at.len(), self.not_before.len(), self.over.len(), self.rung.len()];
        let counts =
            [self.cut.len(), self.online.len(), self.in_flight.len(), self.allowed.len(), self.doublings.len()];
        let rest = [self.refusals.len(), self.failed.len(), 2, 2, self.held.len(), self.renewed.len()];
        let all = fields.into_iter().chain(counts).chain(rest).chain([self.dials.len(), self.others.len()]);
        all.map(|count| count as u64).product()
    }

    fn state(&self, place: u64) -> Option<Parts> {
        self.parts(Place(place)).filter(|parts| pacer_law::broken_state(&self.policy, parts).is_none())
    }

    fn triples(&self, _: &Parts) -> u64 {
        (self.events.len() * self.at.len() * WORDS.len()) as u64
    }

    fn concern(&self, before: &Parts, vain: &mut Vec<Law>) {
        let pacer = Pacer::from_parts(before);
        for (at, event) in self.at.iter().flat_map(|at| self.events.iter().map(move |event| (*at, *event))) {
            let (after, command) = pacer.step(&self.policy, at, event, 0);
            let (policy, after, starts) = (&self.policy, &after.parts(), command.is_some());
            let step = premise::Paced { policy, before, event, after, starts };
            vain.retain(|law| !step.concerns(*law));
        }
    }

    fn judge(&self, before: &Parts, bug: Option<Bug>) -> Option<Finding> {
        // Nearly always all is well, and a step is taken back at a third of what a copy costs. Whatever is found is found
        // by steps that each begin at a copy.
        if self.holds(before, bug) { None } else { self.judge_with(before, bug, Back::All).0 }
    }
}

impl Grid {
    fn holds(&self, before: &Parts, bug: Option<Bug>) -> bool {
        let (finding, whole) = self.judge_with(before, bug, Back::Shown);
        whole && finding.is_none()
    }

    /// The first finding, and whether the steps have left everything else as it was.
    fn judge_with(&self, before: &Parts, bug: Option<Bug>, back: Back) -> (Option<Finding>, bool) {
        let state = (*before, Pacer::from_parts(before));
        let later = pacer_law::relabel(before).map(|other| (other, Pacer::from_parts(&other)));
        let mut scratch = [&state, later.as_ref().unwrap_or(&state)].map(|(_, pacer)| Scratch::new(pacer, back));
        let finding = self.at.iter().find_map(|at| {
            let then = later.as_ref().zip(pacer_law::late(*at));
            let later = then.map(|(other, at)| Moment::new(&self.policy, other, at, None));
            let moment = Moment::new(&self.policy, &state, *at, later.as_ref());
            self.judge_moment(&moment, &state.1, &mut scratch, bug)
        });
        let [now, later] = &mut scratch;
        (finding, now.is_whole() && later.is_whole())
    }

    fn judge_moment(
        &self,
        moment: &Moment<'_>,
        pacer: &Pacer,
        scratch: &mut [Scratch<'_>; 2],
        bug: Option<Bug>,
    ) -> Option<Finding> {
        let (before, at) = (moment.before, moment.at);
        let found = |law, event, became| Finding { law, step: [tell::pacer(before, at), event, became] };
        if let Some(law) = moment.broken() {
            let became = tell::change(before, &pacer.at(at).parts(), at);
            return Some(found(law, "nothing has happened since".to_owned(), became));
        }
        for event in self.events.iter().copied() {
            let case = Case::new(moment, event);
            for chance in WORDS {
                if let Some(law) = case.broken(chance, scratch, bug) {
                    let mut after = *pacer;
                    let command = case.step(&mut after, chance, bug);
                    let mut became = tell::change(before, &after.parts(), at);
                    if let Some(command) = command {
                        became += &format!("; {}", tell::shown(&command, at));
                    }
                    return Some(found(law, format!("{}, chance {chance}", tell::shown(&event, at)), became));
                }
            }
        }
        None
    }
}

/// Every event, for both endpoints and for one outside the set; dials of before and after the last failure.
fn events() -> Vec<Event> {
    let mut events = vec![Event::Renewed];
    for endpoint in [0, 1, 7] {
        events.extend([Event::Requested { endpoint }, Event::Retired { endpoint }]);
        events.extend([false, true].map(|unstable| Event::Lost { endpoint, unstable }));
        let dial = DialId::new(NEXT - 1, endpoint);
        events.extend([Event::Dialed { dial }, Event::Abandoned { dial }]);
        events.push(Event::Failed { dial, fault: Fault::Refused });
    }
    let faults = Fault::ALL.into_iter().filter(|fault| *fault != Fault::Refused);
    events.extend(faults.map(|fault| Event::Failed { dial: DialId::new(NEXT - 1, 0), fault }));
    let old = DialId::new(0, 0);
    events.extend([Fault::Refused, Fault::TimedOut, Fault::Denied].map(|fault| Event::Failed { dial: old, fault }));
    events.push(Event::Dialed { dial: old });
    events
}
