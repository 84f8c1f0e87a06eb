//! The adapter under virtual time, against a scripted database.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what a test did not expect fails it")]

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use relink::{
    Fault, Policy, Role, Target, Work,
    adapter::{Connect, Death, Failure, Kind, Opened, Pool, State, Trace},
    pool::Event,
};
use tokio::{sync::watch, time::Instant};

/// What the scripted database does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Fair,
    Refuse,
    Silent,
    Flap,
    Denied,
}

/// A database whose weather the test makes.
#[derive(Clone)]
struct Script {
    weather: watch::Sender<Weather>,
    dials: Arc<Mutex<Vec<Instant>>>,
    open: Arc<AtomicUsize>,
    opened: Arc<AtomicU64>,
    /// Raised to kill every session that is open now.
    kill: watch::Sender<u64>,
    endpoints: usize,
    silent_first: bool,
}

impl Script {
    fn new() -> Self {
        Self {
            weather: watch::Sender::new(Weather::Fair),
            dials: Arc::default(),
            open: Arc::default(),
            opened: Arc::default(),
            kill: watch::Sender::new(0),
            endpoints: 1,
            silent_first: false,
        }
    }

    fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    fn kill_all(&self) {
        self.kill.send_modify(|count| *count += 1);
    }

    fn dials_since(&self, from: Instant) -> Vec<Instant> {
        self.dials.lock().unwrap().iter().copied().filter(|at| *at >= from).collect()
    }
}

struct Client {
    _open: Open,
    work: Work,
    ended: bool,
    closed: watch::Sender<bool>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.closed.send_replace(true);
    }
}

struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

const PRIMARY: Role = Role { in_recovery: false, default_read_only: false };

impl Connect for Script {
    type Client = Client;
    type Watch = ();

    fn watch(&self, _client: &Client) {}

    fn endpoints(&self) -> usize {
        self.endpoints
    }

    fn endpoint(&self, index: usize) -> String {
        format!("script:{index}")
    }

    fn target(&self) -> Target {
        Target::Any
    }

    async fn dial(&self, endpoint: usize, accepted: impl FnOnce() + Send) -> Result<Opened<Client>, Failure> {
        self.dials.lock().unwrap().push(Instant::now());
        let weather = *self.weather.borrow();
        if self.silent_first && endpoint == 0 {
            pending::<()>().await;
        }
        match weather {
            Weather::Refuse => return Err(Failure::new(Fault::Refused, "connection refused").with_code("111")),
            Weather::Denied => return Err(Failure::new(Fault::Denied, "password refused").with_code("28P01")),
            Weather::Silent | Weather::Fair | Weather::Flap => accepted(),
        }
        if weather == Weather::Silent {
            pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
        self.open.fetch_add(1, Ordering::SeqCst);
        self.opened.fetch_add(1, Ordering::SeqCst);
        let open = Open(self.open.clone());
        let closed = watch::Sender::new(false);
        let mut was_closed = closed.subscribe();
        let mut kill = self.kill.subscribe();
        let flap = weather == Weather::Flap;
        let life = async move {
            let doomed = async {
                if flap {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                } else {
                    kill.changed().await.unwrap();
                }
            };
            tokio::select! {
                () = doomed => Death { failure: Failure::new(Fault::Lost, "terminated").with_code("57P01"), work: Work::AtRest },
                _ = was_closed.wait_for(|closed| *closed) => Death { failure: Failure::new(Fault::Lost, "closed"), work: Work::AtRest },
            }
        };
        Ok(Opened {
            client: Client { _open: open, work: Work::AtRest, ended: false, closed },
            role: PRIMARY,
            life: Box::pin(life),
        })
    }

    async fn probe(&self, _client: &mut Client) -> Result<Role, Failure> {
        Ok(PRIMARY)
    }

    async fn reset(&self, client: &mut Client) -> Result<Role, Failure> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        client.work = Work::AtRest;
        Ok(PRIMARY)
    }

    fn work(&self, client: &Client) -> Work {
        client.work
    }

    fn ended(&self, client: &Client) -> bool {
        client.ended
    }
}

fn pool(script: &Script, change: impl FnOnce(&mut Policy)) -> (Pool<Script>, Trace) {
    let mut policy = Policy::default();
    change(&mut policy);
    let trace = Trace::new();
    let checked = policy.check().unwrap();
    (Pool::builder(script.clone(), checked).trace(&trace).seed(7).build().unwrap(), trace)
}

fn replays(trace: &Trace) {
    let diverged = trace.record().replay(|_, _| ()).err();
    assert!(diverged.is_none(), "{}", diverged.unwrap());
}

/// Workers that each hold a session for 10 ms, again and again, and note when they last had one.
fn workers(pool: &Pool<Script>, count: usize) -> Arc<Mutex<Vec<Vec<Instant>>>> {
    let served = Arc::new(Mutex::new(vec![Vec::new(); count]));
    for worker in 0..count {
        let (pool, served) = (pool.clone(), served.clone());
        tokio::spawn(async move {
            loop {
                let Ok(lease) = pool.get().await else { continue };
                tokio::time::sleep(Duration::from_millis(10)).await;
                if lease.death().is_none() {
                    served.lock().unwrap()[worker].push(Instant::now());
                }
            }
        });
    }
    served
}

#[tokio::test(start_paused = true)]
async fn an_outage_by_refusal_stays_within_the_bounds() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |_| {});
    let served = workers(&pool, 64);
    tokio::time::sleep(Duration::from_secs(60)).await;
    for outage in 0..15 {
        tokio::time::sleep(Duration::from_secs(65)).await;
        assert_eq!(pool.status().borrow().state, State::Up, "outage {outage} begins in peace");
        let began = Instant::now();
        script.set(Weather::Refuse);
        script.kill_all();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let up = Instant::now();
        script.set(Weather::Fair);
        let dials = script.dials_since(began);
        assert!(dials.len() <= 37, "{} dials", dials.len());
        tokio::time::sleep(Duration::from_secs(3)).await;
        let served = served.lock().unwrap();
        let first_of = |from: Instant| served.iter().map(move |times| times.iter().find(|at| **at >= from));
        let first = first_of(up).flatten().min().copied().expect("somebody was served");
        let last = first_of(up).map(|at| at.copied().expect("nobody never")).max().unwrap();
        assert!(first - up <= Duration::from_millis(1_250), "first after {:?}", first - up);
        assert!(last - first <= Duration::from_millis(250), "last after {:?}", last - first);
        println!("{outage}: {} dials, first {:?}, last {:?}", dials.len(), first - up, last - first);
    }
    replays(&trace);
}

#[tokio::test(start_paused = true)]
async fn a_flapping_server_is_paced() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |_| {});
    let _served = workers(&pool, 64);
    tokio::time::sleep(Duration::from_secs(65)).await;
    let began = Instant::now();
    script.set(Weather::Flap);
    script.kill_all();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let dials = script.dials_since(began).len();
    println!("{dials} dials while flapping");
    assert!(dials <= 16 + 16 * 60 * 4, "S2b");
    assert!(dials <= 120, "one lead session at a time: {dials}");
    replays(&trace);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_noticed_and_left_behind() {
    let script = Script::new();
    let (pool, _) = pool(&script, |_| {});
    let served = workers(&pool, 64);
    tokio::time::sleep(Duration::from_secs(65)).await;
    script.set(Weather::Silent);
    script.kill_all();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let cause = pool.status().borrow().cause.clone().expect("an outage has a cause");
    assert_eq!(cause.failure.fault, Fault::TimedOut, "not the loss before: {}", cause.failure);
    script.set(Weather::Fair);
    let healed = Instant::now();
    tokio::time::sleep(Duration::from_secs(40)).await;
    let first =
        served.lock().unwrap().iter().flatten().copied().filter(|at| *at >= healed).min().expect("served again");
    println!("back after {:?}", first - healed);
}

#[tokio::test(start_paused = true)]
async fn a_refused_password_is_not_tried_for_ever() {
    let script = Script::new();
    script.set(Weather::Denied);
    let (pool, _) = pool(&script, |_| {});
    let error = pool.get().await.expect_err("denied");
    assert_eq!(error.fault(), Fault::Denied);
    let text = error.to_string();
    assert!(text.contains("password refused") && text.contains("script:0") && text.contains("28P01"), "{text}");
    assert_eq!(script.dials.lock().unwrap().len(), 3);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(script.dials.lock().unwrap().len(), 3);
    assert_eq!(pool.status().borrow().state, State::Held(Fault::Denied));
    script.set(Weather::Fair);
    pool.renew();
    pool.get().await.expect("renewed");
}

#[tokio::test(start_paused = true)]
async fn what_stopped_dialing_stays_the_cause_when_sessions_end_later() {
    let script = Script::new();
    let (pool, _) = pool(&script, |policy| policy.min_idle = 0);
    let lease = pool.get().await.unwrap();
    script.set(Weather::Denied);
    let error = pool.get_within(Duration::from_secs(10)).await.expect_err("one session, and it is lent");
    assert_eq!((error.refusal, error.fault()), (relink::Refusal::Deadline, Fault::Denied));
    script.kill_all();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(lease.death().is_some());
    let error = pool.get().await.expect_err("held");
    let text = error.to_string();
    assert_eq!(error.refusal, relink::Refusal::Held(Fault::Denied));
    assert!(text.contains("password refused") && text.contains("28P01"), "{text}");
    let cause = pool.status().borrow().cause.clone().expect("a cause");
    assert_eq!(cause.failure.fault, Fault::Denied);
}

#[tokio::test(start_paused = true)]
async fn a_silent_first_endpoint_costs_one_hedge() {
    let mut script = Script::new();
    script.endpoints = 2;
    script.silent_first = true;
    let (pool, trace) = pool(&script, |policy| {
        policy.max_size = 1;
        policy.max_idle = 1;
    });
    let asked = Instant::now();
    let lease = pool.get().await.expect("the second endpoint answers");
    assert!(asked.elapsed() < Duration::from_millis(260), "{:?}", asked.elapsed());
    drop(lease);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(script.open.load(Ordering::SeqCst), 1);
    replays(&trace);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_leases_and_leaves_nothing_open() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |_| {});
    let lease = pool.get().await.unwrap();
    let closing = tokio::spawn({
        let pool = pool.clone();
        async move { pool.close().await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!closing.is_finished());
    assert!(pool.get().await.is_err());
    drop(lease);
    closing.await.unwrap();
    assert_eq!(script.open.load(Ordering::SeqCst), 0);
    assert_eq!(pool.status().borrow().state, State::Closed);
    replays(&trace);
}

/// The task of a dial is aborted before the runtime has polled it for the first time.
#[tokio::test(start_paused = true)]
async fn a_pool_closes_in_the_instant_in_which_a_dial_starts() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |policy| policy.min_idle = 1);
    let (tally, _) = pool.tally();
    assert_eq!(tally.dialing, 1, "begun when the pool was built");
    let closed = tokio::time::timeout(Duration::from_secs(60), pool.close()).await;
    assert!(closed.is_ok(), "{:?}", pool.tally());
    assert_eq!(script.dials_since(pool.built_at()), []);
    replays(&trace);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_cut_at_the_drain_deadline() {
    let script = Script::new();
    let (pool, _) = pool(&script, |_| {});
    let lease = pool.get().await.unwrap();
    let began = Instant::now();
    pool.close().await;
    assert_eq!(began.elapsed().as_secs(), 30);
    drop(lease);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(script.open.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_pool_is_seen_to_be_up_when_its_outage_is_forgotten() {
    let script = Script::new();
    let (pool, _) = pool(&script, |_| {});
    let mut status = pool.status();
    status.wait_for(|status| status.state == State::Up).await.unwrap();
    script.kill_all();
    status.wait_for(|status| status.state == State::Down).await.unwrap();
    status.wait_for(|status| status.state == State::Settling).await.unwrap();
    let stable_for = Duration::from(pool.policy().stable_for);
    // Nobody asks for anything, so that nothing but time can be what the pool sees.
    let up = tokio::time::timeout(2 * stable_for, status.wait_for(|status| status.state == State::Up)).await;
    assert!(up.is_ok(), "{:?}", pool.status().borrow());
}

#[tokio::test(start_paused = true)]
async fn a_quiet_pool_that_wants_nothing_is_idle() {
    let script = Script::new();
    let (pool, _) = pool(&script, |policy| policy.min_idle = 0);
    let mut status = pool.status();
    let state = || pool.status().borrow().state;
    assert_eq!(state(), State::Idle);
    let wait = tokio::time::timeout(Duration::from_millis(1), pool.get()).await;
    assert!(wait.is_err(), "a dial takes longer");
    assert_eq!(state(), State::Connecting, "the dial goes on without who asked for it");
    status.wait_for(|status| status.state == State::Up).await.unwrap();
    // `idle_max` is 10 min.
    status.wait_for(|status| status.state == State::Idle).await.unwrap();
    assert_eq!(script.open.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn no_next_dial_is_shown_while_the_only_endpoint_is_silent() {
    let script = Script::new();
    script.set(Weather::Silent);
    let (pool, _) = pool(&script, |policy| policy.min_idle = 1);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(pool.status().borrow().next_dial_at, None);
    let waiting = tokio::time::timeout(Duration::from_millis(1), pool.get_within(Duration::from_secs(1))).await;
    assert!(waiting.is_err());
    assert_eq!(pool.status().borrow().next_dial_at, None, "an answer must come first, whoever waits for it");
}

#[tokio::test(start_paused = true)]
async fn what_is_told_of_a_lease_says_where_it_was_acquired() {
    let script = Script::new();
    let (pool, _) = pool(&script, |policy| (policy.max_size, policy.max_idle) = (1, 1));
    let mut events = pool.events();
    let _lease = pool.get().await.unwrap();
    let refused = pool.get_within(Duration::from_millis(5));
    let line = line!() - 1;
    refused.await.expect_err("one session, and it is lent");
    script.kill_all();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if matches!(event.kind, Kind::Refused(..) | Kind::LeaseLost(..)) {
            told.push((event.acquired.unwrap().line(), event.to_string()));
        }
    }
    let lines: Vec<_> = told.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [line, line - 1], "{told:?}");
    assert!(told[0].1.ends_with(&format!("acquired at tests/adapter.rs:{line}:24")), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dirty_session_is_cleaned_before_the_next_borrower_has_it() {
    let script = Script::new();
    let (pool, _) = pool(&script, |policy| {
        policy.max_size = 1;
        policy.max_idle = 1;
    });
    let mut lease = pool.get().await.unwrap();
    lease.work = Work::InTransaction;
    drop(lease);
    let lease = pool.get().await.unwrap();
    assert_eq!(lease.work, Work::AtRest);
    assert_eq!(script.opened.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn the_least_is_kept_however_long_it_is_idle_and_is_asked_meanwhile() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |policy| {
        policy.min_idle = 2;
        policy.lifetime_max = None;
    });
    let leases = [pool.get().await.unwrap(), pool.get().await.unwrap(), pool.get().await.unwrap()];
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(leases);
    assert_eq!(script.open.load(Ordering::SeqCst), 5);
    // `idle_max` is 10 min.
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert_eq!(script.open.load(Ordering::SeqCst), 5);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(script.open.load(Ordering::SeqCst), 2);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!((script.open.load(Ordering::SeqCst), script.opened.load(Ordering::SeqCst)), (2, 5));
    replays(&trace);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_comes_back_ended_is_lent_to_nobody() {
    let script = Script::new();
    let (pool, _) = pool(&script, |policy| {
        policy.max_size = 1;
        policy.max_idle = 1;
    });
    let mut lease = pool.get().await.unwrap();
    lease.ended = true;
    // Its life has not told so yet.
    drop(lease);
    assert!(pool.get_within(Duration::ZERO).await.is_err());
    script.kill_all();
    assert!(!pool.get().await.unwrap().ended);
    assert_eq!(script.opened.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_borrower_can_wait_for_the_reason_of_the_end() {
    let script = Script::new();
    let (pool, _) = pool(&script, |_| {});
    let lease = pool.get().await.unwrap();
    let silent = tokio::time::timeout(Duration::from_secs(60), lease.ended()).await;
    assert!(silent.is_err(), "it lives");
    script.kill_all();
    assert!(lease.death().is_none(), "its life has not been told so yet");
    assert_eq!(lease.ended().await.failure.code.as_deref(), Some("57P01"));
    assert!(lease.death().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_lease_cut_by_relink_says_so_and_what_it_was_doing() {
    let script = Script::new();
    let (pool, _) = pool(&script, |_| {});
    let mut lease = pool.get().await.unwrap();
    lease.work = Work::Statement { durable: true };
    pool.close().await;
    let death = lease.ended().await;
    assert_eq!(death.failure.to_string(), "relink ended the session (lost)");
    assert_eq!(death.work, Work::Statement { durable: true });
}

#[tokio::test(start_paused = true)]
async fn a_discarded_session_is_closed_and_starts_no_outage() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |policy| policy.min_idle = 0);
    let lease = pool.get().await.unwrap();
    lease.discard();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(script.open.load(Ordering::SeqCst), 0, "it is closed");
    assert_eq!(pool.status().borrow().cause, None, "and nothing was lost");
    let discards = trace.steps().iter().filter(|step| matches!(step.event, Event::Discarded { .. })).count();
    assert_eq!(discards, 1);
    let started = Instant::now();
    drop(pool.get().await.unwrap());
    assert!(started.elapsed() < Duration::from_millis(100), "nothing holds up the next dial");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_loses_nothing() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |policy| {
        policy.max_size = 2;
        policy.max_idle = 2;
    });
    for round in 0..200_u64 {
        let pool = pool.clone();
        tokio::spawn(async move {
            let wait = Duration::from_millis(round % 7);
            if let Ok(Ok(lease)) = tokio::time::timeout(wait, pool.get()).await {
                tokio::time::sleep(Duration::from_millis(round % 5)).await;
                drop(lease);
            }
        });
        if round % 3 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (tally, waiters) = pool.tally();
    assert_eq!((tally.online, tally.leased, waiters), (2, 0, 0));
    replays(&trace);
}

#[test]
fn a_pool_outlives_its_runtime_without_panic() {
    let script = Script::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (pool, lease) = runtime.block_on(async {
        let (pool, _) = pool(&script, |_| {});
        let lease = pool.get().await.unwrap();
        (pool, lease)
    });
    drop(runtime);
    drop(lease);
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = other.block_on(pool.get()).expect_err("the runtime is gone");
    assert_eq!(error.refusal, relink::Refusal::Stopped);
    drop(pool);
    assert_eq!(script.open.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_pool_tells_by_itself_when_an_outage_is_forgotten() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |_| {});
    drop(pool.get().await.unwrap());
    script.kill_all();
    let mut status = pool.status();
    status.wait_for(|status| status.state == State::Settling).await.unwrap();
    let settling = Instant::now();
    let up = tokio::time::timeout(Duration::from_secs(60), status.wait_for(|status| status.state == State::Up)).await;
    assert!(up.is_ok(), "still {:?}", pool.status().borrow().state);
    assert_eq!(settling.elapsed().as_secs(), 30);
    assert_eq!(pool.status().borrow().cause, None);
    replays(&trace);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_pool_leaves_no_task_behind() {
    for closes in [false, true] {
        let script = Script::new();
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let before = tasks();
        let (pool, _) = pool(&script, |_| {});
        drop(pool.get_within(Duration::from_secs(3_600)).await.unwrap());
        if closes {
            pool.close().await;
        }
        drop(pool);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(tasks(), before, "closed first: {closes}");
        assert_eq!(script.open.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_counts_the_dials_of_its_outage_and_no_others() {
    let script = Script::new();
    // By a dial that failed, and by a session that was lost.
    for lost in [false, true] {
        let (pool, _) = pool(&script, |_| {});
        if lost {
            drop(pool.get().await.unwrap());
            // Until no dial is in flight any more.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let began = Instant::now();
        script.set(Weather::Refuse);
        script.kill_all();
        if lost {
            pool.status().wait_for(|status| status.state == State::Down).await.unwrap();
        }
        let error = pool.get_within(Duration::from_secs(10)).await.expect_err("refused");
        assert_eq!(error.dials, script.dials_since(began).len() as u64, "lost: {lost}");
        script.set(Weather::Fair);
    }
}

#[tokio::test(start_paused = true)]
async fn the_timer_wakes_at_most_twice_for_each_dial() {
    let script = Script::new();
    script.set(Weather::Refuse);
    let (pool, trace) = pool(&script, |_| {});
    tokio::time::sleep(Duration::from_secs(60)).await;
    let wakes = trace.steps().iter().filter(|step| step.event == Event::Elapsed).count();
    let dials = script.dials.lock().unwrap().len();
    // Once to start it, and once when the transport of a dial that was refused long since would have been due.
    assert!(dials > 20 && wakes <= 2 * dials, "{wakes} wakes for {dials} dials");
    drop(pool);
}
