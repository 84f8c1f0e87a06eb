//! What every scenario needs: a pool that is watched from its first step on, and waits that have a deadline.
#![allow(dead_code, reason = "every scenario uses another part")]

use std::{
    collections::HashSet,
    error::Error,
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use relink::{
    Fault, Policy, Span, Time,
    adapter::{Builder, Event, Kind, State, Step, Trace},
    link,
    pool::{Command, Event as Fact},
    postgres::{Lease, Pool, Postgres},
};
use relink_model::bounds;
use tokio::{sync::broadcast, time::Instant};

use super::support::DATABASE;

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// How long anything that must come may take on a machine that is busy with something else.
pub(crate) const SOON: Duration = Duration::from_secs(40);

/// By how much a wait that the policy bounds may be longer on such a machine: the dial itself, the
/// scheduler, other tests.
pub(crate) const SLACK: Duration = Duration::from_secs(3);

/// The default policy at five times its speed, so that an outage of seconds is worth minutes.
pub(crate) fn brisk() -> Policy {
    let mut policy = Policy::default();
    policy.w0 = Span::from_millis(100);
    policy.stable_for = Span::from_secs(1);
    policy.capd = Span::from_secs(2);
    policy.cap0 = Span::from_secs(2);
    policy.dial_deadline = Span::from_secs(1);
    policy.dial_deadline_max = Span::from_secs(4);
    // Nothing may be missed by a test that looks late.
    policy.events_max = 1 << 16;
    policy
}

/// [`brisk`] with so many sessions at most.
pub(crate) fn brisk_of(max_size: u16) -> Policy {
    let mut policy = brisk();
    policy.max_size = max_size;
    policy.max_idle = max_size;
    policy
}

/// A pool under observation; dereferences to it.
pub(crate) struct Run {
    pool: Pool,
    trace: Trace,
    policy: Policy,
    /// The runtime's tasks before the pool was built.
    tasks: usize,
    receiver: Mutex<broadcast::Receiver<Event>>,
    events: Mutex<Vec<Event>>,
}

impl Deref for Run {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.pool
    }
}

/// An event's name and, where it has one, its fault.
fn word(fact: &Fact) -> String {
    let text = format!("{fact:?}");
    let name = text.split([' ', '{']).next().unwrap_or_default().to_owned();
    match text.split_once("fault: ") {
        Some((_, fault)) => format!("{name} {}", fault.trim_end_matches([' ', '}'])),
        None => name,
    }
}

fn alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

impl Run {
    /// Builds the pool. Tasks that are started before (proxies) are not taken for its own.
    pub(crate) fn start(url: &str, policy: Policy) -> Self {
        let config: relink::postgres::Config = url.parse().expect("a connection string");
        let checked = policy.clone().check().expect("a policy");
        Self::watch(Pool::configure(config, checked).expect("a pool"), policy)
    }

    /// The same with a builder of the test's own, by the same policy.
    pub(crate) fn watch(builder: Builder<Postgres>, policy: Policy) -> Self {
        let trace = Trace::new();
        let tasks = alive_tasks();
        let pool = builder.trace(&trace).build().expect("a pool");
        let receiver = Mutex::new(pool.events());
        Self { pool, trace, policy, tasks, receiver, events: Mutex::default() }
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A session, which must come.
    pub(crate) async fn lease(&self) -> Lease {
        self.pool.get_within(SOON).await.expect("a session")
    }

    /// Has this many sessions open at once and gives all of them back.
    pub(crate) async fn fill(&self, sessions: u16) {
        let mut leases = Vec::new();
        for _ in 0..sessions {
            leases.push(self.lease().await);
        }
        drop(leases);
        let (tally, _) = self.tally();
        assert!(tally.online >= sessions.min(self.policy.max_idle), "{tally:?}");
    }

    /// Time as events count it.
    pub(crate) fn now(&self) -> Duration {
        self.built_at().elapsed()
    }

    /// Lets time pass: an outage of a given length, not a hope.
    pub(crate) async fn until(&self, at: Duration) {
        tokio::time::sleep_until(self.built_at() + at).await;
    }

    /// Everything that has happened so far, since shortly after the pool was built.
    pub(crate) fn events(&self) -> Vec<Event> {
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match receiver.try_recv() {
                Ok(event) => events.push(event),
                Err(broadcast::error::TryRecvError::Lagged(missed)) => panic!("{missed} events missed"),
                Err(_) => return events.clone(),
            }
        }
    }

    /// What happened at or after `from`.
    pub(crate) fn since(&self, from: Duration) -> Vec<Event> {
        self.events().into_iter().filter(|event| event.at >= from).collect()
    }

    /// The dials that were started in `[from, to)`.
    pub(crate) fn dials_between(&self, from: Duration, to: Duration) -> usize {
        let within = |event: &&Event| event.kind == Kind::Dialing && event.at >= from && event.at < to;
        self.events().iter().filter(within).count()
    }

    /// All events as lines, for the message of a failed assertion.
    pub(crate) fn story(&self) -> String {
        self.events().iter().map(|event| format!("{event}\n")).collect()
    }

    /// The first event at or after `from` that is as asked. It has to come.
    pub(crate) async fn event(&self, what: &str, from: Duration, is: impl Fn(&Event) -> bool) -> Event {
        let found = comes_to(async || self.since(from).into_iter().find(&is)).await;
        found.unwrap_or_else(|| panic!("{what}: not within {SOON:?}\n{}", self.story()))
    }

    /// The first session that was opened at or after `from`.
    pub(crate) async fn online(&self, from: Duration) -> Event {
        self.event("a session", from, |event| event.kind == Kind::Online).await
    }

    /// The first dial that failed at or after `from`.
    pub(crate) async fn dial_failed(&self, from: Duration) -> Event {
        self.event("a failed dial", from, |event| matches!(event.kind, Kind::DialFailed(_))).await
    }

    /// The first failure after a dial that began at or after `from`.
    pub(crate) async fn new_dial_failed(&self, from: Duration) -> Event {
        let dialing = self.event("a dial", from, |event| event.kind == Kind::Dialing).await;
        self.dial_failed(dialing.at).await
    }

    /// The first session that was lost at or after `from`.
    pub(crate) async fn lost(&self, from: Duration) -> Event {
        self.event("a lost session", from, |event| matches!(event.kind, Kind::Lost(_))).await
    }

    /// Waits until the pool stands like this.
    pub(crate) async fn state(&self, state: State) {
        let mut status = self.status();
        let come = tokio::time::timeout(SOON, status.wait_for(|status| status.state == state)).await;
        assert!(come.is_ok(), "{state:?}: not within {SOON:?}\n{}", self.story());
    }

    /// The steps so far.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.trace.steps()
    }

    /// Gives all recorded events to the pure machine, which must command what was commanded.
    pub(crate) fn replays(&self) {
        if let Err(diverged) = self.trace.record().replay(|_, _| ()) {
            panic!("{diverged}");
        }
    }

    /// The waits from each failed dial of an endpoint to its next dial, as the machine made them.
    /// S3: none is shorter than `lo·w0`.
    pub(crate) fn keeps_its_distance(&self) {
        let floor = self.policy.jitter_lo.of(self.policy.w0);
        let mut failed = [None::<Time>; 8];
        for step in self.steps() {
            if let Fact::DialFailed { dial, .. } = step.event {
                failed[usize::from(dial.endpoint())] = Some(step.now);
            }
            for command in &step.commands {
                let Command::Dial { dial, .. } = command else { continue };
                if let Some(at) = failed[usize::from(dial.endpoint())].take() {
                    assert!(step.now - at >= floor, "S3: {:?} after the failure\n{}", step.now - at, self.story());
                }
            }
        }
    }

    /// S1: no endpoint has more dials in flight than the policy allows, which is one by default.
    pub(crate) fn dials_one_by_one(&self) {
        let mut in_flight = Vec::new();
        for step in self.steps() {
            if let Fact::Dialed { dial, .. } | Fact::DialFailed { dial, .. } = step.event {
                in_flight.retain(|other| *other != dial);
            }
            for command in &step.commands {
                if let Command::Link { command: link::Command::Abort(dial), .. } = command {
                    in_flight.retain(|other| other != dial);
                }
                let Command::Dial { dial, .. } = command else { continue };
                in_flight.push(*dial);
                let here = in_flight.iter().filter(|other| other.endpoint() == dial.endpoint()).count();
                assert!(here <= usize::from(self.policy.max_dials), "S1: {here} dials in flight\n{}", self.story());
            }
        }
    }

    /// The record has these steps in this order, whatever is between them: the name of the event and,
    /// where it has one, its fault.
    pub(crate) fn goes_through(&self, from: Duration, plot: &[&str]) {
        let steps = self.steps().into_iter().filter(|step| u128::from(step.now.as_millis()) >= from.as_millis());
        let told: Vec<String> = steps.map(|step| word(&step.event)).collect();
        let mut rest = told.iter();
        for next in plot {
            assert!(rest.any(|word| word == next), "{plot:?} needs {next} in its place: {told:?}");
        }
    }

    /// B2: the dials of an outage that refused at once, from the first loss to the first session, are
    /// no more than the policy bounds. Returns (dials, bound).
    pub(crate) fn dials_are_bounded(&self, lost: Duration, online: Duration, fault: Fault) -> (usize, u32) {
        let outage = Span::from_millis(u64::try_from((online - lost).as_millis()).expect("short") + 1);
        let bound = bounds::dials_max(&self.policy.clone().check().expect("a policy"), outage, fault).expect("a most");
        let dials = self.dials_between(lost, online);
        // The bound ends before the dial that succeeded.
        assert!(dials <= bound as usize + 1, "{dials} dials, at most {bound} + 1\n{}", self.story());
        (dials, bound)
    }

    /// B1: a server that refuses at once and is back at `up` is found within this.
    pub(crate) fn back_within(&self, lost: Duration, up: Duration) -> Duration {
        let outage = Span::from_millis(u64::try_from(up.saturating_sub(lost).as_millis()).expect("short"));
        bounds::recovery_max(&self.policy.clone().check().expect("a policy"), outage).into()
    }

    /// Closes the pool: neither tasks nor sockets are left, and the whole record replays.
    pub(crate) async fn ends_clean(self, ports: &[u16]) {
        self.pool.close_within(Span::from_secs(5)).await;
        assert_eq!(self.status().borrow().state, State::Closed);
        self.replays();
        self.keeps_its_distance();
        self.dials_one_by_one();
        self.goes_through(Duration::ZERO, &["Dialed", "Stopped"]);
        let story = self.story();
        let tasks = self.tasks;
        drop(self);
        comes("the pool's tasks end", async || (alive_tasks() <= tasks).then_some(())).await;
        for port in ports {
            let left = format!("the sockets to {port} are closed after\n{story}");
            comes(&left, async || (sockets_to(*port) == 0).then_some(())).await;
        }
    }
}

/// How `app` reaches the database at these ports of this machine, in this order; `more` begins with `?`.
pub(crate) fn url_of(ports: &[u16], more: &str) -> String {
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("postgresql://app@{}/{DATABASE}{more}", hosts.join(","))
}

/// How many sockets of this process are connected, or connecting, to a port of this machine.
///
/// The kernel lists those of all processes, with the remote port in hexadecimal and an inode. What this process has closed
/// is there for a moment yet while another test starts a program, which has all descriptors until it begins.
pub(crate) fn sockets_to(port: u16) -> usize {
    let table = fs::read_to_string("/proc/self/net/tcp").expect("the kernel's table of sockets");
    let descriptors = fs::read_dir("/proc/self/fd").expect("this process's descriptors");
    // Listed after the table, so that what is closed meanwhile is not found.
    let open: HashSet<PathBuf> = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
    let remote = format!(":{port:04X}");
    let ours = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let remotely = fields.get(2).is_some_and(|address| address.ends_with(&remote));
        remotely && fields.get(9).is_some_and(|inode| open.contains(Path::new(&format!("socket:[{inode}]"))))
    };
    table.lines().skip(1).filter(ours).count()
}

/// Asks `look` every 5 ms until it finds something; `None` after [`SOON`].
pub(crate) async fn comes_to<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + SOON;
    loop {
        if let Some(found) = look().await {
            return Some(found);
        }
        if Instant::now() > end {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The same, and it has to come.
pub(crate) async fn comes<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    comes_to(look).await.unwrap_or_else(|| panic!("{what}: not within {SOON:?}"))
}

/// The class, the code and the words of an event's failure.
pub(crate) fn failure(event: &Event) -> (Fault, String, String) {
    let (Kind::DialFailed(failure) | Kind::Lost(failure) | Kind::Unproved(failure)) = &event.kind else {
        panic!("{event} is no failure")
    };
    (failure.fault, failure.code.clone().unwrap_or_default(), failure.message.clone())
}
