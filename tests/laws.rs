//! The laws of the three machines: what shifting time, renaming and the extremes must not change, and what no step may cost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a test says what it expects by failing, and drives the machines with small numbers"
)]

mod machines;

use machines::{
    chances, link_events, link_states, pacer_events, pacer_states, policies, policy, rename_event, rename_link,
    shift_command, shift_event, shift_link,
};
use relink::{
    Backoff, DialId, Fault, LeaseId, Policy, Span, Time, Work,
    link::Link,
    pacer::{self, Pacer},
    policy::Checked,
    pool::{Command, Event, Pool},
};

const SHIFTS: [u64; 3] = [1, 86_400_000, 1 << 50];

#[test]
fn shifting_time_shifts_the_times_of_a_link_and_nothing_else() {
    let (policy, now) = (policy(|_| {}), Time::from_millis(50_000));
    for link in link_states(&policy) {
        for event in link_events(&link) {
            let (next, command) = link.step(&policy, now, event);
            for shift in SHIFTS {
                let by = Span::from_millis(shift);
                let shifted = shift_link(link, by).step(&policy, now + by, shift_event(event, by));
                let command = command.map(|command| shift_command(command, by));
                assert_eq!(shifted, (shift_link(next, by), command), "{link:?}, {event:?} shifted by {shift}");
            }
        }
    }
}

#[test]
fn renaming_dials_leases_and_generations_renames_them_and_nothing_else() {
    let (policy, now) = (policy(|_| {}), Time::from_millis(50_000));
    for link in link_states(&policy) {
        for event in link_events(&link) {
            let (next, command) = link.step(&policy, now, event);
            let (renamed, other) = rename_link(link).step(&policy, now, rename_event(event));
            assert_eq!(renamed, rename_link(next), "{link:?}, {event:?}");
            assert_eq!(other, command.map(machines::rename_command), "{link:?}, {event:?}");
        }
    }
}

#[test]
fn shifting_time_shifts_the_times_of_a_pacer_and_nothing_else() {
    for policy in policies() {
        for shift in SHIFTS {
            let by = Span::from_millis(shift);
            let plain = pacer_states(&policy, Time::from_millis(1));
            let shifted = pacer_states(&policy, Time::from_millis(1) + by);
            for ((pacer, now), (moved, then)) in plain.into_iter().zip(shifted) {
                for event in pacer_events(&pacer) {
                    for chance in chances() {
                        let (next, command) = pacer.step(&policy, now, event, chance);
                        let (other, commanded) = moved.step(&policy, then, event, chance);
                        assert_eq!(seen(&next, by, now), seen(&other, Span::ZERO, then), "{event:?}");
                        let command = command.map(|pacer::Command::Dial { dial, deadline }| pacer::Command::Dial {
                            dial,
                            deadline: deadline + by,
                        });
                        assert_eq!(command, commanded);
                    }
                }
            }
        }
    }
}

/// What a pacer shows, its times shifted; a time that has passed is as good as any other.
fn seen(pacer: &Pacer, by: Span, now: Time) -> impl PartialEq + std::fmt::Debug {
    let move_by = |time: Time| if time == Time::NEVER { time } else { time.max(now) + by };
    let windows: Vec<_> = (0..pacer.endpoints())
        .map(|endpoint| {
            let not_before = move_by(pacer.not_before(endpoint));
            (pacer.phase(endpoint), not_before, pacer.online_at(endpoint), pacer.in_flight(endpoint))
        })
        .collect();
    let next = [pacer.next(false), pacer.next(true)].map(|next| (move_by(next.at), next.endpoint));
    let since = pacer.outage_since().map(|since| since + by);
    (windows, next, since, pacer.settles_at().map(move_by), pacer.held(), pacer.favourite(), pacer.credentials())
}

#[test]
fn shifting_time_shifts_a_pool_and_not_what_it_does() {
    let policy = policy(|policy| policy.max_size = 2);
    for shift in SHIFTS {
        let by = Span::from_millis(shift);
        let (mut plain, mut moved) = (Pool::new(&policy, 2), Pool::new(&policy, 2));
        for (place, (ms, event)) in history().into_iter().enumerate() {
            let (mut out, mut other) = (Vec::new(), Vec::new());
            let now = Time::from_millis(ms);
            let wake = plain.step(&policy, now, event, place as u64, &mut out);
            let woken = moved.step(&policy, now + by, shift_pool_event(event, by), place as u64, &mut other);
            let out: Vec<_> = out.into_iter().map(|command| shift_pool_command(command, by)).collect();
            assert_eq!((out, wake + by), (other, woken), "step {place}, {event:?}");
            let links: Vec<_> = plain.links().iter().map(|link| shift_link(*link, by)).collect();
            assert_eq!(links, moved.links());
            assert_eq!(plain.timeout(&policy) + by, moved.timeout(&policy));
        }
    }
}

/// Two sessions, one lost in the middle of a COMMIT, one returned in a transaction, and a drain.
fn history() -> Vec<(u64, Event)> {
    let dial = DialId::new;
    let asked = |lease| Event::Asked { lease: LeaseId(lease), deadline: Time::from_millis(90_000) };
    let durable = Work::Statement { durable: true };
    vec![
        (1_000, asked(1)),
        (1_010, Event::Dialed { slot: 0, dial: dial(0, 0) }),
        (1_020, asked(2)),
        (1_030, Event::DialFailed { slot: 1, dial: dial(1, 0), fault: Fault::Overloaded }),
        (1_300, Event::Elapsed),
        (9_000, Event::Worked { slot: 0, lease: LeaseId(1), work: durable, heard_at: Time::from_millis(8_500) }),
        (9_100, Event::Elapsed),
        (10_200, Event::Elapsed),
        (10_300, Event::Lost { slot: 0, dial: dial(0, 0), fault: Fault::Lost }),
        (10_400, Event::Gone { slot: 0, dial: dial(0, 0) }),
        (60_000, Event::Elapsed),
        (61_000, Event::Demoted),
        (62_000, Event::Stopped { deadline: Time::from_millis(70_000) }),
        (95_000, Event::Elapsed),
    ]
}

fn shift_pool_event(event: Event, by: Span) -> Event {
    match event {
        Event::Asked { lease, deadline } => Event::Asked { lease, deadline: deadline + by },
        Event::Stopped { deadline } => Event::Stopped { deadline: deadline + by },
        Event::Worked { slot, lease, work, heard_at } => Event::Worked { slot, lease, work, heard_at: heard_at + by },
        other => other,
    }
}

fn shift_pool_command(command: Command, by: Span) -> Command {
    match command {
        Command::Link { slot, command } => Command::Link { slot, command: shift_command(command, by) },
        other => other,
    }
}

#[test]
fn no_step_panics_at_either_end_of_time_or_chance() {
    let ends = [0, 1, 50_000, u64::MAX - 1, u64::MAX].map(Time::from_millis);
    for policy in policies() {
        for now in ends {
            for link in link_states(&policy) {
                for event in link_events(&link) {
                    let _ = link.step(&policy, now, event);
                }
            }
            for (pacer, _) in pacer_states(&policy, now) {
                for event in pacer_events(&pacer) {
                    for chance in chances() {
                        let (next, _) = pacer.step(&policy, now, event, chance);
                        let _ = (next.next(true), next.next(false), next.held());
                    }
                }
            }
            let mut pool = Pool::new(&policy, 3);
            let mut out = Vec::new();
            for (_, event) in history() {
                let _ = pool.step(&policy, now, event, u64::MAX, &mut out);
            }
        }
    }
}

#[test]
fn a_clock_that_goes_back_is_a_clock_that_stands_still() {
    for policy in policies() {
        for (pacer, now) in pacer_states(&policy, Time::from_millis(1_000_000)) {
            for event in pacer_events(&pacer) {
                let still = pacer.step(&policy, now, event, 5);
                assert_eq!(pacer.step(&policy, Time::ZERO, event, 5), still, "{event:?}");
            }
        }
        let mut still = Pool::new(&policy, 2);
        let mut out = Vec::new();
        still.step(&policy, Time::from_millis(5_000), Event::Elapsed, 1, &mut out);
        let mut back = still.clone();
        for (_, event) in history() {
            let (mut out, mut other) = (Vec::new(), Vec::new());
            let wake = still.step(&policy, Time::from_millis(5_000), event, 1, &mut out);
            assert_eq!((back.step(&policy, Time::ZERO, event, 1, &mut other), other), (wake, out));
            assert_eq!(still, back);
        }
    }
}

/// The waits after eight failures in a row, each dialed as soon as may be.
fn waits(policy: &Checked, fault: Fault, chance: u64) -> Vec<Span> {
    let (mut pacer, mut now) = (Pacer::new(1), Time::from_millis(1_000));
    let mut waits = Vec::new();
    for serial in 0..12 {
        let (next, dial) = pacer.step(policy, now, pacer::Event::Requested { endpoint: 0 }, chance);
        assert!(dial.is_some(), "no dial at {now:?}");
        let failed = pacer::Event::Failed { dial: DialId::new(serial, 0), fault };
        pacer = next.step(policy, now, failed, chance).0;
        waits.push(pacer.not_before(0) - now);
        now = pacer.not_before(0);
    }
    waits
}

#[test]
fn every_wait_of_a_classic_policy_is_within_its_bounds_and_the_cap_is_a_cap() {
    let (base, cap) = (Span::from_millis(100), Span::from_millis(1_000));
    let bounds = [
        (Backoff::Constant { wait: cap }, cap, cap, false),
        (Backoff::Exponential { base, cap }, base, cap, false),
        (Backoff::FullJitter { base, cap }, Span::ZERO, cap, true),
        (Backoff::EqualJitter { base, cap }, Span::from_millis(50), cap, true),
        (Backoff::DecorrelatedJitter { base, cap }, base, cap, true),
        (Backoff::Grpc, Span::from_millis(800), Span::from_secs(120), true),
    ];
    for (backoff, least, most, jitters) in bounds {
        let policy = policy(|policy: &mut Policy| policy.backoff = backoff);
        let all: Vec<_> = chances().into_iter().map(|chance| waits(&policy, Fault::Overloaded, chance)).collect();
        for wait in all.iter().flatten() {
            assert!(*wait >= least && *wait <= most, "{backoff:?}: {wait}");
        }
        let longest = all.iter().flatten().max().unwrap();
        assert_eq!(*longest, most, "{backoff:?} comes to its cap, and ends there");
        let (low, high) = (all[0].last().unwrap(), all[all.len() - 1].last().unwrap());
        assert_eq!(low != high, jitters, "{backoff:?}: {low} and {high} at the cap");
    }
}

#[test]
fn every_wait_of_relinks_own_is_between_lo_and_hi_times_its_window() {
    let policy = policy(|_| {});
    for fault in Fault::ALL.into_iter().filter(|fault| !matches!(fault, Fault::Denied | Fault::Misconfigured)) {
        for chance in chances() {
            let (most, least) = (policy.capd.max(policy.cap(policy.elapsed_max)), policy.w0);
            for wait in waits(&policy, fault, chance) {
                assert!(wait >= policy.jitter_lo.of(least), "{fault}: {wait}");
                assert!(wait <= policy.jitter_hi.of(most), "{fault}: {wait}");
            }
        }
        let (low, high) = (waits(&policy, fault, 0), waits(&policy, fault, u64::MAX));
        assert!(low.iter().zip(&high).all(|(low, high)| low < high), "{fault}: two processes go in step");
    }
}

#[test]
fn sizes_are_what_they_were() {
    let sizes = [
        ("Link", size_of::<Link>()),
        ("Pacer", size_of::<Pacer>()),
        ("pool::Event", size_of::<Event>()),
        ("pool::Command", size_of::<Command>()),
    ];
    assert_eq!(sizes, [("Link", 80), ("Pacer", 504), ("pool::Event", 24), ("pool::Command", 32)]);
}

#[test]
fn no_step_allocates() {
    for policy in policies() {
        let states = link_states(&policy);
        let events = link_events(&Link::Idle);
        let pacers = pacer_states(&policy, Time::from_millis(1));
        let pacing = pacer_events(&Pacer::new(2));
        let mut pool = Pool::new(&policy, 3);
        let mut out = Vec::with_capacity(pool.commands_max());
        let history = history();
        let info = allocation_counter::measure(|| {
            for link in &states {
                for event in &events {
                    let _ = link.step(&policy, Time::from_millis(50_000), *event);
                }
            }
            for (pacer, now) in &pacers {
                for event in &pacing {
                    let _ = pacer.step(&policy, *now, *event, 3);
                }
            }
            for (ms, event) in &history {
                out.clear();
                pool.step(&policy, Time::from_millis(*ms), *event, 3, &mut out);
            }
        });
        assert_eq!(info.count_total, 0, "{info:?}");
    }
}
