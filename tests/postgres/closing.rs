//! A pool that is closed in the middle of an outage.

use std::time::Duration;

use relink::{Refusal, adapter::State};
use relink_model::proxy::{Mode, Proxy};

use super::{
    common::{Outcome, Run, SLACK, brisk_of, comes, sockets_to, url_of},
    support::Postgres,
};

async fn ends_at_once(outage: Mode) -> Outcome {
    let server = Postgres::start()?;
    let proxy = Proxy::start(format!("127.0.0.1:{}", server.port()).as_str()).await?;
    let port = proxy.addr().port();
    let mut policy = brisk_of(4);
    // Far longer than the test may take: nothing but the close ends a dial or a wait.
    policy.dial_deadline = relink::Span::from_secs(300);
    policy.dial_deadline_max = relink::Span::from_secs(300);
    let run = Run::start(&url_of(&[port], ""), policy);
    run.fill(4).await;
    let began = run.now();
    proxy.set(outage).await?;
    proxy.cut();
    run.state(State::Down).await;
    let waiting: Vec<_> = (0..8).map(|_| tokio::spawn(run.pool().get_within(Duration::from_secs(300)))).collect();
    comes("eight wait", async || (run.tally().1 == 8).then_some(())).await;
    if outage == Mode::Silent {
        comes("a dial is in flight", async || (run.tally().0.dialing == 1).then_some(())).await;
    } else {
        run.dial_failed(began).await;
    }

    let closing = run.now();
    run.close().await;
    let closed = run.now();
    assert!(closed - closing <= SLACK, "{:?}\n{}", closed - closing, run.story());
    for wait in waiting {
        let error = wait.await?.expect_err("the pool is closed");
        assert_eq!((error.refusal, &*error.to_string()), (Refusal::Stopped, "no session: the pool is closed"));
    }
    run.goes_through(began, &["Lost Lost", "Stopped"]);
    let dials = run.dials_between(Duration::ZERO, run.now());
    assert_eq!(sockets_to(port), 0, "close returns when nothing is left");
    assert!(run.get().await.is_err());
    proxy.set(Mode::Pass).await?;
    // S11: no dial starts after the stop, however long one waits for it.
    run.until(closed + Duration::from_secs(1)).await;
    assert_eq!(run.dials_between(Duration::ZERO, run.now()), dials, "{}", run.story());
    proxy.cut();
    run.ends_clean(&[port]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_while_the_server_refuses_ends_at_once() -> Outcome {
    ends_at_once(Mode::Refuse).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_while_a_dial_is_silent_ends_at_once() -> Outcome {
    ends_at_once(Mode::Silent).await
}
