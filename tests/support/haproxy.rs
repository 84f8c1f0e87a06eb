//! One HAProxy that carries TCP to the first of its servers that answers.

use std::{
    fs::OpenOptions,
    net::TcpStream,
    process::{Child, Stdio},
    time::Duration,
};

use relink_model::proxy::free_port;

use super::{
    postgres::{DATABASE, PASSWORD, Postgres},
    process::{Home, Trouble, command, wait_until, write},
};

/// An HAProxy in mode `tcp`: it looks every 100 ms which servers take connections, uses the first of them, and ends the
/// sessions of one that is down.
pub(crate) struct HaProxy {
    home: Home,
    process: Child,
    port: u16,
}

impl HaProxy {
    pub(crate) fn start(servers: &[&Postgres]) -> Result<Self, Trouble> {
        let (home, port) = (Home::new("h")?, free_port()?);
        let mut config = format!(
            "global\n maxconn 256\ndefaults\n mode tcp\n timeout connect 1s\n timeout client 1h\n timeout server 1h\n\
             listen database\n bind 127.0.0.1:{port}\n"
        );
        for (index, server) in servers.iter().enumerate() {
            let backup = if index == 0 { "" } else { " backup" };
            config += &format!(
                " server s{index} 127.0.0.1:{} check inter 100ms fall 2 rise 1 on-marked-down shutdown-sessions{backup}\n",
                server.port()
            );
        }
        write(&home.path().join("haproxy.cfg"), &config)?;
        let log = OpenOptions::new().create(true).append(true).open(home.path().join("log"))?;
        let mut haproxy = command("haproxy", home.path())?;
        let process = haproxy.args(["-db", "-f", "haproxy.cfg"]).stdout(Stdio::null()).stderr(log).spawn()?;
        let mut haproxy = Self { home, process, port };
        haproxy.listens()?;
        Ok(haproxy)
    }

    fn listens(&mut self) -> Result<(), Trouble> {
        let Self { home, process, port } = self;
        wait_until("HAProxy listens", Duration::from_secs(20), || {
            if let Some(status) = process.try_wait()? {
                let said = std::fs::read_to_string(home.path().join("log")).unwrap_or_default();
                return Err(Trouble::new(format!("HAProxy ended ({status}) and said: {said}")));
            }
            Ok(TcpStream::connect(("127.0.0.1", *port)).ok().map(drop))
        })
    }

    /// The TCP port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How `app` reaches the database through it.
    pub(crate) fn url(&self) -> String {
        format!("postgresql://app:{PASSWORD}@127.0.0.1:{}/{DATABASE}", self.port)
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
