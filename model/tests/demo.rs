//! `relink demo` as a user runs it: the whole day, a part of it, and its refusals.
#![expect(clippy::unwrap_used, reason = "a test that meets the unforeseen has failed")]

use std::process::{Command, Output};

use serde_json::Value;

fn relink(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_relink")).arg("demo").args(args).env_remove("PGPASSWORD").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The exit code and the text of a call that does nothing.
fn refusal(args: &[&str]) -> (Option<i32>, String) {
    let output = relink(args);
    assert!(output.stdout.is_empty(), "{args:?}: {}", text(&output.stdout));
    (output.status.code(), text(&output.stderr))
}

#[test]
fn the_whole_day_holds_and_its_object_is_alone_on_standard_output() {
    let output = relink(&["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"], "held", "{report}");
    let faults = report["faults"].as_array().unwrap();
    let names: Vec<_> = faults.iter().map(|fault| fault["fault"].as_str().unwrap()).collect();
    let expected = [
        "refused",
        "accepted, reset",
        "accepted, silent",
        "starting up",
        "too many connections",
        "read-only",
        "terminated",
        "flapping",
        "password changed",
    ];
    assert_eq!(names, expected);
    let of = |name: &str| faults.iter().find(|fault| fault["fault"] == name).unwrap();
    for fault in faults {
        assert_eq!(fault["never"], 0, "{fault}");
        assert!(fault["first_success_s"].is_f64(), "{fault}");
        // Each fault was met: a server that stayed up would not have been dialed.
        let away = fault["fault"] != "terminated";
        assert_eq!(fault["dials_outage"].as_u64().unwrap() > 0, away, "{fault}");
    }
    assert_eq!(of("password changed")["dials_outage"], 3);
    assert!(of("password changed")["errors"]["Denied"].as_u64().unwrap() > 0);
    // The end of a session is told to the one who has it, and to nobody after: 16 at the beginning, one each dial.
    let flapping = of("flapping");
    let told: u64 = flapping["errors"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert!(told <= 16 + flapping["dials_outage"].as_u64().unwrap(), "{flapping}");
}

#[test]
fn some_faults_can_be_chosen_and_explain_themselves() {
    let output = relink(&["--only", "terminate,refuse"]);
    let (said, shown) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}{shown}");
    for words in ["2 faults", "64 share 16 sessions", "not 500ms", "B2 held", "S3 held", "held: 2 of 2 faults"] {
        assert!(said.contains(words), "`{words}` is missing: {said}");
    }
    assert!(!said.contains('\u{1b}'), "colours where no terminal is: {said:?}");
    // In the order of the day, whatever the order on the command line.
    let order = shown.find("refused").zip(shown.find("terminated"));
    assert!(order.is_some_and(|(first, second)| first < second), "{shown}");
    assert!(shown.contains("64/64 served"), "{shown}");
    for line in said.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn bad_usage_is_refused_with_the_fix() {
    let (code, said) = refusal(&["--only", "earthquake"]);
    assert!(code == Some(2) && said.contains("earthquake") && said.contains("wrong-password"), "{said}");
    let (code, said) = refusal(&["--only", "full", "--url", "postgresql://nobody@127.0.0.1/x"]);
    assert!(code == Some(2) && said.contains("proxy cannot make") && said.contains("flapping"), "{said}");
    let (code, said) = refusal(&["--url", "postgresql://nobody@a,b/x"]);
    assert!(code == Some(2) && said.contains("one host at a time"), "{said}");
    let (code, said) = refusal(&["--url", "postgresql://u:s3cret@h/d?sslmode=always"]);
    assert!(code == Some(2) && said.contains("sslmode") && !said.contains("s3cret"), "{said}");
    let (code, said) = refusal(&["--policy", "/nowhere/relink.toml"]);
    assert!(code == Some(2) && said.contains("/nowhere/relink.toml"), "{said}");
}

#[test]
fn a_server_that_cannot_be_reached_ends_with_its_root_cause() {
    // Bound and not listening: the kernel refuses, and nobody else gets the port.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    let (code, said) = refusal(&["--url", &format!("postgresql://nobody@127.0.0.1:{port}/x")]);
    assert!(code == Some(3) && said.contains("refused") && said.contains(&port.to_string()), "{said}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_it_without_a_panic() {
    use std::io::{BufRead, BufReader, Read};
    let mut command = Command::new(env!("CARGO_BIN_EXE_relink"));
    command.arg("demo").stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut shown = BufReader::new(child.stderr.take().unwrap());
    // The first line is shown when the pool is at work.
    let mut said = String::new();
    shown.read_line(&mut said).unwrap();
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    shown.read_to_string(&mut said).unwrap();
    assert!(said.contains("interrupted") && !said.contains("panicked"), "{said}");
}
