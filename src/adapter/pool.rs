//! The handle that applications hold.

use std::{fmt, future::Future, panic::Location, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{broadcast, oneshot, watch},
    time::Instant,
};

use super::{
    BuildError, Connect, Error, Event, Lease, State, Status, Trace,
    lease::Granted,
    session,
    shared::{Asked, Shared},
};
use crate::{Checked, LeaseId, Refusal, Span, core::pool, pacer::ENDPOINTS_MAX};

/// Builds a [`Pool`].
pub struct Builder<C: Connect> {
    connect: C,
    policy: Checked,
    trace: Option<Trace>,
    seed: Option<u64>,
}

impl<C: Connect> Builder<C> {
    /// Records every step into `trace`, from the beginning: a trace that was another pool's forgets that one.
    #[must_use]
    pub fn trace(mut self, trace: &Trace) -> Self {
        self.trace = Some(trace.clone());
        self
    }

    /// Draws chance from this seed instead of the operating system, so that a test can repeat a run.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts the pool on the current tokio runtime. It dials by itself as far as `min_idle` says.
    ///
    /// # Errors
    /// Outside of a runtime, and for an endpoint set that is empty or larger than [`ENDPOINTS_MAX`].
    pub fn build(self) -> Result<Pool<C>, BuildError> {
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let endpoints = self.connect.endpoints();
        let Some(count) = u8::try_from(endpoints).ok().filter(|_| (1..=ENDPOINTS_MAX).contains(&endpoints)) else {
            return Err(BuildError::Endpoints(endpoints));
        };
        if let Some(trace) = &self.trace {
            trace.begin(&self.policy, count);
        }
        let shared = Arc::new(Shared::new(self.connect, self.policy, runtime.clone(), self.trace, self.seed));
        runtime.spawn(session::timer(session::Ticking::new(&shared)));
        // Nothing has happened yet; the step that follows from that starts the first dials.
        shared.feed(pool::Event::Resumed);
        Ok(Pool { shared })
    }
}

/// A pool of sessions that lives through its database's outages. Cloning shares it.
///
/// The last handle's drop, when no lease is out, closes everything at once; [`Pool::close`] does so
/// gracefully.
///
/// # Runtimes
/// A pool lives on the tokio runtime that it was built on, of either flavour; it may be asked from any other, and
/// from any thread. Its deadlines hold while that runtime runs: one of the current thread, while somebody blocks on it.
///
/// When the runtime ends, so does the pool, without a panic: its sockets close, every wait begun before or after ends
/// with [`Refusal::Stopped`], and the calls of a lease fail, for its session is lost.
///
/// Nothing here relies on unwinding, so that all this is the same under `panic = "abort"`, but for a connector that
/// panics: there it ends the process. Elsewhere a dial that panics is a fatal fault of its endpoint,
/// [`Fault::Misconfigured`](crate::Fault::Misconfigured), until [`Pool::renew`].
pub struct Pool<C: Connect> {
    shared: Arc<Shared<C>>,
}

impl<C: Connect> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C: Connect> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("status", &*self.shared.status.borrow()).finish_non_exhaustive()
    }
}

impl<C: Connect> Pool<C> {
    /// Begins a pool over `connect` that behaves as `policy` says.
    pub fn builder(connect: C, policy: Checked) -> Builder<C> {
        Builder { connect, policy, trace: None, seed: None }
    }

    /// A session, as soon as one can be had, at the latest by the policy's `acquire_deadline`.
    ///
    /// Waiters are served in order. Dropping the future leaves the queue; a dial that was under way
    /// for it goes on and serves the next.
    ///
    /// # Errors
    /// See [`Error`]: its text names the root cause.
    #[track_caller]
    pub fn get(&self) -> impl Future<Output = Result<Lease<C>, Error>> + Send + use<C> {
        self.get_within(self.shared.policy.acquire_deadline.into())
    }

    /// The same with a deadline of its own; with zero, only a session that is free right now.
    ///
    /// # Errors
    /// As [`Pool::get`].
    #[track_caller]
    pub fn get_within(&self, wait: Duration) -> impl Future<Output = Result<Lease<C>, Error>> + Send + use<C> {
        acquire(Arc::clone(&self.shared), wait, Location::caller())
    }

    /// Where the pool stands, and every change of it.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }

    /// Everything that happens from now on, in order. A receiver that falls `events_max` behind is
    /// told how many it has missed.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// How many links are in each kind of state, and how many callers wait, right now.
    pub fn tally(&self) -> (pool::Tally, usize) {
        let core = self.shared.lock();
        (core.machine.tally(), core.machine.waiters())
    }

    /// The instant from which the times of [`Event`] and [`Trace`] count.
    pub fn built_at(&self) -> Instant {
        self.shared.origin
    }

    /// The connector, for example to renew its password.
    pub fn connector(&self) -> &C {
        &self.shared.connect
    }

    /// The policy in force.
    pub fn policy(&self) -> &Checked {
        &self.shared.policy
    }

    /// Credentials or configuration have changed: what a fatal fault had stopped is tried again.
    pub fn renew(&self) {
        self.shared.feed(pool::Event::Renewed);
    }

    /// A source outside says that a server has lost its role: every session is asked again before it
    /// is lent.
    pub fn demoted(&self) {
        self.shared.feed(pool::Event::Demoted);
    }

    /// Changes the most sessions that the pool may have, from 1 to
    /// [`SESSIONS_MAX`](crate::policy::SESSIONS_MAX), below and above which it is these. Leases are not cut.
    pub fn resize(&self, max_size: u16) {
        self.shared.feed(pool::Event::Resized { max_size });
    }

    /// Serves and dials nobody until [`Pool::resume`]. Leases go on.
    pub fn pause(&self) {
        self.shared.feed(pool::Event::Paused);
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.shared.feed(pool::Event::Resumed);
    }

    /// Ends the pool: nobody is served any more, leases may finish until the policy's
    /// `drain_deadline`, then they are cut. Returns when nothing is left open. Dropping the future
    /// does not stop the closing.
    pub async fn close(&self) {
        self.close_within(self.shared.policy.drain_deadline).await;
    }

    /// The same with a drain deadline of its own.
    pub async fn close_within(&self, drain: Span) {
        let deadline = self.shared.now() + drain;
        self.shared.feed(pool::Event::Stopped { deadline });
        let mut status = self.shared.status.subscribe();
        // The sender lives in `self.shared`, so this can only end by the pool being closed.
        let _closed = status.wait_for(|status| status.state == State::Closed).await;
    }
}

/// A wait in progress; dropped before its end, it leaves the queue.
struct Wait<C: Connect> {
    shared: Arc<Shared<C>>,
    lease: LeaseId,
    answer: oneshot::Receiver<Result<Granted<C>, Refusal>>,
    over: bool,
}

impl<C: Connect> Drop for Wait<C> {
    fn drop(&mut self) {
        if !self.over {
            self.shared.give_up(self.lease, &mut self.answer);
        }
    }
}

async fn acquire<C: Connect>(
    shared: Arc<Shared<C>>,
    wait: Duration,
    acquired: &'static Location<'static>,
) -> Result<Lease<C>, Error> {
    let asked = Instant::now();
    let now = shared.time(asked);
    // The clock's reading was rounded down, so one more millisecond: no wait ends early.
    let rounding = Span::from_millis(u64::from(!wait.is_zero()));
    let deadline = now + Span::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)) + rounding;
    let answer = match shared.ask(now, deadline, acquired) {
        Asked::Answered(answer) => answer,
        Asked::Waits(lease, answer) => {
            let mut wait = Wait { shared: Arc::clone(&shared), lease, answer, over: false };
            let answer = (&mut wait.answer).await;
            wait.over = true;
            // The sender is never dropped without an answer while the pool exists, and `wait` holds it.
            answer.unwrap_or(Err(Refusal::Stopped))
        }
    };
    match answer {
        Ok(granted) => Ok(Lease::new(shared, granted)),
        Err(refusal) => Err(shared.error(refusal, asked)),
    }
}
