//! What the scenarios of logins, sessions and borrowers ask of a watched pool.
#![allow(dead_code, reason = "every scenario uses another part")]

use relink::{
    Fault, Policy, Span,
    adapter::{Connect, Event, Failure, Kind, State},
    postgres::{Config, Lease, Pool},
};

use crate::{
    common::{Run, SOON, comes},
    support::Postgres,
};

/// The default policy, but without a session that is kept ready beside those that are lent: what a test has not asked
/// for is not dialed.
pub(crate) fn plain(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::default();
    policy.min_idle = 0;
    policy.events_max = 1 << 16;
    change(&mut policy);
    policy
}

/// A pool of `app` at `server`, by the [`plain`] policy with changes.
pub(crate) fn pool_at(server: &Postgres, change: impl FnOnce(&mut Policy)) -> Run {
    Run::start(&server.url("app"), plain(change))
}

/// The same with a configuration that is changed before the pool has it.
pub(crate) fn pool_with(url: &str, with: impl FnOnce(Config) -> Config, change: impl FnOnce(&mut Policy)) -> Run {
    let policy = plain(change);
    let config: Config = url.parse().unwrap();
    Run::watch(Pool::configure(with(config), policy.clone().check().unwrap()).unwrap(), policy)
}

fn codes(events: &[Event], is: impl Fn(&Kind) -> Option<&Failure>) -> Vec<String> {
    events.iter().filter_map(|event| is(&event.kind)).map(|failure| failure.code.clone().unwrap_or_default()).collect()
}

impl Run {
    pub(crate) fn count(&self, is: impl Fn(&Kind) -> bool) -> usize {
        self.events().iter().filter(|event| is(&event.kind)).count()
    }

    /// The codes of the failed dials so far.
    pub(crate) fn failed_dials(&self) -> Vec<String> {
        codes(&self.events(), |kind| if let Kind::DialFailed(failure) = kind { Some(failure) } else { None })
    }

    /// The codes of the sessions lost so far.
    pub(crate) fn losses(&self) -> Vec<String> {
        codes(&self.events(), |kind| if let Kind::Lost(failure) = kind { Some(failure) } else { None })
    }

    /// Dials since the pool was built.
    pub(crate) fn dials(&self) -> u64 {
        self.status().borrow().dials
    }

    pub(crate) fn state_now(&self) -> State {
        self.status().borrow().state
    }

    /// Dialing has stopped for good: nothing is in flight and nothing is due.
    pub(crate) fn is_held(&self, fault: Fault, dials: u64) {
        let status = self.status().borrow().clone();
        assert_eq!((status.state, status.dials, status.next_dial_at), (State::Held(fault), dials, None), "{status:?}");
        assert_eq!(self.tally().0.dialing, 0);
    }

    /// A session that works.
    pub(crate) async fn served(&self) -> Lease {
        let lease = self.get_within(SOON).await.unwrap_or_else(|error| panic!("{error}\n{}", self.story()));
        assert_eq!(lease.query_one("select 7", &[]).await.unwrap().get::<_, i32>(0), 7);
        lease
    }

    /// Waits until nothing goes on: no lease, no waiter, no dial. Returns how many sessions are at rest.
    pub(crate) async fn rests(&self) -> u16 {
        comes("a pool at rest", async || {
            let (tally, waiters) = self.tally();
            let busy = tally.leased + tally.probing + tally.dialing + tally.closing;
            (busy == 0 && waiters == 0).then_some(tally.online)
        })
        .await
    }

    /// The same with so many sessions.
    pub(crate) async fn rests_with(&self, sessions: u16) {
        let what = format!("{sessions} sessions at rest");
        comes(&what, async || (self.rests().await == sessions).then_some(())).await;
    }

    /// [`Run::ends_clean`], at the server too.
    pub(crate) async fn ends(self, server: &Postgres) {
        self.ends_clean(&[server.port()]).await;
        no_backend(server).await;
    }
}

/// Waits until the server serves `app` no more.
pub(crate) async fn no_backend(server: &Postgres) {
    comes("no backend is left", async || server.backends_of("app").unwrap().is_empty().then_some(())).await;
}

/// The name of a session at its server.
pub(crate) async fn backend(lease: &Lease) -> i32 {
    lease.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0)
}

/// How `app` reaches a database of the server with a password.
pub(crate) fn url(server: &Postgres, password: &str, database: &str) -> String {
    format!("postgresql://app:{password}@127.0.0.1:{}/{database}", server.port())
}

/// Ends all sessions of `app` at the server.
pub(crate) fn terminate_all(server: &Postgres) {
    server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'").unwrap();
}

pub(crate) const fn seconds(count: u64) -> Span {
    Span::from_secs(count)
}

pub(crate) const fn millis(count: u64) -> Span {
    Span::from_millis(count)
}

/// For whom a connector's own words are wanted.
pub(crate) fn endpoint(run: &Run) -> String {
    run.connector().endpoint(0)
}
