//! Failovers and silences of real servers under writers, and what a pool with the default policy makes of them.
//!
//! Each scenario says what must hold. A run of it starts its own servers, shows what happened in numbers and holds them
//! against that; what was missed is said in words and never left out.
#![allow(dead_code, unused_imports, reason = "the sample plays some of the scenarios, the table all of them")]

mod bouncer;
mod bulk;
mod commit;
mod crew;
mod lasting;
mod measured;
mod names;
mod network;
mod path;
mod report;
mod resolver;
mod silence;
mod slow;
mod stage;
mod takeover;

use std::{error::Error, time::Duration};

pub(crate) use bouncer::Turn;
pub(crate) use commit::Point;
use measured::{Errors, Goal};
pub(crate) use measured::{Measured, judge};
pub(crate) use network::{Entered, Network, enter};
pub(crate) use path::Way;
pub(crate) use report::{Played, Report};
pub(crate) use slow::Greeting;
pub(crate) use takeover::Harm;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How many workers write.
pub(crate) const WORKERS: usize = 64;

/// How long the workers are watched for after an event. Nothing that is worth waiting for takes longer.
pub(crate) const WATCHED: Duration = Duration::from_secs(30);

/// What is done to the servers, or to the way to them.
#[derive(Clone, Copy)]
pub(crate) enum Play {
    Takeover(Harm),
    /// The standby has an open transaction when it takes over.
    OpenRead,
    /// The hosts have one name, and the standby takes over at another address of it.
    NameMoves,
    /// Names are not answered: for so long while half of the sessions live, and for as long without any.
    NameSilent(Duration),
    /// The standby is the first host of two; nothing else happens until so many writes were acknowledged.
    StandbyFirst(usize),
    /// The sessions that are there lead nowhere from now on; new ones are fine.
    Hole(Way),
    /// Nothing passes for so long, then everything does.
    Stall(Way, Duration),
    /// The session of one caller leads nowhere when it sends its statement; all else is fine.
    Arrival(Way),
    /// The statement of one caller, which takes this long, arrives; its answer does not.
    Answer(Duration),
    /// The server's half of each session ends.
    HalfClosed,
    /// All sessions are cut, and for so long new ones are accepted and come to nothing.
    Dials(Greeting, Duration),
    /// The answer to one caller comes a byte a second.
    SlowAnswer,
    /// The session of one caller leads nowhere in the middle of a result of 60 MB.
    Result(Way),
    /// Slow callers copy in and out, while all other sessions lead nowhere.
    Copy,
    /// So many times all sessions are lost.
    Rounds(usize),
    /// Nothing happens for so long, but that all is slow and everybody busy.
    Calm(Duration),
    /// A statement that takes this long, while all other sessions lead nowhere.
    Long(Duration),
    /// The client itself is stopped for so long.
    Suspend(Duration),
    Bouncer(Turn),
    Commit(Point),
}

/// One row of the table.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) goal: Goal,
    pub(crate) play: Play,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// 0.3 s for the promotion, one gap, `jitter_hi·w0`, and 0.1 s.
const GAP: f64 = 1.1;

/// B3 of the default policy and a second to dial.
const SILENCE: f64 = 6.0;

/// The default policy's patience and half a second.
const PATIENCE: f64 = 1.5;

/// What a stall may cost beyond its own length.
const RESUMED: f64 = 1.5;

/// How long dials come to nothing.
pub(crate) const UNANSWERED: Duration = seconds(12);

/// B1 after such an outage, the rest of the deadline in force included, and half a second to dial.
pub(crate) const DIALED: f64 = 17.5;

/// How long names are not answered, twice.
pub(crate) const UNNAMED: Duration = seconds(8);

/// The system's resolver asks again after 5 s; B1 after all of that, and half a second to dial.
pub(crate) const NAMED: f64 = 12.6;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "kill",
        about: "kill -9 of the primary, promotion of the standby 2 s later",
        goal: Goal { all_s: Some(GAP), ..Goal::of(Errors::InFlight) },
        play: Play::Takeover(Harm::Kill),
    },
    Scenario {
        name: "freeze",
        about: "all processes of the primary stopped (SIGSTOP), promotion 2 s later; times from the freeze",
        goal: Goal { all_s: Some(SILENCE), ..Goal::of(Errors::InFlight) },
        play: Play::Takeover(Harm::Freeze),
    },
    Scenario {
        name: "off",
        about: "the primary's host without power (all its packets dropped), promotion 2 s later; times from then",
        goal: Goal { all_s: Some(SILENCE), ..Goal::of(Errors::InFlight) },
        play: Play::Takeover(Harm::Off),
    },
    Scenario {
        name: "unreachable",
        about: "no route to the primary's host (ICMP), promotion 2 s later; times from then",
        goal: Goal { all_s: Some(SILENCE), ..Goal::of(Errors::InFlight) },
        play: Play::Takeover(Harm::Unreachable),
    },
    Scenario {
        name: "open-read",
        about: "as kill; a caller reads in a transaction on the standby meanwhile, and then writes on that session",
        goal: Goal { all_s: Some(GAP), ..Goal::of(Errors::InFlight) },
        play: Play::OpenRead,
    },
    Scenario {
        name: "dns-moves",
        about: "as kill, but one host by name: the standby takes over at another address of it",
        goal: Goal { all_s: Some(GAP), ..Goal::of(Errors::InFlight) },
        play: Play::NameMoves,
    },
    Scenario {
        name: "dns-silent",
        about: "no name is answered for 16 s, half of the sessions ended at first, the rest after 8 s; times from then",
        goal: Goal { all_s: Some(NAMED), lost_max: Some(16), ..Goal::of(Errors::InFlight) },
        play: Play::NameSilent(UNNAMED),
    },
    Scenario {
        name: "first",
        about: "the standby is the first host of two, 15 000 writes",
        goal: Goal::of(Errors::None),
        play: Play::StandbyFirst(15_000),
    },
    Scenario {
        name: "hole",
        about: "every packet of the live sessions dropped, new connections fine",
        goal: Goal { all_s: Some(SILENCE), ..Goal::of(Errors::InFlight) },
        play: Play::Hole(Way::Dropped),
    },
    Scenario {
        name: "hole-proxy",
        about: "a proxy that reads the live sessions no more, new connections fine",
        goal: Goal { all_s: Some(SILENCE), ..Goal::of(Errors::InFlight) },
        play: Play::Hole(Way::Stranded),
    },
    Scenario {
        name: "stop",
        about: "fast stop of the primary, promotion 2 s later",
        goal: Goal { all_s: Some(GAP), ..Goal::of(Errors::InFlight) },
        play: Play::Takeover(Harm::Stop),
    },
    Scenario {
        name: "switchover",
        about: "fast stop and promotion at once; the old primary rejoins by pg_rewind under load",
        goal: Goal { all_s: Some(GAP), ..Goal::of(Errors::InFlight) },
        play: Play::Takeover(Harm::Switchover),
    },
    Scenario {
        name: "back",
        about: "the way back: the old primary, rejoined by pg_rewind, is promoted again",
        goal: Goal { all_s: Some(GAP), ..Goal::of(Errors::InFlight) },
        play: Play::Takeover(Harm::Back),
    },
    Scenario {
        name: "stall-1",
        about: "all packets dropped for 1 s; times from the end of it",
        goal: Goal { lost_max: Some(0), ..Goal::of(Errors::None) },
        play: Play::Stall(Way::Dropped, seconds(1)),
    },
    Scenario {
        name: "stall-1-proxy",
        about: "a proxy that moves nothing for 1 s; times from the end of it",
        goal: Goal { lost_max: Some(0), ..Goal::of(Errors::None) },
        play: Play::Stall(Way::Stranded, seconds(1)),
    },
    Scenario {
        name: "stall-4",
        about: "all packets dropped for 4 s, which is less than B3; times from the end of it",
        goal: Goal { lost_max: Some(0), ..Goal::of(Errors::None) },
        play: Play::Stall(Way::Dropped, seconds(4)),
    },
    Scenario {
        name: "stall-4-proxy",
        about: "a proxy that moves nothing for 4 s; times from the end of it",
        goal: Goal { lost_max: Some(0), ..Goal::of(Errors::None) },
        play: Play::Stall(Way::Stranded, seconds(4)),
    },
    Scenario {
        name: "stall-10",
        about: "all packets dropped for 10 s; times from the end of it",
        goal: Goal { all_s: Some(RESUMED), ..Goal::of(Errors::InFlight) },
        play: Play::Stall(Way::Dropped, seconds(10)),
    },
    Scenario {
        name: "stall-10-proxy",
        about: "a proxy that moves nothing for 10 s; times from the end of it",
        goal: Goal { all_s: Some(RESUMED), ..Goal::of(Errors::InFlight) },
        play: Play::Stall(Way::Stranded, seconds(10)),
    },
    Scenario {
        name: "arrival",
        about: "one statement's packets dropped on their way, the endpoint healthy",
        goal: Goal { caller_s: Some(PATIENCE), ..Goal::of(Errors::InFlight) },
        play: Play::Arrival(Way::Dropped),
    },
    Scenario {
        name: "arrival-proxy",
        about: "one statement swallowed by a proxy on its way, the endpoint healthy",
        goal: Goal { caller_s: Some(PATIENCE), ..Goal::of(Errors::InFlight) },
        play: Play::Arrival(Way::Stranded),
    },
    Scenario {
        name: "answer",
        about: "one statement of 2 s arrives, its packets dropped from 1 s on; its caller's time from the end of it",
        goal: Goal { caller_s: Some(SILENCE - 1.0), ..Goal::of(Errors::Ambiguous(1)) },
        play: Play::Answer(seconds(2)),
    },
    Scenario {
        name: "half-closed",
        about: "the server's half of each live session ended by a proxy, the other half open",
        goal: Goal { all_s: Some(RESUMED), lost_max: Some(16), ..Goal::of(Errors::InFlight) },
        play: Play::HalfClosed,
    },
    Scenario {
        name: "never-answered",
        about: "sessions cut, and dials accepted and never answered for 12 s; times from the end of it",
        goal: Goal { all_s: Some(DIALED), lost_max: Some(16), ..Goal::of(Errors::InFlight) },
        play: Play::Dials(Greeting::Never, UNANSWERED),
    },
    Scenario {
        name: "slow-dial",
        about: "sessions cut, and dials answered a byte a second for 12 s; times from the end of it",
        goal: Goal { all_s: Some(DIALED), lost_max: Some(16), ..Goal::of(Errors::InFlight) },
        play: Play::Dials(Greeting::Trickle, UNANSWERED),
    },
    Scenario {
        name: "slow-answer",
        about: "the answer to one caller comes a byte a second",
        goal: Goal { caller_s: Some(25.0), lost_max: Some(0), ..Goal::of(Errors::None) },
        play: Play::SlowAnswer,
    },
    Scenario {
        name: "result",
        about: "packets dropped in the middle of one caller's result of 60 MB, the endpoint healthy",
        goal: Goal { caller_s: Some(SILENCE), lost_max: Some(1), ..Goal::of(Errors::None) },
        play: Play::Result(Way::Dropped),
    },
    Scenario {
        name: "result-proxy",
        about: "a proxy that stops in the middle of one caller's result of 60 MB, the endpoint healthy",
        goal: Goal { caller_s: Some(SILENCE), lost_max: Some(1), ..Goal::of(Errors::None) },
        play: Play::Result(Way::Stranded),
    },
    Scenario {
        name: "copy",
        about: "COPY in and out by callers who pause for 3 s, while every packet of all other sessions is dropped",
        goal: Goal { lost_max: Some(14), ..Goal::of(Errors::InFlight) },
        play: Play::Copy,
    },
    Scenario {
        name: "leaks",
        about: "200 times all sessions lost, ended by the server and reset by a proxy in turns; waits of 10 ms",
        goal: Goal::of(Errors::Any),
        play: Play::Rounds(200),
    },
    Scenario {
        name: "calm",
        about: "nothing for 600 s but 50 ms more a round trip, a statement of 3 s in a hundred, 4 workers a session",
        goal: Goal { lost_max: Some(0), ..Goal::of(Errors::None) },
        play: Play::Calm(seconds(600)),
    },
    Scenario {
        name: "long",
        about: "a statement of 60 s while every packet of all other sessions is dropped",
        goal: Goal { caller_s: Some(61.0), ..Goal::of(Errors::InFlight) },
        play: Play::Long(seconds(60)),
    },
    Scenario {
        name: "suspend",
        about: "the client stopped (SIGSTOP) for 30 s; times from its wake-up",
        goal: Goal { lost_max: Some(0), ..Goal::of(Errors::Waits) },
        play: Play::Suspend(seconds(30)),
    },
    Scenario {
        name: "bouncer-restart",
        about: "PgBouncer in front (transaction mode) killed and started; times from its start",
        goal: Goal { all_s: Some(GAP), ..Goal::of(Errors::InFlight) },
        play: Play::Bouncer(Turn::Restart),
    },
    Scenario {
        name: "bouncer-switch",
        about: "PgBouncer serves from the standby from now on, which is promoted 2 s later",
        goal: Goal { all_s: Some(GAP), ..Goal::of(Errors::InFlight) },
        play: Play::Bouncer(Turn::Switch),
    },
    Scenario {
        name: "bouncer-full",
        about: "all server connections of PgBouncer taken by others for 3 s; times from the end of it",
        goal: Goal { lost_max: Some(0), ..Goal::of(Errors::None) },
        play: Play::Bouncer(Turn::Full),
    },
    Scenario {
        name: "commit-wait",
        about: "16 commits cut (kill -9) while they wait for a standby: told as ambiguous, and durable",
        goal: Goal::of(Errors::Ambiguous(16)),
        play: Play::Commit(Point::Wait),
    },
    Scenario {
        name: "commit-record",
        about: "16 commits cut (kill -9) before their commit record: told as ambiguous, and gone",
        goal: Goal::of(Errors::Ambiguous(16)),
        play: Play::Commit(Point::Record),
    },
];

impl Scenario {
    /// Whether packets vanish or go astray, which takes a network of this process's own.
    pub(crate) fn needs_network(&self) -> bool {
        match self.play {
            Play::Hole(way) | Play::Stall(way, _) | Play::Arrival(way) | Play::Result(way) => way == Way::Dropped,
            Play::Takeover(harm) => harm.needs_network(),
            Play::Answer(_) | Play::Long(_) | Play::Copy | Play::NameMoves | Play::NameSilent(_) => true,
            Play::OpenRead | Play::StandbyFirst(_) | Play::Suspend(_) | Play::Bouncer(_) | Play::Commit(_) => false,
            Play::HalfClosed | Play::Dials(..) | Play::SlowAnswer | Play::Rounds(_) | Play::Calm(_) => false,
        }
    }

    /// How often it is run when nobody says: chance has its part in all but the ten minutes in which nothing happens.
    pub(crate) fn runs(&self) -> u32 {
        if matches!(self.play, Play::Calm(_)) { 1 } else { 5 }
    }

    /// One run, on servers of its own.
    pub(crate) async fn run(&self) -> Outcome<Measured> {
        match self.play {
            Play::Takeover(harm) => takeover::takeover(harm).await,
            Play::OpenRead => takeover::open_read().await,
            Play::NameMoves => names::moves().await,
            Play::NameSilent(each) => names::silent(each).await,
            Play::StandbyFirst(writes) => takeover::standby_first(writes).await,
            Play::Hole(way) => silence::hole(way).await,
            Play::Stall(way, length) => silence::stall(way, length).await,
            Play::Arrival(way) => silence::arrival(way).await,
            Play::Answer(length) => silence::answer(length).await,
            Play::HalfClosed => slow::half_closed().await,
            Play::Dials(greeting, length) => slow::dials(greeting, length).await,
            Play::SlowAnswer => slow::answer().await,
            Play::Result(way) => bulk::result(way).await,
            Play::Copy => bulk::copy().await,
            Play::Rounds(rounds) => lasting::rounds(rounds).await,
            Play::Calm(length) => lasting::calm(length).await,
            Play::Long(length) => silence::long(length).await,
            Play::Suspend(length) => silence::suspend(length).await,
            Play::Bouncer(turn) => bouncer::bouncer(turn).await,
            Play::Commit(point) => commit::commit(point).await,
        }
    }
}
