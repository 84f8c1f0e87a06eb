//! Several addresses: which is dialed when, and whose session is lent.

use std::time::Duration;

use relink::{
    Fault,
    adapter::{Event, Kind, State},
    pool::{Command, Event as Fact},
    postgres::Lease,
};
use relink_model::proxy::{Mode, Proxy};
use tokio::net::TcpSocket;

use super::{
    common::{Outcome, Run, SLACK, brisk, brisk_of, comes, failure, sockets_to, url_of},
    crew::Crew,
    support::{Postgres, Stop},
};

/// The first dial of each of the two endpoints, and the step of the second.
fn first_dials(run: &Run) -> (Duration, Duration, Fact) {
    let dials = run.steps().into_iter().flat_map(|step| {
        let dialed = |command: &Command| match command {
            Command::Dial { dial, .. } => Some((dial.endpoint(), step.now, step.event)),
            Command::Link { .. } | Command::Grant { .. } | Command::Refuse { .. } | Command::Report { .. } => None,
        };
        step.commands.iter().filter_map(dialed).collect::<Vec<_>>()
    });
    let dials: Vec<_> = dials.collect();
    let of = |endpoint: u8| *dials.iter().find(|dial| dial.0 == endpoint).expect("a dial");
    let time = |at: relink::Time| Duration::from_millis(at.as_millis());
    (time(of(0).1), time(of(1).1), of(1).2)
}

fn is_at(event: &Event, port: u16) -> bool {
    event.endpoint.as_deref() == Some(&*format!("127.0.0.1:{port}"))
}

async fn port_of(lease: &Lease) -> Result<i32, tokio_postgres::Error> {
    Ok(lease.query_one("SELECT inet_server_port()", &[]).await?.get(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_first_host_costs_one_hedge_and_keeps_no_socket() -> Outcome {
    let server = Postgres::start()?;
    let proxy = Proxy::start(format!("127.0.0.1:{}", server.port()).as_str()).await?;
    proxy.set(Mode::Silent).await?;
    let silent = proxy.addr().port();
    let mut policy = brisk_of(1);
    policy.min_idle = 0;
    let run = Run::start(&url_of(&[silent, server.port()], ""), policy);
    let lease = run.lease().await;
    let served = run.now();

    assert_eq!(port_of(&lease).await?, i32::from(server.port()));
    let (first, second, _) = first_dials(&run);
    let hedge: Duration = run.policy().hedge_after.into();
    assert!(second - first >= hedge && second - first <= hedge + SLACK, "{first:?}, {second:?}");
    assert!(served <= second + SLACK, "{served:?}\n{}", run.story());
    // The silent dial has lost the race: it is given up before its own deadline would end it.
    comes("the silent dial is given up", async || (sockets_to(silent) == 0).then_some(())).await;
    assert!(!run.story().contains("dial failed"), "{}", run.story());
    assert_eq!(run.dials_between(Duration::ZERO, run.now()), 2, "{}", run.story());
    drop(lease);
    proxy.cut();
    run.ends_clean(&[silent, server.port()]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_host_that_refuses_costs_nothing() -> Outcome {
    let server = Postgres::start()?;
    // Bound and not listening: the kernel refuses, and nobody else gets the port.
    let taken = TcpSocket::new_v4()?;
    taken.bind(([127, 0, 0, 1], 0).into())?;
    let port = taken.local_addr()?.port();
    let mut policy = brisk_of(1);
    policy.min_idle = 0;
    let run = Run::start(&url_of(&[port, server.port()], ""), policy);
    let lease = run.lease().await;

    assert_eq!(port_of(&lease).await?, i32::from(server.port()));
    let (_, _, because) = first_dials(&run);
    assert!(
        matches!(because, Fact::DialFailed { dial, fault: Fault::Refused, .. } if dial.endpoint() == 0),
        "the second is dialed by the step in which the first has failed: {because:?}"
    );
    drop(lease);
    run.ends_clean(&[server.port()]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_listed_first_is_passed_over_for_the_primary() -> Outcome {
    let primary = Postgres::start()?;
    let standby = primary.standby()?;
    let ports = [standby.port(), primary.port()];
    let run = Run::start(&url_of(&ports, "?target_session_attrs=read-write"), brisk());
    let lease = run.lease().await;
    assert_eq!(port_of(&lease).await?, i32::from(primary.port()));
    let failed = run.dial_failed(Duration::ZERO).await;
    assert!(is_at(&failed, standby.port()) && failure(&failed).0 == Fault::WrongRole, "{failed}");
    let (_, _, because) = first_dials(&run);
    assert!(matches!(because, Fact::DialFailed { fault: Fault::WrongRole, .. }), "{because:?}");
    drop(lease);

    // The same list read from the other end.
    let reader = Run::start(&url_of(&ports, "?target_session_attrs=standby"), brisk());
    assert_eq!(port_of(&reader.lease().await).await?, i32::from(standby.port()));
    reader.ends_clean(&[]).await;
    run.ends_clean(&ports).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_prefers_a_standby_is_served_by_the_primary_where_there_is_none() -> Outcome {
    let primary = Postgres::start()?;
    let standby = primary.standby()?;
    let ports = [primary.port(), standby.port()];
    let run = Run::start(&url_of(&ports, "?target_session_attrs=prefer-standby"), brisk_of(2));
    let lease = run.lease().await;
    assert_eq!(port_of(&lease).await?, i32::from(standby.port()));
    let passed_over = run.dial_failed(Duration::ZERO).await;
    assert!(is_at(&passed_over, primary.port()) && failure(&passed_over).0 == Fault::WrongRole, "{passed_over}");
    drop(lease);
    let began = run.now();
    standby.stop(Stop::Immediate)?;
    let lease = run.served().await;
    assert_eq!(port_of(&lease).await?, i32::from(primary.port()), "{}", run.story());
    // It is asked as all are, and stays.
    run.pool().demoted();
    drop(lease);
    assert_eq!(port_of(&run.served().await).await?, i32::from(primary.port()));
    run.goes_through(began, &["Lost Lost", "Dialed", "Proved"]);
    run.ends_clean(&ports).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_every_lease_is_on_the_new_primary() -> Outcome {
    let old = Postgres::start()?;
    let new = old.standby()?;
    let ports = [old.port(), new.port()];
    let run = Run::start(&url_of(&ports, "?target_session_attrs=read-write"), brisk_of(4));
    run.fill(4).await;
    let crew = Crew::start(run.pool(), 8, "CREATE TEMP TABLE IF NOT EXISTS written (n int)");
    crew.all_served(run.now()).await;

    let began = run.now();
    new.catch_up_with(&old)?;
    old.stop(Stop::Immediate)?;
    run.state(State::Down).await;
    // Nobody is served by the standby while it is one.
    let standby = |event: &Event| matches!(event.kind, Kind::DialFailed(_)) && is_at(event, new.port());
    let refused = run.event("a wrong role", began, standby).await;
    assert_eq!(failure(&refused).0, Fault::WrongRole, "{refused}");
    let before = run.now();
    new.promote()?;
    let up = run.now();
    let online = run.online(before).await;
    assert!(is_at(&online, new.port()), "{online}");
    let within = run.back_within(began, up);
    assert!(online.at <= up + within + SLACK, "{:?} after {up:?}, bound {within:?}\n{}", online.at, run.story());
    crew.all_served(online.at).await;
    let logs = crew.stop().await;
    assert!(logs.iter().all(|log| log.failed.iter().all(|text| !text.contains("read-only"))), "{logs:?}");

    run.goes_through(began, &["DialFailed WrongRole", "Dialed"]);

    // The old primary comes back as a standby: it stays out of the game.
    old.follow(&new)?;
    for _ in 0..8 {
        let lease = run.lease().await;
        assert_eq!(port_of(&lease).await?, i32::from(new.port()));
    }
    // S2 of a set: so many times what one endpoint may be dialed.
    let outage = relink::Span::from_millis(u64::try_from((online.at - began).as_millis())?);
    let of_one = relink_model::bounds::dials_max(run.policy(), outage, Fault::Refused).expect("a most");
    let bound = 2 * (of_one as usize + 1);
    let dials = run.dials_between(began, online.at);
    assert!(dials <= bound, "{dials} dials, at most {bound}\n{}", run.story());
    run.ends_clean(&ports).await;
    Ok(())
}

/// An old primary that is cut off from everybody but us for a while, as when its network is: nothing stops it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_was_replaced_and_does_not_know_takes_no_more_writes() -> Outcome {
    let old = Postgres::start()?;
    let new = old.standby()?;
    let proxy = Proxy::start(format!("127.0.0.1:{}", old.port()).as_str()).await?;
    let ports = [proxy.addr().port(), new.port()];
    let run = Run::start(&url_of(&ports, "?target_session_attrs=read-write"), brisk_of(2));
    let (first, second) = (run.lease().await, run.lease().await);
    assert_eq!((port_of(&first).await?, port_of(&second).await?), (i32::from(old.port()), i32::from(old.port())));
    drop(second);

    new.promote()?;
    // The proxy lets nobody new through: the next session is from the new primary, and shows that the old one is old.
    proxy.set(Mode::Refuse).await?;
    let began = run.now();
    run.lease().await.discard();
    let lease = run.served().await;
    assert_eq!(port_of(&lease).await?, i32::from(new.port()), "{}", run.story());
    drop(first);
    let again = run.served().await;
    assert_eq!(port_of(&again).await?, i32::from(new.port()), "a session of before is asked\n{}", run.story());
    let is_unproved = |event: &Event| matches!(event.kind, Kind::Unproved(_)) && is_at(event, ports[0]);
    let told = run.event("a wrong role", began, is_unproved).await;
    let (fault, _, text) = failure(&told);
    assert!(fault == Fault::WrongRole && text.contains("timeline 1, and was replaced"), "{told}");

    // With the new one gone nobody is served by the old one, until somebody says that it is to be so.
    drop((lease, again));
    proxy.set(Mode::Pass).await?;
    let began = run.now();
    new.stop(Stop::Immediate)?;
    let refused = |event: &Event| matches!(event.kind, Kind::DialFailed(_)) && is_at(event, ports[0]);
    let told = run.event("a refusal of the old primary", began, refused).await;
    assert_eq!(failure(&told).0, Fault::WrongRole, "{told}");
    run.pool().connector().unfence();
    assert_eq!(port_of(&run.served().await).await?, i32::from(old.port()));
    proxy.cut();
    run.ends_clean(&ports).await;
    Ok(())
}
