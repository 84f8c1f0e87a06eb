//! The tasks: one for each dial and the session that it opens, one for a probe or a question, one for the timer.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use super::{
    Connect, Found, Limits, Opened,
    lease::{Ending, Kept},
    shared::{self, Inquiry, Shared},
};
use crate::{DialId, Time, core::pool};

/// A timer that is later than this has been stopped (SIGSTOP, a suspended machine) or starved. So have the sockets: for as
/// long again, what has come on them counts before what is due. Ten times what a busy scheduler takes.
const LATE: Duration = Duration::from_millis(100);

/// Tells the pool when a task has ended, however it ended: finished, aborted (even before it was first
/// polled), or with its runtime.
pub(super) struct End<C: Connect> {
    shared: Weak<Shared<C>>,
    slot: u16,
    dial: DialId,
    finished: bool,
}

impl<C: Connect> End<C> {
    pub(super) fn new(shared: &Arc<Shared<C>>, slot: u16, dial: DialId) -> Self {
        Self { shared: Arc::downgrade(shared), slot, dial, finished: false }
    }
}

impl<C: Connect> Drop for End<C> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.gone(self.slot, self.dial, self.finished);
        }
    }
}

/// Tells the pool when its timer has ended before the pool: so has their runtime, and nothing that is due comes any
/// more. Between two dials there is no other task that could tell.
pub(super) struct Ticking<C: Connect>(Weak<Shared<C>>);

impl<C: Connect> Ticking<C> {
    pub(super) fn new(shared: &Arc<Shared<C>>) -> Self {
        Self(Arc::downgrade(shared))
    }
}

impl<C: Connect> Drop for Ticking<C> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            let deadline = shared.now();
            shared.feed(pool::Event::Stopped { deadline });
        }
    }
}

/// Tells the borrower of a session when nothing more will be told of it.
struct Over(Arc<Ending>);

impl Drop for Over {
    fn drop(&mut self) {
        // Set by nobody else.
        let _once = self.0.over.set(());
    }
}

/// A dial, and then the life of its session. `end` is the first parameter, so that it is dropped last: then
/// everything of the dial is gone.
pub(super) async fn run<C: Connect>(mut end: End<C>, connect: Arc<C>) {
    let End { ref shared, slot, dial, .. } = end;
    let accepted = {
        let shared = shared.clone();
        move || {
            if let Some(shared) = shared.upgrade() {
                shared.feed(pool::Event::Accepted { slot, dial });
            }
        }
    };
    match connect.dial(usize::from(dial.endpoint()), accepted).await {
        Err(failure) => {
            if let Some(shared) = shared.upgrade() {
                shared.dial_failed(slot, dial, failure);
            }
        }
        Ok(Opened { client, life, .. }) => {
            let over = Over(Arc::default());
            let Some(owner) = shared.upgrade() else { return };
            owner.adopt(slot, dial, Kept { client: Box::new(client), ending: Arc::clone(&over.0) });
            drop(owner);
            let death = life.await;
            // Set before the pool is told: a borrower who sees its error finds the reason.
            let _first = over.0.death.set(death.clone());
            drop(over);
            if let Some(shared) = shared.upgrade() {
                shared.bury(slot, dial, death);
            }
        }
    }
    end.finished = true;
}

/// Asks a session for its role, or brings it to a clean state first.
pub(super) async fn probe<C: Connect>(
    shared: Weak<Shared<C>>,
    connect: Arc<C>,
    slot: u16,
    dial: DialId,
    by: Time,
    mut kept: Kept<C>,
    clean: bool,
) {
    let answer = if clean { connect.reset(&mut kept.client).await } else { connect.probe(&mut kept.client).await };
    let answer = answer.and_then(|role| super::connect::required(&*connect, role));
    if let Some(shared) = shared.upgrade() {
        shared.probed(slot, dial, by, kept, answer);
    }
}

/// Asks the server, through a session, about others.
pub(super) async fn ask<C: Connect>(shared: Weak<Shared<C>>, connect: Arc<C>, inquiry: Inquiry<C>, limits: Limits) {
    let Inquiry { slot, dial, by, mut kept, about } = inquiry;
    let watches: Vec<_> = about.iter().map(|subject| Arc::clone(&subject.watch)).collect();
    let undecided = Mutex::new(Vec::new());
    let found = |place: usize, found| {
        let (Some(shared), Some(subject)) = (shared.upgrade(), about.get(place)) else { return };
        if found == Found::Undecided {
            undecided.lock().unwrap_or_else(PoisonError::into_inner).push(subject);
        } else {
            shared.found(subject, found);
        }
    };
    let answer = {
        let mut asking = pin!(connect.ask(&mut kept.client, &watches, limits, found));
        let half = limits.within / 2;
        // Both branches are safe to drop: the question goes on after the time is over.
        tokio::select! {
            answer = &mut asking => answer,
            () = tokio::time::sleep(half) => {
                if let Some(shared) = shared.upgrade() {
                    shared.doubt_asker(slot, dial, by, half);
                }
                asking.await
            }
        }
    };
    let answer = answer.and_then(|role| super::connect::required(&*connect, role));
    let Some(shared) = shared.upgrade() else { return };
    shared.probed(slot, dial, by, kept, answer);
    // Now that there is somebody to ask again.
    for subject in undecided.into_inner().unwrap_or_else(PoisonError::into_inner) {
        shared.found(subject, Found::Undecided);
    }
}

/// Wakes the machine when its timeout has come. Ends with the pool.
pub(super) async fn timer<C: Connect>(ticking: Ticking<C>) {
    let Ticking(ref shared) = ticking;
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let at = shared::armed(&strong);
        let notified = {
            // Owned by this loop's turn only: the task must not keep the pool alive while it sleeps.
            let timer = Arc::clone(&strong.timer);
            drop(strong);
            timer.notified_owned()
        };
        match at {
            Some(at) => {
                // Both branches are safe to drop: a notification that was missed is stored by `Notify`.
                tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = notified => continue,
                }
            }
            None => {
                notified.await;
                continue;
            }
        }
        if at.is_some_and(|at| at.elapsed() > LATE) {
            tokio::time::sleep(LATE).await;
        }
        let Some(strong) = shared.upgrade() else { return };
        strong.elapsed();
    }
}
