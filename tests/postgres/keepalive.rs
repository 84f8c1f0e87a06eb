//! A path that swallows packets: what an idle pool learns of it, and when.
//!
//! Needs root on Linux, because packets are swallowed in a network of this test's own: two namespaces and a pair of
//! virtual cables between them. Nothing outside of them is touched.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use relink::{Fault, adapter::State};

use crate::{
    common::{Run, SOON, failure, sockets_to},
    scene::{millis, plain},
    support::{DATABASE, Postgres, wait_until},
};

const INSIDE: &str = "RELINK_TEST_NETWORK";
const SERVER: &str = "10.73.0.1";
const CLIENT: &str = "10.73.0.2";

/// This test again, in a network of its own, with `part` to play.
fn play(part: &str) -> Command {
    let mut command = Command::new("unshare");
    let this = env::current_exe().unwrap();
    command.arg("--net").arg(this).args(["--exact", "--nocapture", "--ignored"]).env(INSIDE, part);
    command
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("ip: apt-get install iproute2");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Whether this process may make networks. Root in a container mostly may not.
fn may() -> Result<(), String> {
    let tried = Command::new("unshare").args(["--net", "ip", "link", "add", "type", "veth"]).output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn a_peer_that_fell_silent_under_an_idle_pool_is_noticed_within_ten_seconds() {
    if let Err(why) = may() {
        assert!(
            env::var_os("TEST_NETWORK_REQUIRED").is_none(),
            "no network of its own for this test: {why}: run it as root, with iproute2 installed"
        );
        eprintln!("NOT TESTED: a silent peer under an idle pool; it needs root and iproute2: {why}");
        return;
    }
    let status = play("server").arg("keepalive::server_side").status().unwrap();
    assert!(status.success(), "{status}");
}

/// Ends the other part when this one fails.
struct Part(Child);

impl Drop for Part {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
#[ignore = "started by the test above in a network of its own"]
fn server_side() {
    if env::var(INSIDE).as_deref() != Ok("server") {
        return;
    }
    ip("link set lo up");
    let server = Postgres::builder()
        .setting("listen_addresses", "*")
        .hba(&format!("host all all {CLIENT}/32 trust"))
        .start()
        .unwrap();
    let mut client = Part(
        play("client")
            .arg("keepalive::client_side")
            .env("RELINK_TEST_PORT", server.port().to_string())
            .env("RELINK_TEST_SERVER", std::process::id().to_string())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    // `unshare` becomes the client itself, in the other network from then on.
    let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    let pid = client.0.id().to_string();
    wait_until("the client's network", SOON, || Ok((network(&pid) != network("self")).then_some(()))).unwrap();
    ip(&format!("link add here type veth peer name there netns {pid}"));
    ip(&format!("addr add {SERVER}/30 dev here"));
    ip("link set here up");
    let stdin: &mut ChildStdin = client.0.stdin.as_mut().unwrap();
    writeln!(stdin, "the cable is there").unwrap();
    assert!(client.0.wait().unwrap().success());
}

/// The same in the server's network.
fn over_there(arguments: &str) {
    let server = env::var("RELINK_TEST_SERVER").unwrap();
    let output = Command::new("nsenter").args(["--net", "--target", &server, "ip"]).args(arguments.split(' ')).output();
    assert!(output.unwrap().status.success(), "ip {arguments}");
}

/// From now on nothing that is sent arrives, either way: it goes to a hardware address that nobody has. One way alone
/// would not do: what the server sends again and again for want of an answer shows that it is alive.
fn swallow() {
    over_there(&format!("neigh replace {CLIENT} lladdr 02:00:00:00:00:98 dev here nud permanent"));
    ip(&format!("neigh replace {SERVER} lladdr 02:00:00:00:00:99 dev there nud permanent"));
}

fn heal() {
    over_there(&format!("neigh del {CLIENT} dev here"));
    ip(&format!("neigh del {SERVER} dev there"));
}

#[test]
#[ignore = "started by the test above in a network of its own"]
fn client_side() {
    if env::var(INSIDE).as_deref() != Ok("client") {
        return;
    }
    let mut line = String::new();
    BufReader::new(std::io::stdin()).read_line(&mut line).unwrap();
    assert!(Path::new("/sys").exists() && line.starts_with("the cable"), "{line}");
    ip("link set lo up");
    ip(&format!("addr add {CLIENT}/30 dev there"));
    ip("link set there up");
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(idle_pool());
}

async fn idle_pool() {
    let port: u16 = env::var("RELINK_TEST_PORT").unwrap().parse().unwrap();
    let policy = plain(|policy| {
        (policy.min_idle, policy.max_size) = (2, 2);
        (policy.dial_deadline, policy.dial_deadline_max) = (millis(1_000), millis(2_000));
    });
    let run = Run::start(&format!("postgresql://app@{SERVER}:{port}/{DATABASE}"), policy);
    run.rests_with(2).await;
    drop(run.served().await);

    swallow();
    let from = run.now();
    let lost = run.lost(from).await;
    // 4 s of idleness, then two probes 2 s apart, as the policy's keepalive says; and the server's
    // last byte may have been a moment before.
    let noticed = lost.at - from;
    assert!(noticed <= Duration::from_secs(10), "after {noticed:?}");
    assert_eq!((failure(&lost).0, &*failure(&lost).1), (Fault::Lost, "errno 110"), "{lost}");
    run.state(State::Down).await;
    assert_eq!(run.losses(), ["errno 110"; 2]);

    // Nobody answers a dial either, and that is what whoever asks is told.
    let unanswered = run.dial_failed(lost.at).await;
    assert_eq!(failure(&unanswered).0, Fault::Unreachable, "{unanswered}");
    let error = run.get_within(Duration::ZERO).await.expect_err("no way to the server");
    assert!(error.to_string().contains(SERVER) && error.fault() == Fault::Unreachable, "{error}");

    heal();
    drop(run.served().await);
    run.rests_with(2).await;
    run.ends_clean(&[port]).await;
    assert_eq!(sockets_to(port), 0);
    println!("noticed after {noticed:?}");
}
