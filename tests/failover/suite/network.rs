//! A network of this process's own, in which packets vanish and go astray as they are told to.

use std::{
    env, fs,
    io::Write as _,
    net::Ipv4Addr,
    process::{Command, Stdio},
};

use super::Outcome;

const INSIDE: &str = "RELINK_FAILOVER_NETWORK";

/// The port of name servers.
pub(super) const DNS: u16 = 53;

/// Names are asked of whoever is their server on loopback, with the system's own patience: 5 s and another 5 s
/// (resolv.conf(5)). Nobody outside sees these files.
const ENTER: &str = "set -e
ip link set lo up
file() {
    new=$(mktemp)
    cat >\"$new\"
    chmod 644 \"$new\"
    mount --bind \"$new\" \"$1\"
    rm \"$new\"
}
echo nameserver 127.0.0.1 | file /etc/resolv.conf
echo hosts: files dns | file /etc/nsswitch.conf
";

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
    let look = format!("{ENTER} iptables --wait --list-rules");
    let why = run("unshare", &["--net", "--mount", "sh", "-c", &look], "")
        .err()
        .map(|why| why.to_string().replace('\n', " "));
    let mut again = Command::new(if why.is_none() { "unshare" } else { "sh" });
    if why.is_none() {
        let begin = format!("{ENTER} exec setpriv --pdeathsig TERM \"$0\" \"$@\"");
        again.args(["--net", "--mount", "sh", "-c", &begin]);
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

/// While this lives, the network has these rules. It is loopback alone, so what vanishes does so in both directions.
pub(super) struct Rules {
    table: &'static str,
    rules: Vec<String>,
}

impl Rules {
    /// Packets between this port of a server's and these of its clients vanish.
    pub(super) fn between(server: u16, clients: &[u16]) -> Outcome<Self> {
        let both = |client: &u16| {
            [format!("--sport {client} --dport {server} -j DROP"), format!("--sport {server} --dport {client} -j DROP")]
        };
        Self::filter(clients.iter().flat_map(both))
    }

    /// All packets to and from this port vanish.
    pub(super) fn all(server: u16) -> Outcome<Self> {
        Self::filter([format!("--dport {server} -j DROP"), format!("--sport {server} -j DROP")])
    }

    /// The same, and a router says so.
    pub(super) fn unreachable(server: u16) -> Outcome<Self> {
        let said = "-j REJECT --reject-with icmp-host-unreachable";
        Self::filter([format!("--dport {server} {said}"), format!("--sport {server} {said}")])
    }

    /// Who connects to this address and port reaches the server at that port of 127.0.0.1.
    pub(super) fn lead((address, port): (Ipv4Addr, u16), server: u16) -> Outcome<Self> {
        let rule = format!("-A OUTPUT -p tcp -d {address} --dport {port} -j DNAT --to-destination 127.0.0.1:{server}");
        Self::begin("nat", vec![rule])
    }

    fn filter(rules: impl IntoIterator<Item = String>) -> Outcome<Self> {
        Self::begin("filter", rules.into_iter().map(|rule| format!("-A INPUT -p tcp {rule}")).collect())
    }

    fn begin(table: &'static str, rules: Vec<String>) -> Outcome<Self> {
        apply(table, &rules)?;
        Ok(Self { table, rules })
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        let undo: Vec<String> = self.rules.iter().map(|rule| rule.replacen("-A", "-D", 1)).collect();
        if let Err(error) = apply(self.table, &undo) {
            eprintln!("rules of the network stay: {error}");
        }
    }
}

/// All rules in one transaction: no session is treated otherwise than another.
fn apply(table: &str, rules: &[String]) -> Outcome<()> {
    let rules = rules.join("\n");
    run("iptables-restore", &["--noflush", "--wait"], &format!("*{table}\n{rules}\nCOMMIT\n"))
}

/// The ports of this network's processes that are connected, or connecting, to this port of a server's.
pub(super) fn clients_of(server: u16) -> Outcome<Vec<u16>> {
    connected("/proc/self/net/tcp", server)
}

/// How many look-ups of names are under way: each has a socket.
pub(super) fn look_ups() -> Outcome<usize> {
    Ok(connected("/proc/self/net/udp", DNS)?.len())
}

fn connected(table: &str, server: u16) -> Outcome<Vec<u16>> {
    let table = fs::read_to_string(table)?;
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
