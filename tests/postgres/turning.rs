//! What a server reports of itself while it is in use: it is left as soon as it is not what was wanted.

use std::time::Duration;

use relink::{Fault, adapter::Kind, link::Command as Told, pool::Command, postgres::Lease};

use super::{
    common::{Outcome, Run, comes},
    scene::{plain, seconds},
    support::Postgres,
};

/// A pool that asks no session because it has rested for long.
fn never_at_rest(server: &Postgres, target: &str) -> Run {
    let url = format!("{}?target_session_attrs={target}", server.url("app"));
    Run::start(&url, plain(|policy| policy.stale_after = seconds(600)))
}

/// Runs statements until the server has reported a parameter like this.
async fn reports(lease: &Lease, name: &str, value: &str) {
    comes("a report", async || {
        lease.batch_execute("SELECT 1").await.unwrap();
        (lease.parameter(name).as_deref() == Some(value)).then_some(())
    })
    .await;
}

/// Two sessions, of which one is told: neither is lent again.
async fn both_are_left(run: &Run, told: Lease, other: Lease) {
    let asked = probes(run);
    drop(told);
    assert_eq!(run.count(|kind| matches!(kind, Kind::Unproved(_))), 0, "{}", run.story());
    drop(other);
    let error = run.get_within(Duration::from_secs(2)).await.expect_err("nobody has the wanted role");
    assert_eq!(error.fault(), Fault::WrongRole, "{error}");
    comes("both are asked", async || (probes(run) == asked + 2).then_some(())).await;
    comes("both are left", async || {
        (run.count(|kind| matches!(kind, Kind::Unproved(failure) if failure.fault == Fault::WrongRole)) == 2)
            .then_some(())
    })
    .await;
}

fn probes(run: &Run) -> usize {
    let commands = run.steps().into_iter().flat_map(|step| step.commands);
    commands.filter(|command| matches!(command, Command::Link { command: Told::Probe { .. }, .. })).count()
}

#[tokio::test]
async fn who_wants_a_standby_leaves_one_that_is_promoted_in_place() -> Outcome {
    let primary = Postgres::start()?;
    let standby = primary.standby()?;
    let run = never_at_rest(&standby, "standby");
    let (told, other) = (run.served().await, run.served().await);
    standby.promote()?;
    reports(&told, "in_hot_standby", "off").await;
    both_are_left(&run, told, other).await;
    run.ends(&standby).await;
    Ok(())
}

#[tokio::test]
async fn who_writes_leaves_a_server_whose_transactions_become_read_only() -> Outcome {
    let (server, name) = (Postgres::start()?, "default_transaction_read_only");
    let run = never_at_rest(&server, "read-write");
    let (mut told, other) = (run.served().await, run.served().await);

    // What does not concern its role does not matter, and a session's own default is asked about and stays.
    for (statement, asked) in [("SET application_name = 'x'", 0), (&*format!("SET {name} = on"), 1)] {
        let before = probes(&run);
        told.batch_execute(statement).await?;
        drop(told);
        told = run.served().await;
        assert_eq!(probes(&run) - before, asked, "{statement}");
    }
    told.batch_execute(&format!("RESET {name}")).await?;
    assert_eq!((run.dials(), run.losses().len()), (2, 0));

    server.psql(&format!("ALTER SYSTEM SET {name} = on"))?;
    server.reload()?;
    reports(&told, name, "on").await;
    both_are_left(&run, told, other).await;
    server.psql(&format!("ALTER SYSTEM RESET {name}"))?;
    server.reload()?;
    drop(run.served().await);
    run.ends(&server).await;
    Ok(())
}
