//! The rehearsal of `relink demo --url` before a real server: the faults are the proxy's, the server notices none.
#![cfg(feature = "postgres")]

mod support;

use std::{error::Error, time::Duration};

use relink::{
    Fault,
    adapter::Connect,
    postgres::{Config, Pool, Postgres as Connector},
};
use relink_model::{
    demo::{
        crew::Job,
        day::{self, Plan},
        policy,
        rehearsal::{self, Unfit},
        scene::Scene,
        table::Verdict,
        view::View,
    },
    proxy::Proxy,
};
use support::{DATABASE, PASSWORD, Postgres};

type Outcome = Result<(), Box<dyn Error>>;

const DEADLINE: Duration = Duration::from_secs(20);

// The testbed blocks its thread, and the proxy must go on meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_path_is_rehearsed_and_the_server_is_left_as_it_was() -> Outcome {
    let server = Postgres::builder().hba("host all all 127.0.0.1/32 scram-sha-256").start()?;
    let policy = policy::shortened()?;
    let without = format!("postgresql://app@127.0.0.1:{}/{DATABASE}", server.port());
    let config = without.parse::<Config>()?.password_default(PASSWORD);
    let stage = rehearsal::prepare(config, DEADLINE).await?;
    assert_eq!(stage.server, format!("127.0.0.1:{}", server.port()));
    let pool = Pool::configure(stage.config, policy)?.build()?;
    let job = Job { statement: "SELECT 1", hold: Duration::from_millis(10) };
    let faults = stage.scene.faults().to_vec();
    assert_eq!(faults, Scene::REHEARSAL);
    let plan = Plan { faults, outage: Duration::from_secs(1), workers: 64, job };
    let day = day::run(&stage.scene, &pool, &plan, View::new(true)).await?;
    assert_eq!(day.report.verdict, Verdict::Held, "{}", day.report.json()?);
    assert_eq!(day.report.faults.len(), 5);
    pool.close().await;
    support::wait_until("all sessions are gone", DEADLINE, || Ok(server.backends_of("app")?.is_empty().then_some(())))?;
    let log = server.log();
    assert!(!log.contains("ERROR") && !log.contains("terminating"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_unix_socket_is_rehearsed_over_tcp_whatever_tls_is_wanted() -> Outcome {
    let server = Postgres::start()?;
    let (folder, port) = (server.socket_dir().display(), server.port());
    let config: Config =
        format!("host={folder} port={port} user=postgres dbname={DATABASE} sslmode=require").parse()?;
    assert_eq!(config.destinations(), [format!("{folder}/.s.PGSQL.{port}")]);
    let stage = rehearsal::prepare(config, DEADLINE).await?;
    let opened = Connector::new(stage.config)?.dial(0, || {}).await?;
    assert!(opened.client.parameter("server_version").is_some());
    Ok(())
}

#[tokio::test]
async fn nothing_begins_where_the_server_refuses() -> Outcome {
    let server = Postgres::builder().hba("host all all 127.0.0.1/32 scram-sha-256").start()?;
    let wrong = format!("postgresql://app:wrong@127.0.0.1:{}/{DATABASE}", server.port());
    match rehearsal::prepare(wrong.parse()?, DEADLINE).await {
        Err(Unfit::Server(failure)) => assert_eq!(failure.fault, Fault::Denied),
        Err(other) => return Err(other.into()),
        Ok(_) => return Err("a wrong password was accepted".into()),
    }
    Ok(())
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_rerouted_dial_still_verifies_the_name_of_its_host() -> Outcome {
    let server = Postgres::builder().tls().start()?;
    let proxy = Proxy::start(format!("127.0.0.1:{}", server.port()).as_str()).await?;
    let ca = server.ca();
    let by_name = |host: &str| -> Result<Connector, Box<dyn Error>> {
        // Nobody listens at this port of any host: what is reached is reached by the proxy.
        let url =
            format!("host={host} port=1 user=app dbname={DATABASE} sslmode=verify-full sslrootcert={}", ca.display());
        Ok(Connector::new(url.parse::<Config>()?.rerouted(proxy.addr()))?)
    };
    by_name("localhost")?.dial(0, || {}).await?;
    match by_name("db.invalid")?.dial(0, || {}).await {
        Err(failure) => assert_eq!(failure.fault, Fault::Misconfigured, "{failure}"),
        Ok(_) => return Err("a certificate for another host was accepted".into()),
    }
    assert_eq!(proxy.dials().len(), 2);
    Ok(())
}
