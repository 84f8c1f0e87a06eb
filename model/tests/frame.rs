//! A pool on an absolute clock with names that are never used again is, at every step, what its frame shows.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use relink::{
    DialId, Frame, LeaseId, Span, Time,
    pool::{Command, Event, Pool},
};
use relink_model::worlds::{
    NOW, changing_pool, fail_over, idle_asker, jumping_clock, one_link, pool_of_two, preferred_standby,
    replaced_primary, silent_peer, two_endpoints,
    world::{Action, State, World},
};
use stateright::Model;

const STEPS: u32 = 100_000;

/// The production pool as it really runs, and the real names of what the world speaks of.
struct Real {
    pool: Pool,
    now: Time,
    /// In the order of the world's peers.
    dials: Vec<DialId>,
    /// In the order of the world's names.
    leases: Vec<LeaseId>,
    asked: u64,
    dialed: u64,
}

impl Real {
    fn start(world: &World, origin: u64) -> Self {
        let mut real = Self {
            pool: Pool::new(&world.policy, world.endpoints),
            now: Time::from_millis(origin),
            dials: Vec::new(),
            leases: Vec::new(),
            asked: 1_000,
            dialed: 0,
        };
        real.step(world, Event::Elapsed, 0);
        real
    }

    fn step(&mut self, world: &World, event: Event, chance: u64) {
        let mut out = Vec::new();
        self.pool.step(&world.policy, self.now, event, chance, &mut out);
        match event {
            Event::Asked { lease, .. } => self.leases.push(lease),
            Event::GaveUp { lease } | Event::Returned { lease, .. } | Event::Discarded { lease, .. } => {
                self.leases.retain(|known| *known != lease)
            }
            Event::Gone { dial, .. } | Event::DialFailed { dial, .. } => self.dials.retain(|known| *known != dial),
            Event::Accepted { .. } | Event::Dialed { .. } | Event::Proved { .. } | Event::Unproved { .. } => {}
            Event::Worked { .. }
            | Event::Ended { .. }
            | Event::Unheard { .. }
            | Event::FoundAlive { .. }
            | Event::Undecided { .. }
            | Event::FoundDead { .. }
            | Event::Lost { .. } => {}
            Event::Demoted | Event::Renewed | Event::Resized { .. } | Event::Paused | Event::Resumed => {}
            Event::Stopped { .. } | Event::Elapsed => {}
        }
        for command in out {
            match command {
                Command::Dial { dial, .. } => {
                    self.dials.push(dial);
                    self.dialed += 1;
                }
                Command::Refuse { lease, .. } | Command::Report { lease, .. } => {
                    self.leases.retain(|known| *known != lease);
                }
                Command::Link { .. } | Command::Grant { .. } => {}
            }
        }
    }

    /// The same event by its real names.
    fn named(&mut self, event: Event) -> Event {
        let dials = &self.dials;
        let real = |dial: DialId| dials[usize::try_from(dial.serial()).expect("a small place") - 1];
        let leases = &self.leases;
        let now = self.now;
        // All questions that are overdue have one name in a frame; of a session only one is open.
        let pool = &self.pool;
        let at = |slot, by: Time| {
            let late = pool.link(slot).question().filter(|_| by <= NOW);
            late.unwrap_or(now + (by - NOW))
        };
        let held = |lease: LeaseId| leases[usize::try_from(lease.0).expect("a small place") - 1];
        match event {
            Event::Asked { deadline, .. } => {
                self.asked += 3;
                Event::Asked { lease: LeaseId(self.asked), deadline: self.now + (deadline - NOW) }
            }
            Event::GaveUp { lease } => Event::GaveUp { lease: held(lease) },
            Event::Returned { slot, lease, work } => Event::Returned { slot, lease: held(lease), work },
            Event::Ended { slot, lease, work } => Event::Ended { slot, lease: held(lease), work },
            Event::Discarded { slot, lease } => Event::Discarded { slot, lease: held(lease) },
            Event::Accepted { slot, dial } => Event::Accepted { slot, dial: real(dial) },
            Event::Dialed { slot, dial } => Event::Dialed { slot, dial: real(dial) },
            Event::DialFailed { slot, dial, fault } => Event::DialFailed { slot, dial: real(dial), fault },
            Event::Proved { slot, dial, by } => Event::Proved { slot, dial: real(dial), by: at(slot, by) },
            Event::Unproved { slot, dial, by, fault } => {
                Event::Unproved { slot, dial: real(dial), by: at(slot, by), fault }
            }
            Event::Worked { slot, lease, work, heard_at } => {
                let heard_at = Time::from_millis(now.as_millis() - (NOW - heard_at).as_millis());
                Event::Worked { slot, lease: held(lease), work, heard_at }
            }
            Event::FoundAlive { slot, dial, by } => Event::FoundAlive { slot, dial: real(dial), by: at(slot, by) },
            Event::Unheard { slot, dial, by } => Event::Unheard { slot, dial: real(dial), by: at(slot, by) },
            Event::Undecided { slot, dial, by } => Event::Undecided { slot, dial: real(dial), by: at(slot, by) },
            Event::FoundDead { slot, dial, by } => Event::FoundDead { slot, dial: real(dial), by: at(slot, by) },
            Event::Lost { slot, dial, fault } => Event::Lost { slot, dial: real(dial), fault },
            Event::Gone { slot, dial } => Event::Gone { slot, dial: real(dial) },
            Event::Stopped { deadline } => Event::Stopped { deadline: self.now + (deadline - NOW) },
            Event::Demoted
            | Event::Renewed
            | Event::Resized { .. }
            | Event::Paused
            | Event::Resumed
            | Event::Elapsed => event,
        }
    }

    fn seen(&self, world: &World) -> Pool {
        let frame = Frame {
            now: self.now,
            origin: NOW,
            dials: &self.dials,
            leases: &self.leases,
            topology: self.pool.topology(),
        };
        self.pool.seen_from(&world.policy, &frame)
    }
}

fn walk(world: Option<World>, mut seed: u64) {
    let world = World { stop: false, ..world.expect("the reduced policy is valid") };
    let mut real = Real::start(&world, seed % 1_000_000);
    let mut state: State = world.init_states().remove(0);
    let mut actions = Vec::new();
    for step in 0..STEPS {
        assert!(real.seen(&world) == state.pool, "after {step} steps\n{:#?}\n{:#?}", real.seen(&world), state.pool);
        actions.clear();
        world.actions(&state, &mut actions);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Time passes as often as everything else together, or nothing ever grows old.
        let tick = actions[0] == Action::Tick && seed >> 63 == 0;
        let among = u64::try_from(actions.len()).expect("a few actions");
        let chosen = if tick { 0 } else { usize::try_from((seed >> 33) % among).expect("a place") };
        let action = actions[chosen];
        match action {
            Action::Work(..) | Action::Die(_) | Action::Arrive | Action::FailOver | Action::Promote => {}
            Action::Tick => real.now = real.now + Span::from_millis(1),
            Action::Jump => real.now = real.now + world.jump.expect("only then the clock jumps"),
            Action::Tell(event, chance) => {
                for event in world.told(&state, event).into_iter().flatten() {
                    let event = real.named(event);
                    real.step(&world, event, chance);
                }
            }
        }
        if let Some(next) = world.next_state(&state, action) {
            state = next;
        }
    }
    let dialed = real.dialed;
    assert!(dialed > 100, "the walk went nowhere: {dialed} dials");
}

#[test]
fn a_frame_loses_nothing_that_a_later_step_reads() {
    for seed in 1..5 {
        walk(one_link(None), seed * 7_919);
        walk(pool_of_two(None), seed * 104_729);
        walk(changing_pool(None), seed * 1_299_709);
        walk(two_endpoints(None), seed * 15_485_863);
        walk(silent_peer(None), seed * 32_452_843);
        walk(idle_asker(None), seed * 141_650_939);
        walk(jumping_clock(None), seed * 49_979_687);
        walk(fail_over(None), seed * 67_867_967);
        walk(replaced_primary(None), seed * 86_028_121);
        walk(preferred_standby(None), seed * 122_949_823);
    }
}
