//! How much each `sslmode` checks of a server.

use std::time::Duration;

use relink::{
    Fault,
    adapter::{Connect, Failure},
    postgres::Postgres,
};
use tokio::time::timeout;

use crate::{
    common::{SOON, open},
    support::{self, DATABASE},
};

/// Its certificate is for `localhost`, by an authority of its own.
fn tls_server() -> support::Postgres {
    support::Postgres::builder().tls().start().unwrap()
}

async fn outcome(server: &support::Postgres, host: &str, more: &str) -> Result<bool, Failure> {
    let text = format!("host={host} hostaddr=127.0.0.1 port={} user=postgres dbname={DATABASE} {more}", server.port());
    let postgres: Postgres = text.parse().unwrap();
    let (mut live, _) = open(&postgres).await?;
    let query = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let encrypted = live.session.query_one(query, &[]).await.unwrap().get(0);
    assert!(timeout(Duration::from_millis(30), live.session.batch_execute("select pg_sleep(60)")).await.is_err());
    timeout(SOON, postgres.reset(&mut live.session)).await.unwrap().unwrap();
    Ok(encrypted)
}

#[tokio::test]
async fn each_mode_checks_as_much_as_it_says() {
    let (server, stranger) = (tls_server(), tls_server());
    let root = format!("sslrootcert={}", server.ca().display());
    let other = format!("sslrootcert={}", stranger.ca().display());
    assert!(!outcome(&server, "localhost", "sslmode=disable").await.unwrap());
    for (host, mode, root, fits) in [
        ("localhost", "prefer", "", true),
        ("localhost", "require", "", true),
        ("elsewhere.test", "require", "", true),
        ("elsewhere.test", "require", &*other, false),
        ("elsewhere.test", "verify-ca", &*root, true),
        ("localhost", "verify-ca", &*other, false),
        ("localhost", "verify-full", &*root, true),
        ("elsewhere.test", "verify-full", &*root, false),
        ("localhost", "verify-full", &*other, false),
    ] {
        match outcome(&server, host, &format!("sslmode={mode} {root}")).await {
            Ok(encrypted) => assert!(fits && encrypted, "{host} {mode} {root}"),
            Err(failure) => {
                assert!(!fits, "{host} {mode} {root}: {failure}");
                assert_eq!(failure.fault, Fault::Misconfigured);
            }
        }
    }
}
