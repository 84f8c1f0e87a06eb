//! A day of faults, one after the other, and what each of them cost.

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use relink::{Checked, Span, adapter::State, postgres::Pool};

use super::{
    crew::{Crew, Job},
    ledger::Measured,
    promise::Promise,
    scene::Scene,
    server::Weather,
    table::{Report, Row},
    view::{Snapshot, View},
};

/// How often the run is looked at and shown.
const LOOK: Duration = Duration::from_millis(20);

/// What a busy machine may add to any wait before it is given up; nothing is measured by it.
const SPARE: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In this order.
    pub faults: Vec<Weather>,
    /// How long each fault lasts.
    pub outage: Duration,
    /// How many workers want sessions.
    pub workers: usize,
    /// What they do with them.
    pub job: Job,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Day {
    /// What each fault cost, and the verdict.
    pub report: Report,
    /// How long it took.
    pub took: Duration,
    /// Statements that were answered.
    pub statements: usize,
    /// Errors that workers were told.
    pub errors: usize,
    /// All dials of the pool.
    pub dials: u64,
}

/// Why a day could not be ended.
#[derive(Debug)]
pub enum Trouble {
    /// The server or the proxy failed.
    Scene(io::Error),
    /// No worker was served in fair weather before the first fault; the root cause.
    NeverUp(String),
    /// The pool did not forget this fault in time; where it stood.
    NotForgotten(Weather, String),
    /// So many events of the pool went by unseen, so that its dials are not known.
    Unseen(u64),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scene(error) => write!(f, "the fault cannot be made: {error}"),
            Self::NeverUp(cause) => write!(f, "no worker was served before the first fault: {cause}"),
            Self::NotForgotten(weather, stands) => {
                write!(f, "the pool did not forget the fault `{}` in time: {stands}", weather.name())
            }
            Self::Unseen(events) => {
                write!(f, "{events} events of the pool went by unseen, dials perhaps among them: raise events_max")
            }
        }
    }
}

impl std::error::Error for Trouble {}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Scene(error)
    }
}

impl Plan {
    /// About how long the plan takes, if recovery is as quick as it mostly is.
    pub fn estimate(&self, policy: &Checked) -> Duration {
        let forgotten = Duration::from(policy.stable_for + policy.jitter_hi.of(policy.w0) * 3);
        let fault = |weather: &Weather| forgotten + if lasts(*weather) { self.outage } else { Duration::ZERO };
        self.faults.iter().map(fault).sum()
    }
}

/// Sends `pool` through the faults of the plan. Dropping the future ends it where it is.
///
/// # Errors
/// See [`Trouble`].
pub async fn run(scene: &Scene, pool: &Pool, plan: &Plan, view: View) -> Result<Day, Trouble> {
    let crew = Crew::start(pool, plan.workers, plan.job);
    let now = Instant::now();
    let mut run = Run { scene, pool, plan, crew, view, began: now, weather: Weather::Fair, since: now };
    run.warm_up().await?;
    let mut rows = Vec::new();
    for weather in &plan.faults {
        rows.extend(run.suffer(*weather).await?);
        run.forget(*weather).await?;
    }
    let unseen = run.crew.unseen();
    if unseen > 0 {
        return Err(Trouble::Unseen(unseen));
    }
    let (statements, errors) = run.crew.totals();
    let Run { crew, view, began, .. } = run;
    let took = began.elapsed();
    crew.stop().await;
    drop(view);
    let dials = pool.status().borrow().dials;
    Ok(Day { report: Report::new(rows), took, statements, errors, dials })
}

/// Whether the server is away for a while; otherwise it goes on at once.
fn lasts(weather: Weather) -> bool {
    weather != Weather::Terminate
}

struct Run<'a> {
    scene: &'a Scene,
    pool: &'a Pool,
    plan: &'a Plan,
    crew: Crew,
    view: View,
    began: Instant,
    weather: Weather,
    /// When the weather changed.
    since: Instant,
}

impl Run<'_> {
    async fn warm_up(&mut self) -> Result<(), Trouble> {
        let patience = Duration::from(self.pool.policy().acquire_deadline) + SPARE;
        if self.until(patience, |run| run.everybody() && run.state() == State::Up).await {
            return Ok(());
        }
        Err(Trouble::NeverUp(self.stands()))
    }

    /// One fault: begun, borne, ended, and recovered from.
    async fn suffer(&mut self, weather: Weather) -> Result<Option<Row>, Trouble> {
        let began = Instant::now();
        self.change(weather, began);
        self.scene.begin(weather).await?;
        let mut accepts = Instant::now();
        if lasts(weather) {
            self.until(self.plan.outage, |_| false).await;
            accepts = self.scene.end(weather, self.pool).await?;
            self.change(Weather::Fair, accepts);
        } else {
            self.since = accepts;
        }
        let policy = self.pool.policy();
        let outage = accepts.duration_since(began);
        // Longer than any promise: who is not served by then waits in vain.
        let patience = outage * 4 + Duration::from(policy.dial_deadline_max + policy.capd) + SPARE;
        self.until(patience, Self::everybody).await;
        let measured = self.crew.measure(began, accepts, Instant::now());
        Ok(Promise::of(weather, policy, outage).map(|promise| row(weather, promise, measured)))
    }

    /// Waits until the pool has forgotten the outage and its youngest session is stable, so that each
    /// fault meets it in the same state: the loss of a session that is not yet stable counts as flapping.
    async fn forget(&mut self, weather: Weather) -> Result<(), Trouble> {
        if !lasts(weather) {
            let accepts = self.since;
            self.scene.end(weather, self.pool).await?;
            self.change(Weather::Fair, accepts);
        }
        let policy = self.pool.policy();
        // No window is longer than its ceiling was at the end of the longest fault, four times over to be sure.
        let outage = Span::from_millis(u64::try_from(self.plan.outage.as_millis()).unwrap_or(u64::MAX));
        let over = policy.jitter_hi.of(policy.cap(outage * 4)) * 2;
        let stable_for = Duration::from(policy.stable_for);
        let patience = stable_for * 2 + Duration::from(over) + SPARE;
        let quiet = |run: &Self| run.crew.dials_in_last(stable_for) == 0;
        if self.until(patience, |run| run.state() == State::Up && quiet(run)).await {
            return Ok(());
        }
        Err(Trouble::NotForgotten(weather, self.stands()))
    }

    fn change(&mut self, weather: Weather, since: Instant) {
        (self.weather, self.since) = (weather, since);
    }

    fn everybody(&self) -> bool {
        self.crew.served_since(self.since) >= self.crew.count()
    }

    fn state(&self) -> State {
        self.pool.status().borrow().state
    }

    fn stands(&self) -> String {
        let status = self.pool.status();
        let status = status.borrow();
        match &status.cause {
            Some(cause) => format!("it is {}, by {} at {}", status.state, cause.failure, cause.endpoint),
            None => format!("it is {}", status.state),
        }
    }

    /// Looks on until something is so; whether it was before patience ended.
    async fn until(&mut self, patience: Duration, is: impl Fn(&Self) -> bool) -> bool {
        let end = tokio::time::Instant::now() + patience;
        loop {
            let next = tokio::time::Instant::now() + LOOK;
            tokio::time::sleep_until(next.min(end)).await;
            let now = self.snapshot();
            self.view.show(&now);
            if is(self) {
                return true;
            }
            if end <= tokio::time::Instant::now() {
                return false;
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        let (tally, _) = self.pool.tally();
        let now = Instant::now();
        let next_dial_at = self.pool.status().borrow().next_dial_at;
        let dials = u32::try_from(self.crew.dials_in_last(Duration::from_secs(1))).unwrap_or(u32::MAX);
        Snapshot {
            weather: self.weather,
            elapsed: now.duration_since(self.began),
            online: usize::from(tally.online) + usize::from(tally.leased) + usize::from(tally.probing),
            dialing: usize::from(tally.dialing),
            waiting: usize::from(tally.waiting),
            dials_per_s: f64::from(dials),
            served: self.crew.served_since(self.since),
            workers: self.crew.count(),
            next_dial_in: next_dial_at.map(|at| at.into_std().saturating_duration_since(now)),
        }
    }
}

fn row(weather: Weather, promise: Promise, measured: Measured) -> Row {
    let bound = promise.judge(&measured);
    Row { fault: weather.name().to_owned(), measured, bound }
}
