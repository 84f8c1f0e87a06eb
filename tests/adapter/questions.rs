//! Who asks about a session that has been silent, for how long, and who asks when that one is silent too.

use std::{
    collections::BTreeSet,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use relink::{
    Fault, Policy, Role, Target, Work,
    adapter::{Connect, Death, Failure, Found, Limits, Look, Opened, Pool, Trace},
};
use tokio::time::Instant;

use crate::script::replays;

const PRIMARY: Role = Role { in_recovery: false, default_read_only: false };
const SECOND: Duration = Duration::from_secs(1);

/// Sessions that the test silences; each has its number, from 0 on.
#[derive(Clone, Default)]
struct Server {
    state: Arc<Mutex<State>>,
    /// How long a dial takes from the third on.
    dial: Duration,
}

#[derive(Default)]
struct State {
    opened: usize,
    silent: BTreeSet<usize>,
    since: Option<Instant>,
    asked: Vec<Asked>,
}

/// One question: who put it, about whom, when, and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    asker: usize,
    about: Vec<usize>,
    after: Duration,
    within: Duration,
}

impl Server {
    /// From now on these sessions are silent, whatever is sent on them.
    fn silence(&self, sessions: &[usize]) {
        let mut state = self.state.lock().unwrap();
        state.silent.extend(sessions);
        state.since = Some(Instant::now());
    }

    fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }
}

impl Connect for Server {
    type Client = usize;
    type Watch = usize;

    fn endpoints(&self) -> usize {
        1
    }

    fn endpoint(&self, _: usize) -> String {
        "server".to_owned()
    }

    fn target(&self) -> Target {
        Target::Any
    }

    async fn dial(&self, _: usize, accepted: impl FnOnce() + Send) -> Result<Opened<usize>, Failure> {
        accepted();
        let number = {
            let mut state = self.state.lock().unwrap();
            state.opened += 1;
            state.opened - 1
        };
        if number >= 2 {
            tokio::time::sleep(self.dial).await;
        }
        Ok(Opened { client: number, role: PRIMARY, life: Box::pin(pending::<Death>()) })
    }

    async fn probe(&self, _: &mut usize) -> Result<Role, Failure> {
        Ok(PRIMARY)
    }

    async fn reset(&self, _: &mut usize) -> Result<Role, Failure> {
        Ok(PRIMARY)
    }

    fn work(&self, _: &usize) -> Work {
        Work::AtRest
    }

    fn watch(&self, number: &usize) -> usize {
        *number
    }

    fn look(&self, number: &usize) -> Look {
        let state = self.state.lock().unwrap();
        match state.since {
            Some(since) if state.silent.contains(number) => {
                Look { work: Work::Statement { durable: true }, silence: since.elapsed() }
            }
            Some(_) | None => Look { work: Work::AtRest, silence: Duration::ZERO },
        }
    }

    fn condemn(&self, _: &usize, failure: Failure) -> Option<Death> {
        Some(Death { failure, work: Work::Statement { durable: true } })
    }

    /// Everybody is dead, says whoever is not silent.
    async fn ask(
        &self,
        asker: &mut usize,
        about: &[Arc<usize>],
        limits: Limits,
        found: impl Fn(usize, Found) + Send + Sync,
    ) -> Result<Role, Failure> {
        let is_silent = {
            let mut state = self.state.lock().unwrap();
            let after = state.since.unwrap().elapsed();
            let about = about.iter().map(|number| **number).collect();
            state.asked.push(Asked { asker: *asker, about, after, within: limits.within });
            state.silent.contains(asker)
        };
        if is_silent {
            pending::<()>().await;
        }
        for place in 0..about.len() {
            found(place, Found::Dead(Failure::new(Fault::TimedOut, "says the server")));
        }
        Ok(PRIMARY)
    }
}

fn pool(server: &Server, max_size: u16) -> (Pool<Server>, Trace) {
    let mut policy = Policy::default();
    (policy.max_size, policy.min_idle) = (max_size, 0);
    let trace = Trace::new();
    (Pool::builder(server.clone(), policy.check().unwrap()).trace(&trace).seed(7).build().unwrap(), trace)
}

#[tokio::test(start_paused = true)]
async fn a_question_takes_what_is_left_of_the_oldest_suspicion() {
    let server = Server { dial: SECOND * 3 / 2, ..Server::default() };
    let (pool, trace) = pool(&server, 2);
    let leases = [pool.get().await.unwrap(), pool.get().await.unwrap()];
    server.silence(&[0, 1]);
    tokio::time::sleep(SECOND * 3).await;
    assert!(leases.iter().all(|lease| lease.death().is_some()), "{:?}", server.asked());
    // Suspected after the patience, 1 s, for 2 s; the dial of the asker took 1.5 s of these.
    let [asked] = &server.asked()[..] else { panic!("asked once: {:?}", server.asked()) };
    assert_eq!((asked.asker, asked.about.len()), (2, 2));
    assert!(asked.after >= SECOND * 5 / 2, "{asked:?}");
    assert!(asked.within <= SECOND / 2 && asked.within > Duration::ZERO, "{asked:?}");
    replays(&trace);
}

#[tokio::test(start_paused = true)]
async fn where_whoever_asks_is_silent_another_asks_after_half_of_the_time() {
    let server = Server::default();
    let (pool, trace) = pool(&server, 3);
    let lease = pool.get().await.unwrap();
    // The one that was used last asks first, and is silent itself.
    let idle = [pool.get().await.unwrap(), pool.get().await.unwrap()];
    drop(idle);
    server.silence(&[0, 2]);
    tokio::time::sleep(SECOND * 9 / 4).await;
    assert!(lease.death().is_some(), "{:?}", server.asked());
    let asked = server.asked();
    let askers: Vec<_> = asked.iter().map(|asked| asked.asker).collect();
    assert_eq!(askers, [2, 1], "{asked:?}");
    assert!(asked[1].after >= SECOND * 2 && asked[1].after < SECOND * 9 / 4, "{asked:?}");
    assert_eq!(asked[1].about, [0]);
    replays(&trace);
}
