//! What the real driver sees of the demo server in each of its weathers.
#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use relink_model::demo::server::{Server, Weather};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

/// Long enough for an answer over loopback that comes, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough to tell that an answer does not come: a session here opens in a few milliseconds.
const SILENCE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn in_fair_weather_both_protocols_answer_and_the_role_is_reported() {
    let server = Server::start().unwrap();
    let (client, connection) = config(&server).connect(NoTls).await.unwrap();
    assert_eq!(connection.parameter("in_hot_standby"), Some("off"));
    assert_eq!(connection.parameter("default_transaction_read_only"), Some("off"));
    assert!(connection.parameter("server_version").unwrap().starts_with("16."));
    let life = tokio::spawn(connection);

    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
    assert_eq!(role(&client).await, (false, "off".to_owned()));
    assert_eq!(client.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap(), 1);
    assert_eq!(client.execute("", &[]).await.unwrap(), 0);
    client.simple_query("").await.unwrap();
    client.batch_execute("BEGIN; INSERT INTO t VALUES (1); COMMIT; DISCARD ALL").await.unwrap();
    client.batch_execute("SELECT pg_sleep(0.001)").await.unwrap();
    client.query("SELECT pg_sleep(0.001)", &[]).await.unwrap();
    let rows = client.simple_query("SHOW server_version").await.unwrap();
    assert!(rows.iter().any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0).is_some())));
    let unknown = client.simple_query("TRUNCATE t").await.unwrap_err();
    assert_eq!((code(&unknown), severity(&unknown)), (Some(SqlState::FEATURE_NOT_SUPPORTED), Some(Severity::Error)));
    assert_eq!((server.counters().sessions_opened(), server.counters().sessions_open()), (1, 1));

    drop(client);
    life.await.unwrap().unwrap();
    until("the session is closed", || server.counters().sockets_open() == 0).await;
}

#[tokio::test]
async fn in_a_failed_transaction_nothing_but_its_end_is_accepted() {
    let server = Server::start().unwrap();
    let (mut client, _life) = dial(&server).await.unwrap();
    let transaction = client.transaction().await.unwrap();
    transaction.query("SELECT nonsense", &[]).await.unwrap_err();
    let refused = transaction.query("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(code(&refused), Some(SqlState::IN_FAILED_SQL_TRANSACTION));
    transaction.rollback().await.unwrap();
    client.query("SELECT 1", &[]).await.unwrap();
}

#[tokio::test]
async fn a_refusing_server_is_not_reached_and_comes_back_on_its_port() {
    let server = Server::start().unwrap();
    let address = server.address();
    let (client, life) = dial(&server).await.unwrap();
    server.set(Weather::Refuse).await.unwrap();
    assert!(client.simple_query("").await.unwrap_err().is_closed());
    // The driver reports the end of an idle session's stream as closed, without a code.
    assert!(ended(life).await.is_none_or(|error| code(&error).is_none()));
    for _ in 0..50 {
        assert_eq!(io_kind(&dial(&server).await.err().unwrap()), Some(io::ErrorKind::ConnectionRefused));
    }
    assert_eq!(server.counters().dials().len(), 1);
    server.set(Weather::Refuse).await.unwrap();
    server.set(Weather::Fair).await.unwrap();
    assert_eq!(server.address(), address);
    dial(&server).await.unwrap();
    assert_eq!(server.counters().dials().len(), 2);
}

#[tokio::test]
async fn nobody_else_gets_the_port_while_it_is_refused() {
    let server = Server::start().unwrap();
    server.set(Weather::Refuse).await.unwrap();
    let thief = TcpListener::bind(server.address()).await.unwrap_err();
    assert_eq!(thief.kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn a_reset_is_seen_as_a_reset() {
    let server = Server::start().unwrap();
    let (_client, life) = dial(&server).await.unwrap();
    server.set(Weather::Reset).await.unwrap();
    let error = ended(life).await.unwrap();
    assert_eq!(io_kind(&error), Some(io::ErrorKind::ConnectionReset), "{error:?}");
    let error = dial(&server).await.err().unwrap();
    assert_eq!(io_kind(&error), Some(io::ErrorKind::ConnectionReset), "{error:?}");
    assert_eq!(server.counters().dials().len(), 2);
}

#[tokio::test]
async fn silence_freezes_sessions_and_dials_until_it_ends() {
    let server = Server::start().unwrap();
    let (client, _life) = dial(&server).await.unwrap();
    server.set(Weather::Silent).await.unwrap();
    let (query, attempt) = (client.simple_query("SELECT 1"), dial(&server));
    tokio::pin!(query, attempt);
    let (asked, dialed) = tokio::join!(timeout(SILENCE, &mut query), timeout(SILENCE, &mut attempt));
    assert!(asked.is_err() && dialed.is_err());
    assert_eq!((server.counters().dials().len(), server.counters().sessions_opened()), (2, 1));
    server.set(Weather::Fair).await.unwrap();
    timeout(PATIENCE, query).await.unwrap().unwrap();
    timeout(PATIENCE, attempt).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_statement_in_flight_when_silence_begins_is_not_answered_in_it() {
    let server = Server::start().unwrap();
    let (client, _life) = dial(&server).await.unwrap();
    let query = client.simple_query("SELECT pg_sleep(0.2)");
    tokio::pin!(query);
    assert!(timeout(Duration::from_millis(50), &mut query).await.is_err());
    server.set(Weather::Silent).await.unwrap();
    assert!(timeout(SILENCE * 2, &mut query).await.is_err());
    server.set(Weather::Fair).await.unwrap();
    timeout(PATIENCE, query).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_starting_server_says_so_and_has_lost_its_sessions() {
    let server = Server::start().unwrap();
    let (client, life) = dial(&server).await.unwrap();
    server.set(Weather::Starting).await.unwrap();
    assert!(ended(life).await.is_none_or(|error| code(&error).is_none()));
    assert!(client.is_closed());
    let error = dial(&server).await.err().unwrap();
    assert_eq!(code(&error), Some(SqlState::CANNOT_CONNECT_NOW));
    assert_eq!(severity(&error), Some(Severity::Fatal));
    assert_eq!(server.counters().sessions_opened(), 1);
}

#[tokio::test]
async fn a_full_server_turns_away_and_keeps_whom_it_has() {
    let server = Server::start().unwrap();
    let (client, _life) = dial(&server).await.unwrap();
    server.set(Weather::Full).await.unwrap();
    assert_eq!(code(&dial(&server).await.err().unwrap()), Some(SqlState::TOO_MANY_CONNECTIONS));
    client.simple_query("SELECT 1").await.unwrap();
    server.set(Weather::Fair).await.unwrap();
    dial(&server).await.unwrap();
}

#[tokio::test]
async fn a_read_only_server_refuses_writes_of_old_sessions_and_new() {
    let server = Server::start().unwrap();
    let (old, _old_life) = dial(&server).await.unwrap();
    server.set(Weather::ReadOnly).await.unwrap();
    let (new, connection) = config(&server).connect(NoTls).await.unwrap();
    assert_eq!(connection.parameter("in_hot_standby"), Some("on"));
    assert_eq!(connection.parameter("default_transaction_read_only"), Some("on"));
    let _new_life = tokio::spawn(connection);
    for client in [&old, &new] {
        let error = client.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap_err();
        assert_eq!(code(&error), Some(SqlState::READ_ONLY_SQL_TRANSACTION));
        assert_eq!(severity(&error), Some(Severity::Error));
        assert_eq!(role(client).await, (true, "on".to_owned()));
    }
    server.set(Weather::Fair).await.unwrap();
    assert_eq!(old.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap(), 1);
}

#[tokio::test]
async fn a_terminated_session_is_told_whether_it_was_idle_or_not() {
    let server = Server::start().unwrap();
    let (_idle, idle_life) = dial(&server).await.unwrap();
    let (busy, busy_life) = dial(&server).await.unwrap();
    let query = busy.simple_query("SELECT pg_sleep(600)");
    tokio::pin!(query);
    assert!(timeout(Duration::from_millis(50), &mut query).await.is_err());
    server.set(Weather::Terminate).await.unwrap();
    let told = ended(idle_life).await.unwrap();
    assert_eq!((code(&told), severity(&told)), (Some(SqlState::ADMIN_SHUTDOWN), Some(Severity::Fatal)));
    assert_eq!(code(&timeout(PATIENCE, query).await.unwrap().unwrap_err()), Some(SqlState::ADMIN_SHUTDOWN));
    ended(busy_life).await;
    dial(&server).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_is_a_termination_and_then_a_refusal() {
    let server = Server::start().unwrap();
    let (_client, life) = dial(&server).await.unwrap();
    server.terminate_all().await.unwrap();
    server.set(Weather::Refuse).await.unwrap();
    assert_eq!(code(&ended(life).await.unwrap()), Some(SqlState::ADMIN_SHUTDOWN));
    assert_eq!(io_kind(&dial(&server).await.err().unwrap()), Some(io::ErrorKind::ConnectionRefused));
}

#[tokio::test]
async fn a_flapping_server_drops_every_session_that_it_has_opened() {
    let server = Server::start().unwrap();
    server.set(Weather::Flap).await.unwrap();
    for opened in 1..=3 {
        let (client, life) = dial(&server).await.unwrap();
        assert!(ended(life).await.is_none_or(|error| code(&error).is_none()));
        assert!(client.is_closed());
        assert_eq!(server.counters().sessions_opened(), opened);
    }
    until("all are dropped", || server.counters().sessions_open() == 0).await;
}

#[tokio::test]
async fn a_changed_password_is_denied_until_it_is_renewed() {
    let server = Server::start().unwrap();
    let old = config(&server);
    let (client, _life) = dial(&server).await.unwrap();
    server.set(Weather::WrongPassword).await.unwrap();
    let error = old.connect(NoTls).await.err().unwrap();
    assert_eq!(code(&error), Some(SqlState::INVALID_PASSWORD));
    assert_eq!(severity(&error), Some(Severity::Fatal));
    server.set(Weather::Fair).await.unwrap();
    assert_eq!(code(&old.connect(NoTls).await.err().unwrap()), Some(SqlState::INVALID_PASSWORD));
    dial(&server).await.unwrap();
    client.simple_query("SELECT 1").await.unwrap();
    server.set_password("another");
    assert_eq!(server.password(), "another");
    dial(&server).await.unwrap();
    let stranger = old.clone().user("stranger").password("another").connect(NoTls).await.err().unwrap();
    assert_eq!(code(&stranger), Some(SqlState::INVALID_PASSWORD));
}

#[tokio::test]
async fn a_statement_can_be_cancelled_and_the_session_goes_on() {
    let server = Server::start().unwrap();
    let (client, _life) = dial(&server).await.unwrap();
    let query = client.simple_query("SELECT pg_sleep(600)");
    tokio::pin!(query);
    // A cancel that comes before its statement does nothing, so it is repeated until it has hit.
    let cancelled = async {
        loop {
            if let Ok(answer) = timeout(Duration::from_millis(50), &mut query).await {
                return answer;
            }
            client.cancel_token().cancel_query(NoTls).await.unwrap();
        }
    };
    let error = timeout(PATIENCE, cancelled).await.unwrap().unwrap_err();
    assert_eq!(code(&error), Some(SqlState::QUERY_CANCELED));
    client.simple_query("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn a_cut_spares_nobody_and_the_next_dial_is_served() {
    let server = Server::start().unwrap();
    let (_client, life) = dial(&server).await.unwrap();
    let unanswered = TcpStream::connect(server.address()).await.unwrap();
    until("both are taken", || server.counters().sockets_open() == 2).await;
    server.cut_all().await.unwrap();
    ended(life).await;
    until("both are gone", || server.counters().sockets_open() == 0).await;
    drop(unanswered);
    dial(&server).await.unwrap();
}

#[tokio::test]
async fn dropping_the_server_leaves_no_socket_in_any_weather() {
    for weather in Weather::ALL {
        let server = Server::start().unwrap();
        let (address, counters) = (server.address(), server.counters());
        let (client, life) = dial(&server).await.unwrap();
        server.set(weather).await.unwrap();
        let _halfway = TcpStream::connect(address).await;
        drop(server);
        until("no socket is held", || counters.sockets_open() == 0 && counters.sessions_open() == 0).await;
        ended(life).await;
        assert!(client.is_closed(), "{weather:?}");
        refuses(address).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_any_weathers_in_any_order_every_client_is_served_again() {
    let server = Arc::new(Server::start().unwrap());
    let calm = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..64).map(|_| tokio::spawn(persist(server.clone(), calm.clone()))).collect();
    for turn in 0..50_usize {
        // 7 and 10 have no common divisor, so each weather follows another than the one before it in the list.
        server.set(*Weather::ALL.get(turn * 7 % Weather::ALL.len()).unwrap()).await.unwrap();
        if turn % 3 == 0 {
            server.terminate_all().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.set(Weather::Fair).await.unwrap();
    calm.store(true, Ordering::SeqCst);
    for client in clients {
        timeout(PATIENCE, client).await.unwrap().unwrap();
    }
    let counters = server.counters();
    assert!(counters.dials().is_sorted() && counters.dials().len() >= counters.sessions_opened());
    until("all have left", || counters.sockets_open() == 0 && counters.sessions_open() == 0).await;
}

/// Dials and asks, whatever happens, until it has been answered in calm weather.
async fn persist(server: Arc<Server>, calm: Arc<AtomicBool>) {
    loop {
        let was_calm = calm.load(Ordering::SeqCst);
        if let Ok((client, _life)) = dial(&server).await
            && client.simple_query("SELECT 1").await.is_ok()
            && was_calm
        {
            return;
        }
        // Refusals come at once: leave the others some of the processor.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn outside_a_runtime_it_is_an_error_and_no_panic() {
    assert!(Server::start().unwrap_err().to_string().contains("runtime"));
}

fn config(server: &Server) -> Config {
    let mut config = Config::new();
    config.host(server.address().ip().to_string()).port(server.address().port());
    config.user(server.user()).password(server.password()).dbname("demo");
    config
}

/// The session and the task that drives it.
async fn dial(server: &Server) -> Result<(Client, JoinHandle<Result<(), Error>>), Error> {
    let (client, connection) = config(server).connect(NoTls).await?;
    Ok((client, tokio::spawn(connection)))
}

/// The error that a session ended with, if it was one.
async fn ended(life: JoinHandle<Result<(), Error>>) -> Option<Error> {
    timeout(PATIENCE, life).await.unwrap().unwrap().err()
}

async fn role(client: &Client) -> (bool, String) {
    let sql = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')";
    let row = client.query_one(sql, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let polled = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(timeout(PATIENCE, polled).await.is_ok(), "not in time: {what}");
}

/// Returns when the port is refused, as it is soon after the server was dropped.
async fn refuses(address: SocketAddr) {
    let polled = async {
        while TcpStream::connect(address).await.err().map(|error| error.kind())
            != Some(io::ErrorKind::ConnectionRefused)
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(timeout(PATIENCE, polled).await.is_ok(), "still accepted at {address}");
}

fn code(error: &Error) -> Option<SqlState> {
    error.code().cloned()
}

/// The severity that is never localised, which pgwire leaves out unless told.
fn severity(error: &Error) -> Option<Severity> {
    error.as_db_error()?.parsed_severity()
}

fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    Some(error.source()?.downcast_ref::<io::Error>()?.kind())
}
