//! One PgBouncer in front of a server.

use std::{
    fmt::Write as _,
    fs::OpenOptions,
    process::Child,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use relink_model::proxy::free_port;

use super::{
    postgres::{DATABASE, PASSWORD, Postgres},
    process::{self, Home, Signal, Trouble, command, finish, wait_until, write},
};

/// For how long a client of PgBouncer keeps its server connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PoolMode {
    Session,
    Transaction,
    Statement,
}

impl PoolMode {
    const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Transaction => "transaction",
            Self::Statement => "statement",
        }
    }
}

/// A PgBouncer, started or stopped. Its port stays the same.
pub(crate) struct PgBouncer {
    home: Home,
    process: Mutex<Option<Child>>,
    port: u16,
}

impl PgBouncer {
    pub(crate) fn start(server: &Postgres, mode: PoolMode) -> Result<Self, Trouble> {
        Self::start_with(server, mode, &[])
    }

    /// The same with lines of `[pgbouncer]`, which win over the testbed's own.
    pub(crate) fn start_with(server: &Postgres, mode: PoolMode, settings: &[(&str, &str)]) -> Result<Self, Trouble> {
        let bouncer = Self { home: Home::new("b")?, process: Mutex::new(None), port: free_port()? };
        let dir = bouncer.home.path();
        let mut ini = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\n\
             unix_socket_dir = {dir}\nauth_type = trust\nauth_file = {dir}/users\nadmin_users = postgres\n\
             pool_mode = {}\nserver_login_retry = 1\n",
            server.port(),
            bouncer.port,
            mode.name(),
            dir = dir.display(),
        );
        for (name, value) in settings {
            let _ = writeln!(ini, "{name} = {value}");
        }
        write(&dir.join("pgbouncer.ini"), &ini)?;
        write(&dir.join("users"), &format!("\"app\" \"{PASSWORD}\"\n\"postgres\" \"{PASSWORD}\"\n"))?;
        bouncer.launch()?;
        Ok(bouncer)
    }

    fn launch(&self) -> Result<(), Trouble> {
        let logged = self.log().len();
        let log = OpenOptions::new().create(true).append(true).open(self.home.path().join("log"))?;
        let mut process = command("pgbouncer", self.home.path())?.arg("pgbouncer.ini").stderr(log).spawn()?;
        let started = wait_until("PgBouncer listens", Duration::from_secs(20), || {
            let log = self.log();
            let said = log.get(logged..).unwrap_or_default();
            if let Some(status) = process.try_wait()? {
                return Err(Trouble::new(format!("PgBouncer ended ({status}) and said: {said}")));
            }
            // Not by a dial, which would count as a client.
            Ok(said.contains("process up").then_some(()))
        });
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        started
    }

    /// The TCP port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How `user` (`app` or `postgres`) reaches the database through it.
    pub(crate) fn url(&self, user: &str) -> String {
        format!("postgresql://{user}:{PASSWORD}@127.0.0.1:{}/{DATABASE}", self.port)
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// Runs a command of the administration console, such as `PAUSE` or `SHOW POOLS`.
    pub(crate) fn admin(&self, statement: &str) -> Result<String, Trouble> {
        let (dir, port) = (self.home.path().to_string_lossy(), self.port.to_string());
        let arguments = ["-XAtq", "-h", &*dir, "-p", &port, "-U", "postgres", "-d", "pgbouncer", "-c", statement];
        finish("psql", &arguments, self.home.path(), "")
    }

    /// Serves from this server from now on: transactions end where they are, the next ones begin there. Clients
    /// notice nothing.
    pub(crate) fn point_to(&self, server: &Postgres) -> Result<(), Trouble> {
        let path = self.home.path().join("pgbouncer.ini");
        let ini = std::fs::read_to_string(&path)?;
        let line = |line: &str| match line.strip_prefix("* = ") {
            Some(_) => format!("* = host=127.0.0.1 port={}\n", server.port()),
            None => format!("{line}\n"),
        };
        write(&path, &ini.lines().map(line).collect::<String>())?;
        self.admin("RELOAD").map(drop)
    }

    /// Ends it at once, clients and server connections with it.
    pub(crate) fn stop(&self) -> Result<(), Trouble> {
        let ended = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut process) = ended {
            // The one signal that means "at once" to every version and in every environment: 1.23 made
            // SIGTERM wait for clients, and SIGQUIT is ignored by what a shell started in the background.
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Starts a stopped one again on its port.
    pub(crate) fn start_again(&self) -> Result<(), Trouble> {
        self.launch()
    }

    /// Ends it and starts it again.
    pub(crate) fn restart(&self) -> Result<(), Trouble> {
        self.stop()?;
        self.launch()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let ended = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut process) = ended {
            // It may have ended already, which is what is wanted.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
