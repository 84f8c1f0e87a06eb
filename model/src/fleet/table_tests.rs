//! The table says of a process what the production pacer does, on its own clock and with any word of chance.

use relink::{
    Backoff, DialId, Frame, Policy, Span, Time,
    pacer::{Command, Event, Pacer},
};

use super::*;
use crate::{
    check::{Case, Expected, Limit, explore},
    fleet::{
        Fleet,
        limit::window_max,
        process::word,
        server::Server,
        world::{QUEUE, RECOVERS, SERVERS, collapses, growing, hard, rejects, with_fixed_patience, without_jitter},
    },
    worlds::NOW,
};

fn classic(backoff: Backoff) -> Policy {
    let mut policy = growing(8);
    policy.backoff = backoff;
    policy
}

/// Every kind of draw that a reduced policy can make.
fn policies() -> Vec<Checked> {
    let (base, cap) = (Span::from_millis(1), Span::from_millis(4));
    let policies = [
        growing(8),
        growing(12),
        hard(1),
        hard(3),
        classic(Backoff::Constant { wait: cap }),
        classic(Backoff::Exponential { base, cap }),
        classic(Backoff::FullJitter { base, cap }),
        classic(Backoff::EqualJitter { base, cap }),
        classic(Backoff::DecorrelatedJitter { base, cap }),
    ];
    policies.into_iter().map(|policy| policy.check().unwrap()).collect()
}

/// The first word of a slice; that of the slice after the last is 2⁶⁴, which is 0.
fn edge(slice: usize, slices: usize) -> u64 {
    u64::try_from(((slice as u128) << 64).div_ceil(slices as u128)).unwrap_or(0)
}

fn processes(policy: &Checked, server: Server, latency: u8) -> Processes {
    Processes::of(policy, &server.answers(policy), server.silence(), latency).unwrap()
}

/// As every draw is monotone in its word, equal outcomes at both ends of a slice are equal throughout: so a slice has
/// one outcome, and slices are equally likely.
#[test]
fn every_word_of_chance_has_the_outcome_of_its_slice() {
    let mut draws = 0;
    for policy in policies() {
        let slices = slices(&policy).unwrap();
        for (_, server) in SERVERS {
            for process in processes(&policy, server, 0).all {
                let Some(event) = process.drawing else { continue };
                draws += 1;
                for slice in 0..slices {
                    let [first, middle, last] =
                        [edge(slice, slices), word(slice, slices), edge(slice + 1, slices).wrapping_sub(1)]
                            .map(|word| process.told(&policy, event, word));
                    assert!(first == middle && middle == last, "{process:?}, slice {slice} of {slices}");
                }
            }
        }
    }
    assert!(draws > 1_000);
}

#[test]
fn the_slices_have_every_whole_millisecond_of_every_jitter_equally_often() {
    for policy in policies() {
        let slices = slices(&policy).unwrap();
        for window in (0..=window_max(&policy).as_millis()).map(Span::from_millis) {
            let waits = (0..slices).map(|slice| policy.jitter(window, word(slice, slices)).as_millis());
            let mut times: BTreeMap<u64, usize> = BTreeMap::new();
            waits.for_each(|wait| *times.entry(wait).or_default() += 1);
            let [least, most] = [0, u64::MAX].map(|word| policy.jitter(window, word).as_millis());
            assert!(times.keys().copied().eq(least..=most));
            assert!(times.values().all(|count| *count == slices / times.len()));
        }
    }
}

/// A process as it really runs: on its own clock, with its own names and any word of chance.
struct Real {
    policy: Checked,
    silence: Fault,
    pacer: Pacer,
    now: Time,
    dial: Option<DialId>,
    session: Session,
    seed: u64,
}

impl Real {
    fn start(policy: &Checked, silence: Fault, origin: u64) -> Self {
        let now = Time::from_millis(origin);
        let (pacer, _) = Pacer::new(1).step(policy, now, Event::Requested { endpoint: 0 }, 0);
        let (pacer, _) = pacer.step(policy, now, Event::Dialed { dial: DialId::new(0, 0) }, 0);
        let session = Session::Online { stable_at: now };
        Self { policy: policy.clone(), silence, pacer, now, dial: None, session, seed: origin }
    }

    /// SplitMix64.
    fn word(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.word() % count as u64).unwrap()
    }

    fn step(&mut self, event: Event) -> Option<Command> {
        let word = self.word();
        let (pacer, command) = self.pacer.step(&self.policy, self.now, event, word);
        self.pacer = pacer;
        command
    }

    fn dialed(&mut self) {
        let trial = self.pacer.at(self.now).outage_since().is_some();
        self.session = Session::Online { stable_at: if trial { self.now + self.policy.stable_for } else { self.now } };
        let dial = self.dial.take().unwrap();
        self.step(Event::Dialed { dial });
    }

    fn failed(&mut self, fault: Fault) {
        self.session = Session::Wanted;
        let dial = self.dial.take().unwrap();
        self.step(Event::Failed { dial, fault });
    }

    fn tick(&mut self, up: bool) {
        self.now = self.now + Span::from_millis(1);
        match self.session {
            Session::Wanted if self.pacer.at(self.now).next(false).at <= self.now => {
                let Some(Command::Dial { dial, deadline }) = self.step(Event::Requested { endpoint: 0 }) else {
                    panic!("a dial that is due is granted")
                };
                self.dial = Some(dial);
                self.session = Session::Knocking { deadline, late: 0 };
            }
            Session::Queued { at } if at <= self.now && up => self.dialed(),
            Session::Queued { at } if at <= self.now => self.failed(Fault::Refused),
            Session::Knocking { deadline, .. } | Session::Hanging { deadline } if deadline <= self.now => {
                self.failed(self.silence);
            }
            Session::Knocking { deadline, late } => self.session = Session::Knocking { deadline, late: late + 1 },
            Session::Wanted | Session::Queued { .. } | Session::Hanging { .. } | Session::Online { .. } => {}
        }
    }

    fn answer(&mut self, answer: Answer) {
        let Session::Knocking { deadline, .. } = self.session else { panic!("it is answered once") };
        match answer {
            Answer::Session => self.dialed(),
            Answer::Fault(fault) => self.failed(fault),
            Answer::Silence => self.session = Session::Hanging { deadline },
            Answer::After(ticks) => {
                let at = self.now + Span::from_millis(ticks.into());
                self.session = if at > deadline { Session::Hanging { deadline } } else { Session::Queued { at } };
            }
        }
    }

    fn lose(&mut self) {
        let Session::Online { stable_at } = self.session else { panic!("only a session is lost") };
        self.session = Session::Wanted;
        self.step(Event::Lost { endpoint: 0, unstable: self.now < stable_at });
    }

    /// What the frame shows of it.
    fn seen(&self) -> Process {
        let dials: Vec<DialId> = self.dial.into_iter().collect();
        let frame = Frame { now: self.now, origin: NOW, dials: &dials, leases: &[], topology: 0 };
        let session = match self.session {
            Session::Wanted => Session::Wanted,
            Session::Knocking { deadline, late } => Session::Knocking { deadline: frame.due(deadline), late },
            Session::Hanging { deadline } => Session::Hanging { deadline: frame.due(deadline) },
            Session::Queued { at } => Session::Queued { at: frame.due(at) },
            Session::Online { stable_at } => Session::Online { stable_at: frame.due(stable_at) },
        };
        Process { pacer: self.pacer.seen_from(&self.policy, &frame), session, drawing: None }
    }

    /// One random event, and what the table makes of it.
    fn moves(&mut self, table: &Processes, at: Id, latency: u8) -> Id {
        let late = table.knocking(at);
        if late.is_some_and(|late| late >= latency || self.below(2) == 0) {
            let answer = *table.answers.get(self.below(table.answers.len())).unwrap();
            self.answer(answer);
            return table.answered(at, answer);
        }
        if table.online(at) && self.below(3) == 0 {
            self.lose();
            return table.lost(at);
        }
        let up = self.below(2) == 0;
        self.tick(up);
        table.ticked(at, up)
    }
}

#[test]
fn the_table_does_what_the_pacer_does_on_its_own_clock() {
    for (round, policy) in (1..).zip(policies()) {
        for (_, server) in SERVERS {
            for latency in [0, 1] {
                let table = processes(&policy, server, latency);
                let mut real = Real::start(&policy, server.silence(), 1_000_000_007 * round);
                let mut at = table.settled();
                for _ in 0..5_000 {
                    at = real.moves(&table, at, latency);
                    let seen = real.seen();
                    let is_seen = |id: &&Id| table.process(**id) == Some(&seen);
                    at = match table.drawn(at) {
                        [] => Some(&at).filter(is_seen).copied(),
                        outcomes => outcomes.iter().find(is_seen).copied(),
                    }
                    .unwrap_or_else(|| panic!("{seen:?} is not what the table says: {:?}", table.process(at)));
                }
            }
        }
    }
}

/// The same fleet, of all states of a process.
fn unmerged(fleet: &Fleet, policy: &Checked) -> Fleet {
    Fleet { processes: processes(policy, fleet.server, fleet.latency), ..fleet.clone() }
}

fn recovers(fleet: &Fleet) -> bool {
    explore(fleet, Limit::default()).unwrap().judge(&RECOVERS).holds()
}

fn ticks(fleet: &Fleet) -> Expected {
    explore(fleet, Limit::default()).unwrap().expected(Fleet::all_online, Fleet::ticks, Case::Worst, 1e-9)
}

#[test]
fn a_fleet_of_merged_states_recovers_if_that_of_all_states_does() {
    let right = SERVERS.map(|(_, server)| (2, growing(4), server));
    let wrong = [
        (2, without_jitter(growing(4)), collapses(Fault::Overloaded)),
        (2, hard(1), rejects(1, 1, 8)),
        (3, with_fixed_patience(hard(1)), QUEUE),
    ];
    for (count, policy, server) in right.into_iter().chain(wrong) {
        let policy = policy.check().unwrap();
        let fleet = Fleet::new(count, &policy, server).unwrap();
        let all = unmerged(&fleet, &policy);
        assert!(fleet.processes().count() < all.processes().count());
        assert_eq!(recovers(&fleet), recovers(&all), "{server:?}");
    }
}

#[test]
fn a_herd_of_merged_states_takes_as_long_as_that_of_all_states() {
    let (base, cap) = (Span::from_millis(1), Span::from_millis(4));
    for policy in [growing(8), hard(2), classic(Backoff::FullJitter { base, cap })] {
        let policy = policy.check().unwrap();
        let fleet = Fleet::new(3, &policy, rejects(1, 1, 8)).unwrap().herd();
        let [merged, all] = [ticks(&fleet), ticks(&unmerged(&fleet, &policy))];
        assert!(merged.converged && all.converged);
        assert!(merged.lower <= all.upper && all.lower <= merged.upper, "{merged:?}, {all:?}");
    }
}
