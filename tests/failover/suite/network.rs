//! A network of this process's own, in which packets vanish as they are told to.

use std::{
    env, fs,
    io::Write as _,
    process::{Command, Stdio},
};

use super::Outcome;

const INSIDE: &str = "RELINK_FAILOVER_NETWORK";

/// Whether packets can be made to vanish without touching anybody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Own,
    /// Why there is none.
    Shared(String),
}

/// Where this process is.
pub(crate) enum Entered {
    Inside(Network),
    /// Outside; the program ran inside and ended with this code.
    Over(u8),
}

/// Runs this program again as a child, in a network of its own where there can be one.
///
/// A child in any case: it is stopped by a scenario, and a shell that saw its own child stopped would not wait.
pub(crate) fn enter() -> Outcome<Entered> {
    if let Some(why) = env::var_os(INSIDE) {
        let why = why.to_string_lossy().into_owned();
        return Ok(Entered::Inside(if why.is_empty() { Network::Own } else { Network::Shared(why) }));
    }
    let why = run("unshare", &["--net", "sh", "-c", "ip link set lo up && iptables --wait --list-rules"], "")
        .err()
        .map(|why| why.to_string().replace('\n', " "));
    let mut again = Command::new(if why.is_none() { "unshare" } else { "sh" });
    if why.is_none() {
        again.args(["--net", "sh", "-c", "ip link set lo up && exec setpriv --pdeathsig TERM \"$0\" \"$@\""]);
    } else {
        again.args(["-c", "exec \"$0\" \"$@\""]);
    }
    let status =
        again.arg(env::current_exe()?).args(env::args_os().skip(1)).env(INSIDE, why.unwrap_or_default()).status()?;
    // 128 and more is what a shell makes of a signal.
    Ok(Entered::Over(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(128)))
}

fn run(program: &str, arguments: &[&str], input: &str) -> Outcome<()> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {}: {}", arguments.join(" "), said.trim_end()).into())
}

/// While this lives, packets vanish. They vanish on loopback, so in both directions.
pub(super) struct Dropped {
    rules: Vec<String>,
}

impl Dropped {
    /// Those between this port of a server's and these of its clients.
    pub(super) fn between(server: u16, clients: &[u16]) -> Outcome<Self> {
        let both =
            |client: &u16| [format!("--sport {client} --dport {server}"), format!("--sport {server} --dport {client}")];
        Self::begin(clients.iter().flat_map(both).collect())
    }

    /// All to and from this port.
    pub(super) fn all(server: u16) -> Outcome<Self> {
        Self::begin(vec![format!("--dport {server}"), format!("--sport {server}")])
    }

    fn begin(rules: Vec<String>) -> Outcome<Self> {
        apply("-A", &rules)?;
        Ok(Self { rules })
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Err(error) = apply("-D", &self.rules) {
            eprintln!("packets go on vanishing: {error}");
        }
    }
}

/// All rules in one transaction: no session is treated otherwise than another.
fn apply(verb: &str, rules: &[String]) -> Outcome<()> {
    let lines: String = rules.iter().map(|rule| format!("{verb} INPUT -p tcp {rule} -j DROP\n")).collect();
    run("iptables-restore", &["--noflush", "--wait"], &format!("*filter\n{lines}COMMIT\n"))
}

/// The ports of this machine's processes that are connected, or connecting, to this port of a server's.
pub(super) fn clients_of(server: u16) -> Outcome<Vec<u16>> {
    let table = fs::read_to_string("/proc/self/net/tcp")?;
    let remote = format!(":{server:04X}");
    let client = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // An inode of 0 is the kernel's alone: its process has closed it.
        let ours = fields.get(2)?.ends_with(&remote) && *fields.get(9)? != "0";
        let (_, port) = fields.get(1)?.rsplit_once(':')?;
        u16::from_str_radix(port, 16).ok().filter(|_| ours)
    };
    Ok(table.lines().skip(1).filter_map(client).collect())
}
