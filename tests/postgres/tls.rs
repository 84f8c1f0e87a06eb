//! TLS as far as a pool is concerned: what is encrypted, what is refused, and what the refusal says.

use relink::{Fault, Refusal, postgres::Lease};

use crate::{
    common::{Run, sockets_to},
    scene::{endpoint, no_backend, plain},
    support::{DATABASE, PASSWORD, Postgres},
};

fn text(server: &Postgres, host: &str, more: &str) -> String {
    format!("host={host} hostaddr=127.0.0.1 port={} user=app dbname={DATABASE} {more}", server.port())
}

async fn is_encrypted(lease: &Lease) -> bool {
    lease.query_one("select ssl from pg_stat_ssl where pid = pg_backend_pid()", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn required_and_verified_sessions_are_encrypted_and_cancelled_under_tls() {
    let server = Postgres::builder().tls().start().unwrap();
    let roots = format!("sslrootcert={}", server.ca().display());
    for more in ["sslmode=require", &*format!("sslmode=verify-full {roots}"), &*format!("sslmode=verify-ca {roots}")] {
        let run = Run::start(&text(&server, "localhost", more), plain(|policy| policy.max_size = 1));
        let lease = run.served().await;
        assert!(is_encrypted(&lease).await, "{more}");
        let query = lease.batch_execute("BEGIN; SELECT pg_sleep(600)");
        assert!(tokio::time::timeout(std::time::Duration::from_millis(50), query).await.is_err());
        drop(lease);
        // Cleaned over a second connection, which is encrypted as well.
        assert!(is_encrypted(&run.served().await).await, "{more}");
        assert_eq!(run.dials(), 1);
        run.ends(&server).await;
    }
}

async fn held(server: &Postgres, host: &str, more: &str, fault: Fault, dials: u64, says: &[&str]) {
    let run = Run::start(&text(server, host, more), plain(|_| {}));
    let error = run.get().await.expect_err("a server that is not to be spoken to");
    assert_eq!((error.refusal, error.fault()), (Refusal::Held(fault), fault), "{error}");
    let text = error.to_string();
    for word in says.iter().copied().chain([&*endpoint(&run)]) {
        assert!(text.contains(word), "`{word}` is missing: {text}");
    }
    run.is_held(fault, dials);
    run.replays();
    run.close().await;
    assert_eq!(sockets_to(server.port()), 0);
    no_backend(server).await;
}

#[tokio::test]
async fn a_server_without_tls_holds_at_once_and_says_what_to_switch_on() {
    let server = Postgres::start().unwrap();
    let says = ["does not offer TLS", "ssl=on", "sslmode=prefer"];
    held(&server, "localhost", "sslmode=require", Fault::Misconfigured, 1, &says).await;
    let run = Run::start(&text(&server, "localhost", "sslmode=prefer"), plain(|_| {}));
    assert!(!is_encrypted(&run.served().await).await);
    run.ends(&server).await;
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_holds_at_once() {
    let server = Postgres::builder().tls().start().unwrap();
    let other = Postgres::builder().tls().start().unwrap();
    let (ours, others) = (server.ca().display().to_string(), other.ca().display().to_string());
    let fits_not = format!("sslmode=verify-full sslrootcert={ours}");
    held(&server, "elsewhere.test", &fits_not, Fault::Misconfigured, 1, &["tls", "elsewhere.test"]).await;
    let not_trusted = format!("sslmode=verify-ca sslrootcert={others}");
    held(&server, "localhost", &not_trusted, Fault::Misconfigured, 1, &["tls", "localhost"]).await;
}

#[tokio::test]
async fn plaintext_that_pg_hba_refuses_is_denied_and_says_no_encryption() {
    let server = Postgres::builder().tls().hba("hostssl all all 127.0.0.1/32 trust").start().unwrap();
    let says = ["no encryption", "pg_hba.conf", "28000"];
    held(&server, "localhost", "sslmode=disable", Fault::Denied, 3, &says).await;
    let run = Run::start(&text(&server, "localhost", "sslmode=prefer"), plain(|_| {}));
    assert!(is_encrypted(&run.served().await).await);
    run.ends(&server).await;
}

#[tokio::test]
async fn scram_is_bound_to_the_certificate_by_the_hash_of_its_signature() {
    for (key, hash) in [("ec", "sha256"), ("ec", "sha384"), ("rsa:2048", "sha256"), ("rsa:2048", "sha512")] {
        let hba = "hostssl all all 127.0.0.1/32 scram-sha-256";
        let server = Postgres::builder().tls_signed(key, hash).hba(hba).start().unwrap();
        // With `require` the driver gives up rather than authenticate unbound, and the server refuses a wrong hash.
        for binding in ["require", "prefer", "disable"] {
            let more = format!("password='{PASSWORD}' sslmode=require channel_binding={binding}");
            let run = Run::start(&text(&server, "localhost", &more), plain(|policy| policy.max_size = 1));
            assert!(is_encrypted(&run.served().await).await, "{key} {hash} {binding}");
            run.ends(&server).await;
        }
    }
    // Plaintext has nothing to be bound to, which no retry mends.
    let server = Postgres::builder().hba("host all all 127.0.0.1/32 scram-sha-256").start().unwrap();
    let more = format!("password='{PASSWORD}' sslmode=disable channel_binding=require");
    held(&server, "localhost", &more, Fault::Misconfigured, 1, &["channel binding"]).await;
}
