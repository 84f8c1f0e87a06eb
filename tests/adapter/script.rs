//! A database whose weather the test makes, and pools on it.

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
    adapter::{Connect, Death, Failure, Opened, Pool, Trace},
};
use tokio::{sync::watch, time::Instant};

/// What the scripted database does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    Refuse,
    Silent,
    Flap,
    Denied,
    Panic,
}

/// A database whose weather the test makes.
#[derive(Clone)]
pub(crate) struct Script {
    weather: watch::Sender<Weather>,
    pub(crate) dials: Arc<Mutex<Vec<Instant>>>,
    pub(crate) open: Arc<AtomicUsize>,
    pub(crate) opened: Arc<AtomicU64>,
    /// Raised to kill every session that is open now.
    kill: watch::Sender<u64>,
    pub(crate) endpoints: usize,
    pub(crate) silent_first: bool,
}

impl Script {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    pub(crate) fn kill_all(&self) {
        self.kill.send_modify(|count| *count += 1);
    }

    pub(crate) fn dials_since(&self, from: Instant) -> Vec<Instant> {
        self.dials.lock().unwrap().iter().copied().filter(|at| *at >= from).collect()
    }
}

pub(crate) struct Client {
    _open: Open,
    pub(crate) work: Work,
    pub(crate) ended: bool,
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
            Weather::Silent | Weather::Fair | Weather::Flap | Weather::Panic => accepted(),
        }
        assert_ne!(weather, Weather::Panic, "a connector may");
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

pub(crate) fn pool(script: &Script, change: impl FnOnce(&mut Policy)) -> (Pool<Script>, Trace) {
    let mut policy = Policy::default();
    change(&mut policy);
    let trace = Trace::new();
    let checked = policy.check().unwrap();
    (Pool::builder(script.clone(), checked).trace(&trace).seed(7).build().unwrap(), trace)
}

pub(crate) fn replays(trace: &Trace) {
    let diverged = trace.record().replay(|_, _| ()).err();
    assert!(diverged.is_none(), "{}", diverged.unwrap());
}

/// Workers that each hold a session for 10 ms, again and again, and note when they last had one.
pub(crate) fn workers(pool: &Pool<Script>, count: usize) -> Arc<Mutex<Vec<Vec<Instant>>>> {
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
