//! One PostgreSQL server: how it is laid out, started, stopped, killed, frozen, copied and promoted.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use relink_model::proxy::free_port;

use super::{
    builder::Builder,
    process::{self, Home, Signal, Trouble, command, finish, processes_in, wait_until, write},
};

/// The database of every server; it belongs to the ordinary user `app`.
pub(crate) const DATABASE: &str = "app";

/// The password of `app` and of the superuser `postgres`. Asked for only when a line of `hba` says so.
pub(crate) const PASSWORD: &str = "correct-horse";

/// The superuser on the socket is the testbed itself, whatever the other lines are.
const HBA: &str = "local all postgres trust\nlocal replication postgres trust\n";

/// A copied crash needs some time; a loaded machine needs more.
const LIMIT: Duration = Duration::from_secs(60);

/// How a server is asked to stop; the names are PostgreSQL's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Waits for clients to leave.
    Smart,
    /// Ends their sessions.
    Fast,
    /// Ends without a checkpoint; the next start recovers.
    Immediate,
}

pub(super) fn text(path: &Path) -> Result<&str, Trouble> {
    path.to_str().ok_or_else(|| Trouble::new(format!("{} is not UTF-8", path.display())))
}

/// Kills and reaps its process when dropped.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server, started or stopped. Its port, directory and roles stay the same.
pub(crate) struct Postgres {
    // The order matters: the home ends all processes gracefully, then what was ours is reaped.
    home: Home,
    postmaster: Mutex<Option<Reaped>>,
    port: OnceLock<u16>,
}

impl Postgres {
    pub(crate) fn start() -> Result<Self, Trouble> {
        Self::builder().start()
    }

    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    pub(super) fn prepare() -> Result<Self, Trouble> {
        Ok(Self { home: Home::new("p")?, postmaster: Mutex::new(None), port: OnceLock::new() })
    }

    pub(super) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Where the server looks for locales, if it is there; it is made by being asked for.
    pub(super) fn locales(&self) -> Result<PathBuf, Trouble> {
        let dir = self.home.path().join("locales");
        fs::create_dir_all(&dir)?;
        process::own(&dir)?;
        Ok(dir)
    }

    fn postmaster(&self) -> MutexGuard<'_, Option<Reaped>> {
        self.postmaster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The TCP port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port.get().copied().unwrap_or_default()
    }

    /// The folder of its Unix socket.
    pub(crate) fn socket_dir(&self) -> &Path {
        self.home.path()
    }

    /// How `user` (`app` or `postgres`) reaches the database over TCP; holds the password.
    pub(crate) fn url(&self, user: &str) -> String {
        format!("postgresql://{user}:{PASSWORD}@127.0.0.1:{}/{DATABASE}", self.port())
    }

    /// The certificate of the authority that a [`Builder::tls`] server's own is signed by.
    pub(crate) fn ca(&self) -> PathBuf {
        self.data().join("ca.crt")
    }

    /// What the server has logged so far, in all its lives.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// The process id of the postmaster; `None` while stopped.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.postmaster().as_ref().map(|process| process.0.id())
    }

    /// All processes of the server, orphans of a killed postmaster included.
    pub(crate) fn processes(&self) -> Vec<u32> {
        processes_in(&self.data()).into_iter().collect()
    }

    /// Replaces the lines of `pg_hba.conf` (those of the socket stay) and has the running server obey them.
    pub(crate) fn set_hba(&self, lines: &str) -> Result<(), Trouble> {
        self.write_hba(lines)?;
        self.reload()
    }

    /// Has the running server read its files again, and waits until new sessions are treated by them.
    pub(crate) fn reload(&self) -> Result<(), Trouble> {
        // A new session inherits the time at which the postmaster read its files.
        let before = self.psql("SELECT pg_conf_load_time() FROM pg_reload_conf()")?;
        wait_until("the files are read again", LIMIT, || {
            Ok((self.psql("SELECT pg_conf_load_time()")? != before).then_some(()))
        })
    }

    pub(super) fn write_hba(&self, lines: &str) -> Result<(), Trouble> {
        let lines = if lines.is_empty() { "host all all 127.0.0.1/32 trust\n" } else { lines };
        write(&self.data().join("pg_hba.conf"), &format!("{HBA}{lines}\n"))
    }

    /// Runs statements, each in a transaction of its own, as superuser over the Unix socket; returns the rows,
    /// columns separated by `|`.
    pub(crate) fn psql(&self, sql: &str) -> Result<String, Trouble> {
        let (dir, port) = (text(self.home.path())?, self.port().to_string());
        let session = ["-h", dir, "-p", &port, "-U", "postgres", "-d", DATABASE];
        let arguments: Vec<&str> = ["-XAtq", "-v", "ON_ERROR_STOP=1"].into_iter().chain(session).collect();
        finish("psql", &arguments, self.home.path(), sql)
    }

    /// The backends that serve `user` now.
    pub(crate) fn backends_of(&self, user: &str) -> Result<Vec<u32>, Trouble> {
        let rows = self.psql(&format!("SELECT pid FROM pg_stat_activity WHERE usename = '{user}' ORDER BY pid"))?;
        rows.lines().map(|pid| pid.parse().map_err(|_| Trouble::new(format!("{pid} is no process id")))).collect()
    }

    /// Waits until so many sessions of `user` wait for their clients, at most 60 s. A client that has its answer knows
    /// less: its backend may be in the midst of sending it, and then leaves without a word when it must leave at once
    /// (`PqCommBusy` in PostgreSQL's `pqcomm.c`).
    pub(crate) fn wait_for_rest(&self, user: &str, sessions: usize) -> Result<(), Trouble> {
        let count =
            format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}' AND wait_event = 'ClientRead'");
        wait_until("sessions that wait for their clients", LIMIT, || {
            Ok((self.psql(&count)? == sessions.to_string()).then_some(()))
        })
    }

    /// The first start: takes a free port, another one if somebody else was faster.
    pub(super) fn start_somewhere(&self) -> Result<(), Trouble> {
        for _ in 0..5 {
            let port = free_port()?;
            match self.launch(port) {
                Err(trouble) if trouble.mentions("Address already in use") => {}
                Err(trouble) => return Err(trouble),
                Ok(()) => return self.port.set(port).map_err(|_| Trouble::new("a server is started somewhere once")),
            }
        }
        Err(Trouble::new("five free ports in a row were taken before PostgreSQL could listen on them"))
    }

    /// Starts a stopped server on its port. After a kill the lock file, or orphans that hold the shared memory, may
    /// stand in the way for a while, so it tries again.
    pub(crate) fn start_again(&self) -> Result<(), Trouble> {
        if let Some(pid) = self.pid() {
            return Err(Trouble::new(format!(
                "the server is running (process {pid}): stop it before it is started again"
            )));
        }
        let end = Instant::now() + LIMIT;
        loop {
            match self.launch(self.port()) {
                Err(trouble)
                    if Instant::now() < end
                        && (trouble.mentions("\"postmaster.pid\" already exists")
                            || trouble.mentions("pre-existing shared memory block")) =>
                {
                    std::thread::sleep(Duration::from_millis(50));
                }
                other => return other,
            }
        }
    }

    /// Starts and waits until the server says in its lock file that it takes connections.
    fn launch(&self, port: u16) -> Result<(), Trouble> {
        let logged = self.log().len();
        let log = OpenOptions::new().create(true).append(true).open(self.home.path().join("log"))?;
        let mut postgres = command("postgres", self.home.path())?;
        postgres.args(["-D", "data", "-p", &port.to_string(), "-k"]).arg(self.home.path());
        let locales = self.home.path().join("locales");
        if locales.is_dir() {
            // locale(7): where glibc looks instead of the system's own archive.
            postgres.env("LOCPATH", locales);
        }
        // A backend that waited for a standby when its postmaster was killed prints a prompt to standard output.
        let mut process = Reaped(postgres.stdout(Stdio::null()).stderr(log).spawn()?);
        let (lock, pid) = (self.data().join("postmaster.pid"), process.0.id().to_string());
        wait_until("PostgreSQL takes connections", LIMIT, || {
            if let Some(status) = process.0.try_wait()? {
                let log = self.log();
                let said = log.get(logged..).unwrap_or_default();
                return Err(Trouble::new(format!("PostgreSQL ended ({status}) and said: {said}")));
            }
            // The first line is the process id, the eighth the status.
            let lock = fs::read_to_string(&lock).unwrap_or_default();
            let status = lock.lines().nth(7).unwrap_or_default().trim();
            let up = lock.lines().next() == Some(&pid) && matches!(status, "ready" | "standby");
            Ok(up.then_some(()))
        })?;
        *self.postmaster() = Some(process);
        Ok(())
    }

    /// Asks the server to stop and waits until it has, at most 60 s.
    pub(crate) fn stop(&self, how: Stop) -> Result<(), Trouble> {
        let signal = match how {
            Stop::Smart => Signal::Term,
            Stop::Fast => Signal::Int,
            Stop::Immediate => Signal::Quit,
        };
        self.signal(signal)?;
        let mut postmaster = self.postmaster();
        if let Some(process) = postmaster.as_mut() {
            wait_until("PostgreSQL stops", LIMIT, || Ok(process.0.try_wait()?.map(drop)))?;
        }
        *postmaster = None;
        Ok(())
    }

    /// Sends a signal to the postmaster and does not wait for anything.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Trouble> {
        let pid = self.pid().ok_or_else(|| Trouble::new("the server is stopped: start it again first"))?;
        process::signal(pid, signal)
    }

    /// Kills the postmaster and nothing else. Its backends notice, save those that are busy computing.
    pub(crate) fn kill9(&self) -> Result<(), Trouble> {
        self.signal(Signal::Kill)?;
        // Reaped here, or its process id would stand in the way of a start.
        *self.postmaster() = None;
        Ok(())
    }

    /// Sends a signal to one backend of this server.
    pub(crate) fn kill_backend(&self, pid: u32, signal: Signal) -> Result<(), Trouble> {
        if Some(pid) == self.pid() || !self.processes().contains(&pid) {
            return Err(Trouble::new(format!("process {pid} is no backend of this server: see backends_of")));
        }
        process::signal(pid, signal)
    }

    /// Stops the postmaster only: established sessions go on, new ones are accepted by the kernel and not answered.
    pub(crate) fn sigstop(&self) -> Result<(), Trouble> {
        self.signal(Signal::Stop)
    }

    /// Undoes [`Self::sigstop`].
    pub(crate) fn sigcont(&self) -> Result<(), Trouble> {
        self.signal(Signal::Cont)
    }

    /// Stops every process of the server, as when its host hangs: the kernel still acknowledges, nobody answers.
    pub(crate) fn freeze(&self) -> Result<(), Trouble> {
        // The postmaster first, so that it cannot start others meanwhile.
        self.sigstop()?;
        self.processes().into_iter().try_for_each(|pid| process::signal(pid, Signal::Stop))
    }

    /// Undoes [`Self::freeze`].
    pub(crate) fn thaw(&self) -> Result<(), Trouble> {
        self.processes().into_iter().try_for_each(|pid| process::signal(pid, Signal::Cont))
    }

    /// A new streaming standby of this server.
    pub(crate) fn standby(&self) -> Result<Self, Trouble> {
        let standby = Self::prepare()?;
        standby.copy_of(self)?;
        standby.start_somewhere()?;
        standby.streams_from(self)?;
        Ok(standby)
    }

    /// Throws this server's data away and has it follow `primary` on its own port, as an old primary must after a
    /// failover.
    pub(crate) fn follow(&self, primary: &Self) -> Result<(), Trouble> {
        if self.pid().is_some() {
            self.stop(Stop::Fast)?;
        }
        // Orphans of a killed postmaster would go on writing into the new data.
        process::sweep(&self.data())?;
        self.copy_of(primary)?;
        self.start_again()?;
        self.streams_from(primary)
    }

    /// Has this stopped server follow `primary` by `pg_rewind`: what it has written and `primary` has not is gone, the
    /// rest of its data stays. `primary` must have `full_page_writes`, which the testbed's servers do without.
    pub(crate) fn rejoin(&self, primary: &Self) -> Result<(), Trouble> {
        // Before its first checkpoint a promoted server's control file tells the old timeline, and pg_rewind sees no
        // need to rewind.
        primary.psql("CHECKPOINT")?;
        let source =
            format!("host={} port={} user=postgres dbname={DATABASE}", text(primary.socket_dir())?, primary.port());
        let arguments = ["--target-pgdata=data", "--source-server", &source, "--write-recovery-conf", "--no-sync"];
        finish("pg_rewind", &arguments, self.home.path(), "")?;
        self.start_again()?;
        self.streams_from(primary)
    }

    /// Has every commit from now on wait until the standby has it, so that what was acknowledged outlives a failover;
    /// or undoes that.
    pub(crate) fn synchronous(&self, yes: bool) -> Result<(), Trouble> {
        let names = if yes { "'*'" } else { "''" };
        self.psql(&format!("ALTER SYSTEM SET synchronous_standby_names = {names}"))?;
        self.reload()
    }

    fn copy_of(&self, primary: &Self) -> Result<(), Trouble> {
        let (host, port) = (text(primary.socket_dir())?, primary.port().to_string());
        // Over the socket, so that no line of pg_hba.conf and no fault on TCP stops replication.
        let arguments = ["-h", host, "-p", &port, "-U", "postgres", "-D", "data", "-R", "-X", "stream"];
        let arguments: Vec<&str> = arguments.into_iter().chain(["-c", "fast", "--no-sync"]).collect();
        finish("pg_basebackup", &arguments, self.home.path(), "").map(drop)
    }

    fn streams_from(&self, primary: &Self) -> Result<(), Trouble> {
        wait_until("the standby streams", LIMIT, || {
            Ok((self.psql("SELECT status FROM pg_stat_wal_receiver")? == "streaming").then_some(()))
        })?;
        self.catch_up_with(primary)
    }

    /// Waits until this standby has replayed all that `primary` has written so far.
    pub(crate) fn catch_up_with(&self, primary: &Self) -> Result<(), Trouble> {
        let written = primary.psql("SELECT pg_current_wal_lsn()")?;
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn");
        wait_until("the standby catches up", LIMIT, || Ok((self.psql(&replayed)? == "t").then_some(())))
    }

    /// Makes a standby a primary and waits until it takes writes.
    pub(crate) fn promote(&self) -> Result<(), Trouble> {
        match self.psql("SELECT pg_promote(true, 60)")?.as_str() {
            "t" => Ok(()),
            other => Err(Trouble::new(format!("pg_promote said {other}: {}", self.log()))),
        }
    }
}
