//! `relink explore` serves states that a person can read, on this machine only.
#![expect(clippy::unwrap_used, reason = "a test that meets the unforeseen has failed")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

#[test]
fn a_pool_is_shown_in_short_lines() {
    let explorer = Explorer::start("one-link");
    let status = explorer.get("/.status");
    assert_eq!(status["model"], "relink_model::worlds::world::World");
    assert!(status["properties"].as_array().unwrap().iter().any(|property| property[1] == "S12"), "{status}");

    let starts = explorer.get("/.states/");
    let state = starts[0]["state"].as_str().unwrap();
    assert!(state.starts_with("link 0: dialing 1 of endpoint 0, over in 2ms\nendpoint 0: up"), "{state}");
    let actions = explorer.get("/.states/0");
    let actions = actions.as_array().unwrap();
    let refused = "server fails the dial: refused: 1 of endpoint 0 for link 0, chance 50 %";
    let refused = actions.iter().find(|action| action["action"] == refused).unwrap();
    assert_eq!(refused["outcome"], refused["state"]);
    assert_eq!(
        refused["outcome"].as_str().unwrap(),
        "link 0: waiting\nendpoint 0: down, next dial in 2ms; 0 online, 0 in flight\noutage: for 0\npool: size 1"
    );
    let lines = actions.iter().filter_map(|action| action["state"].as_str()).map(|state| state.lines().count());
    assert!(lines.max().unwrap() < 10);
}

#[test]
fn a_process_and_a_fleet_are_shown_in_short_lines() {
    let process = Explorer::start("second-is-good");
    let state = process.get("/.states/0");
    let state = state[0]["outcome"].as_str().unwrap();
    assert!(state.contains("dial 1 of endpoint 0: over in 2ms"), "{state}");
    assert!(state.ends_with("the environment does not keep its promise"), "{state}");

    let fleet = Explorer::start("herd-rejects");
    let actions = fleet.get("/.states/0/0");
    assert_eq!(actions[0]["action"], "coin outcome 0 for the wait");
    let state = actions[0]["outcome"].as_str().unwrap();
    assert!(state.starts_with("up, backlog 3\nonline (Settling)\n") && state.lines().count() == 4, "{state}");
    assert!(actions[0]["state"].as_str().unwrap().lines().count() == 4, "{actions}");
}

#[test]
fn a_port_that_is_taken_is_told_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output =
        Command::new(env!("CARGO_BIN_EXE_relink")).args(["explore", "one-link", "--port", &port]).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(err.contains("cannot listen on 127.0.0.1:") && err.lines().count() == 1, "{err}");
}

/// A running Explorer, ended with its test.
struct Explorer {
    child: Child,
    at: SocketAddr,
}

impl Explorer {
    fn start(world: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relink"));
        let mut child = command.args(["explore", world]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let at = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap().parse().unwrap();
        Self { child, at }
    }

    fn get(&self, path: &str) -> Value {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{head}");
        serde_json::from_str(body).unwrap()
    }

    /// It tells its address before it listens there.
    fn connect(&self) -> TcpStream {
        let begun = Instant::now();
        loop {
            match TcpStream::connect(self.at) {
                Ok(stream) => return stream,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(30), "{error}"),
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Explorer {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
