//! Drives a session's protocol to its end, and keeps the reason of the end.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use tokio::{
    sync::{Notify, broadcast},
    task::coop,
};
use tokio_postgres::{AsyncMessage, Connection, Notification, error::DbError};

use super::{
    classifier::Classifier,
    tap::{Tap, Watch},
    wire::Wire,
};
use crate::{
    Fault, Phase, Work,
    adapter::{Death, Failure},
};

/// The most notifications that wait for one receiver.
const NOTIFICATIONS_MAX: usize = 1024;

/// The driver's half of a session that does the I/O, driven by the life, or by whoever must know what
/// the driver still holds.
pub(crate) struct Wired {
    connection: Connection<Tap<Wire>, Tap<Wire>>,
    waker: Waker,
    watch: Arc<Watch>,
    /// The last step left the driver with nothing to send, waiting for more.
    drained: bool,
    /// The last notice of the server's that announces an end, and how many requests had been
    /// answered by then: if more were answered after it, it was not about this session.
    notice: Option<(DbError, u64)>,
    /// Set when somebody first asks for notifications.
    news: Option<broadcast::Sender<Notification>>,
    /// How it ended: by an error, or as asked.
    end: Option<Option<tokio_postgres::Error>>,
}

impl Wired {
    /// Sends and receives whatever can be sent and received now. Whether it has ended.
    fn step(&mut self) -> bool {
        self.drained = false;
        while self.end.is_none() {
            match self.connection.poll_message(&mut Context::from_waker(&self.waker)) {
                Poll::Pending => {
                    self.drained = !self.watch.blocked();
                    return false;
                }
                Poll::Ready(Some(Ok(AsyncMessage::Notice(notice)))) => {
                    if announces_end(&notice) {
                        self.notice = Some((notice, self.watch.answered()));
                    }
                }
                Poll::Ready(Some(Ok(AsyncMessage::Notification(notification)))) => {
                    // That nobody receives is no error: who has asked may have gone.
                    let _receivers = self.news.as_ref().map(|news| news.send(notification));
                }
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => self.end = Some(Some(error)),
                Poll::Ready(None) => self.end = Some(None),
            }
        }
        true
    }
}

/// Takes the lock whatever happened to others that held it: no state in it can be half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a session knows of the task that drives it.
struct Pulse {
    /// Something happened since the last step began: there may be requests that the tap has not seen.
    woken: AtomicBool,
    ended: AtomicBool,
    /// How it ended, for whoever gets an error because of it.
    death: OnceLock<Death>,
    /// Of the task that drives the life.
    waker: Mutex<Waker>,
    /// Told at the end of every poll, and at the end.
    polled: Notify,
}

impl Wake for Pulse {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        let waker = lock(&self.waker).clone();
        waker.wake();
    }
}

impl Pulse {
    fn forward_to(&self, waker: &Waker) {
        lock(&self.waker).clone_from(waker);
    }
}

/// The future that is a session's life.
pub(crate) struct Life {
    /// Dropped with the life, which closes the socket; sessions hold it weakly.
    wired: Option<Arc<Mutex<Wired>>>,
    pulse: Arc<Pulse>,
    watch: Arc<Watch>,
    /// The dial is still under way.
    pub(crate) dialing: bool,
    classifier: Arc<Classifier>,
}

impl Life {
    pub(crate) fn new(
        connection: Connection<Tap<Wire>, Tap<Wire>>,
        watch: Arc<Watch>,
        classifier: Arc<Classifier>,
    ) -> Self {
        let pulse = Arc::new(Pulse {
            woken: AtomicBool::new(true),
            ended: AtomicBool::new(false),
            death: OnceLock::new(),
            waker: Mutex::new(Waker::noop().clone()),
            polled: Notify::new(),
        });
        let waker = Waker::from(pulse.clone());
        let wired =
            Wired { connection, waker, watch: watch.clone(), drained: false, notice: None, news: None, end: None };
        Self { wired: Some(Arc::new(Mutex::new(wired))), pulse, watch, dialing: true, classifier }
    }

    /// What a session needs to know of its life.
    pub(crate) fn seen(&self) -> Seen {
        let wired = self.wired.as_ref().map_or_else(Weak::new, Arc::downgrade);
        Seen { wired, pulse: self.pulse.clone(), watch: self.watch.clone() }
    }

    fn death(&self, error: Option<&tokio_postgres::Error>, notice: Option<(DbError, u64)>) -> Death {
        let work = match error {
            Some(_) => self.watch.work(),
            None => Work::AtRest,
        };
        let phase = match work {
            _ if self.dialing => Phase::Connect,
            Work::AtRest | Work::InTransaction => Phase::Idle,
            Work::Statement { durable: false } => Phase::Query,
            Work::Statement { durable: true } => Phase::Commit,
        };
        let notice = notice.filter(|(_, answered)| *answered == self.watch.answered());
        let failure = match (error, self.watch.fatal(), notice) {
            (None, ..) => Failure::new(Fault::Lost, "session ended on request"),
            (Some(error), ..) if error.as_db_error().is_some() => self.classifier.failure(error, phase),
            // What the server said when it could still speak is more than "connection closed".
            (Some(_), None, Some((notice, _))) => self.classifier.failure(&notice, phase),
            // The words went to the statement that was in flight; the code is known here too.
            (Some(error), Some(code), _) => Failure {
                message: "the server ended the session and told the statement in flight why".into(),
                ..self.classifier.failure(error, phase).with_code(code)
            },
            (Some(error), None, None) => self.classifier.failure(error, phase),
        };
        Death { failure, work }
    }
}

impl Future for Life {
    type Output = Death;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Death> {
        let life = &mut *self;
        life.pulse.forward_to(cx.waker());
        let Some(shared) = life.wired.take() else {
            return Poll::Pending;
        };
        // Held for the whole step: a reader of parameters must not see those from before the answer
        // that it has just been given.
        let mut wired = lock(&shared);
        // Under the lock, so that nobody finds the sign gone and the step not yet taken.
        life.pulse.woken.store(false, Ordering::SeqCst);
        let death = wired.step().then(|| {
            let (end, notice) = (wired.end.take().flatten(), wired.notice.take());
            life.death(end.as_ref(), notice)
        });
        drop(wired);
        if let Some(death) = death {
            // Before any request fails because of it.
            let _first = life.pulse.death.set(death.clone());
            // Lets go of the connection, so that no request waits for an answer any more.
            drop(shared);
            return Poll::Ready(death);
        }
        life.wired = Some(shared);
        life.pulse.polled.notify_waiters();
        Poll::Pending
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.wired = None;
        self.pulse.ended.store(true, Ordering::SeqCst);
        self.pulse.polled.notify_waiters();
    }
}

/// Class 57 (operator intervention) and the timeouts of class 25 come as a warning just before the
/// server closes without an error (immediate shutdown, crash of another backend).
fn announces_end(notice: &DbError) -> bool {
    matches!(notice.code().code(), "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" | "25P04")
}

/// A session's view of its life.
#[derive(Clone)]
pub(crate) struct Seen {
    wired: Weak<Mutex<Wired>>,
    pulse: Arc<Pulse>,
    watch: Arc<Watch>,
}

impl Seen {
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// How the session ended, once it has: known before any of its requests fails for it.
    pub(crate) fn death(&self) -> Option<&Death> {
        self.pulse.death.get()
    }

    /// The value of a parameter that the server reports.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let wired = self.wired.upgrade()?;
        let wired = lock(&wired);
        wired.connection.parameter(name).map(str::to_owned)
    }

    /// The notifications from now on; their end is the session's.
    pub(crate) fn notifications(&self) -> broadcast::Receiver<Notification> {
        match self.wired.upgrade() {
            Some(wired) => {
                lock(&wired).news.get_or_insert_with(|| broadcast::Sender::new(NOTIFICATIONS_MAX)).subscribe()
            }
            None => broadcast::Sender::new(1).subscribe(),
        }
    }

    /// Whether the connection has ended, even if the life has not yet been driven to its own end.
    pub(crate) fn ended(&self) -> bool {
        self.wired.upgrade().is_none_or(|wired| lock(&wired).end.is_some())
    }

    /// Makes sure, where it can, that everything that was asked of the driver has passed the tap:
    /// what is still queued is sent here and now. `false` when the stream takes no more at present.
    pub(crate) fn settled(&self) -> bool {
        let Some(wired) = self.wired.upgrade() else {
            return true;
        };
        // Under the lock no step is under way, so that a request is either sent or has woken us.
        let mut wired = lock(&wired);
        // Looked at before it is taken, which is dearer and almost never needed.
        let woken = self.pulse.woken.load(Ordering::SeqCst) && self.pulse.woken.swap(false, Ordering::SeqCst);
        if woken && wired.step() {
            // The life must learn of the end.
            self.pulse.wake_by_ref();
        }
        wired.drained || wired.end.is_some()
    }

    /// Takes in whatever has come by now, even if the task that drives the life is held up. `false` if it may not,
    /// because the task that asks has used up its turn: sockets then look empty to it.
    pub(crate) fn take_in(&self) -> bool {
        let may = coop::has_budget_remaining();
        if let Some(wired) = self.wired.upgrade().filter(|_| may)
            && lock(&wired).step()
        {
            // The life must learn of the end.
            self.pulse.wake_by_ref();
        }
        may
    }

    /// Says how the session ends before it does. Only the first word counts. Returns how it is told.
    pub(crate) fn condemn(&self, failure: Failure) -> Death {
        let death = Death { failure, work: self.watch.work() };
        self.pulse.death.get_or_init(|| death).clone()
    }

    /// Waits until `reached`, which is looked at whenever the life has been driven a step.
    pub(crate) async fn until(&self, reached: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        loop {
            let mut polled = std::pin::pin!(self.pulse.polled.notified());
            polled.as_mut().enable();
            if self.pulse.ended.load(Ordering::SeqCst) || self.wired.strong_count() == 0 {
                return Err(Failure::new(Fault::Lost, "the session has ended"));
            }
            if reached(self) {
                return Ok(());
            }
            polled.await;
        }
    }
}
