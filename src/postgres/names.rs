//! Names of hosts looked up: one look-up of a name at a time, whoever asks.

use std::{
    collections::HashMap,
    future::Future,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::evidence::Observed;

/// How long an answer that came too late for everybody who waited is good for the next who asks: longer than the
/// policy's first waits, shorter than anybody's idea of a stale address.
const KEPT: Duration = Duration::from_secs(5);

/// The addresses, or why there are none.
pub(crate) type Answer = Result<Vec<IpAddr>, Box<Observed>>;

type LookUp = watch::Receiver<Option<(Instant, Answer)>>;

/// The look-ups under way, by name.
///
/// The system's resolver cannot be called back, and one whose first name server is dead takes longer than a dial may. So
/// a look-up goes on when its dial is given up, and the next dial waits for the same one, instead of keeping another
/// thread busy with a new one that it has to give up as well. An answer serves those who wait for it; whoever asks
/// afterwards looks up anew.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<HashMap<String, LookUp>>>);

impl Names {
    /// Waits for the look-up of a name that is under way, or begins one. Dropping the future leaves it under way.
    pub(crate) async fn find<F>(&self, name: &str, look_up: impl FnOnce() -> F) -> Answer
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let mut answer = {
            let mut under_way = self.lock();
            let joined = under_way.get(name).filter(|answer| is_of_use(answer)).cloned();
            joined.unwrap_or_else(|| {
                let (sender, answer) = watch::channel(None);
                let looking = look_up();
                tokio::spawn(async move { sender.send_replace(Some((Instant::now(), looking.await))) });
                under_way.insert(name.to_owned(), answer.clone());
                answer
            })
        };
        let found = answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
        let mut under_way = self.lock();
        if under_way.get(name).is_some_and(|other| other.same_channel(&answer)) {
            under_way.remove(name);
        }
        found.map_or_else(|| Err(Box::new(Observed::said("the runtime has ended"))), |(_, answer)| answer)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, LookUp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Under way, or answered a moment ago; not one whose runtime has ended.
fn is_of_use(look_up: &LookUp) -> bool {
    match &*look_up.borrow() {
        Some((at, _)) => at.elapsed() < KEPT,
        None => look_up.has_changed().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::Ipv4Addr,
        sync::atomic::{AtomicU32, Ordering},
    };

    use tokio::time::{sleep, timeout};

    use super::*;

    /// A resolver that needs its time, and counts.
    struct Slow(Arc<AtomicU32>, Duration);

    impl Slow {
        fn new(seconds: u64) -> Self {
            Self(Arc::default(), Duration::from_secs(seconds))
        }

        async fn ask(&self, names: &Names) -> Answer {
            let (count, takes) = (Arc::clone(&self.0), self.1);
            let look_up = async move {
                sleep(takes).await;
                let count = count.fetch_add(1, Ordering::SeqCst) + 1;
                Ok(vec![Ipv4Addr::from(count).into()])
            };
            names.find("db", || look_up).await
        }
    }

    fn nth(count: u32) -> Answer {
        Ok(vec![Ipv4Addr::from(count).into()])
    }

    const DIAL: Duration = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_takes_longer_than_a_dial_serves_the_next_one() {
        let (names, slow) = (Names::default(), Slow::new(5));
        for _ in 0..2 {
            assert!(timeout(DIAL, slow.ask(&names)).await.is_err());
        }
        assert_eq!(timeout(DIAL, slow.ask(&names)).await, Ok(nth(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_came_between_two_dials_serves_the_second_and_no_third() {
        let (names, slow) = (Names::default(), Slow::new(3));
        assert!(timeout(DIAL, slow.ask(&names)).await.is_err());
        sleep(DIAL).await;
        assert_eq!(timeout(Duration::ZERO, slow.ask(&names)).await, Ok(nth(1)));
        assert_eq!(slow.ask(&names).await, nth(2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_wanted_grows_stale() {
        let (names, slow) = (Names::default(), Slow::new(3));
        assert!(timeout(DIAL, slow.ask(&names)).await.is_err());
        sleep(KEPT + DIAL).await;
        assert_eq!(slow.ask(&names).await, nth(2));
    }

    #[tokio::test(start_paused = true)]
    async fn two_who_ask_at_once_share_one_look_up() {
        let (names, slow) = (Names::default(), Slow::new(1));
        assert_eq!(tokio::join!(slow.ask(&names), slow.ask(&names)), (nth(1), nth(1)));
        assert_eq!(slow.ask(&names).await, nth(2));
    }

    #[test]
    fn a_look_up_whose_runtime_has_ended_is_begun_anew() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let (names, slow) = (Names::default(), Slow::new(3));
        let Ok(first) = runtime() else { return };
        assert!(first.block_on(async { timeout(DIAL, slow.ask(&names)).await }).is_err());
        drop(first);
        let Ok(second) = runtime() else { return };
        assert_eq!(second.block_on(slow.ask(&names)), nth(1));
    }
}
