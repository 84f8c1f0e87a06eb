//! Finds programs, runs them as a user that PostgreSQL accepts, and lets none outlive the test process.

use std::{
    collections::BTreeSet,
    env, fmt, fs, io,
    os::unix::{
        fs::{DirBuilderExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

/// Why a server could not be had. Its text says what to do.
pub(crate) struct Trouble(String);

impl Trouble {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.0.contains(text)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A test that returns this error prints its Debug form, so that form is the text.
impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// What the testbed sends to processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Hup,
    Int,
    Quit,
    Kill,
    Term,
    Cont,
    Stop,
}

impl Signal {
    const fn name(self) -> &'static str {
        match self {
            Self::Hup => "HUP",
            Self::Int => "INT",
            Self::Quit => "QUIT",
            Self::Kill => "KILL",
            Self::Term => "TERM",
            Self::Cont => "CONT",
            Self::Stop => "STOP",
        }
    }
}

/// The directory of this test process, and what removes it.
struct Run {
    dir: PathBuf,
    /// Whom servers run as: `None` is ourselves, which PostgreSQL refuses to root.
    user: Option<(u32, u32)>,
    /// Reads the pipe that only we hold open; its end tells it that we are gone, however that came about.
    _guardian: Child,
    next: AtomicU32,
}

const SWEEP: &str = include_str!("sweep.sh");

fn run() -> Result<&'static Run, Trouble> {
    static RUN: OnceLock<Result<Run, Trouble>> = OnceLock::new();
    RUN.get_or_init(Run::begin).as_ref().map_err(|trouble| Trouble(trouble.0.clone()))
}

impl Run {
    fn begin() -> Result<Self, Trouble> {
        let user = if number(Command::new("id").arg("-u"))? == 0 {
            let of_postgres = |flag| {
                number(Command::new("id").args([flag, "postgres"])).map_err(|_| {
                    Trouble::new("root cannot run PostgreSQL and there is no user postgres: apt-get install postgresql")
                })
            };
            Some((of_postgres("-u")?, of_postgres("-g")?))
        } else {
            None
        };
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("relink-{}-{:x}", std::process::id(), since.subsec_nanos());
        let dir = fs::canonicalize(env::temp_dir())?.join(name);
        // A socket's path is limited to 107 bytes, and ours adds at most 30.
        if dir.as_os_str().len() > 75 {
            return Err(Trouble(format!("{} is too long for the path of a socket: set TMPDIR=/tmp", dir.display())));
        }
        fs::DirBuilder::new().mode(0o755).create(&dir)?;
        let guardian = Command::new("sh")
            .args(["-c", &format!("trap '' HUP INT TERM QUIT\nread -r _\n{SWEEP}"), "sh"])
            .arg(&dir)
            .current_dir("/")
            // A group of its own, so that a Ctrl-C that ends the test does not end the guardian.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { dir, user, _guardian: guardian, next: AtomicU32::new(1) })
    }
}

fn number(command: &mut Command) -> Result<u32, Trouble> {
    let output = command.output()?;
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .map_err(|_| Trouble(format!("{command:?} printed no number: {}", String::from_utf8_lossy(&output.stderr))))
}

/// A directory of one server; dropping it ends every process that works in it and removes it.
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) fn new(kind: &str) -> Result<Self, Trouble> {
        let run = run()?;
        let dir = run.dir.join(format!("{kind}{}", run.next.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&dir)?;
        let home = Self(dir);
        own(&home.0)?;
        Ok(home)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Err(trouble) = sweep(&self.0) {
            eprintln!("{trouble}; the guardian will try again");
        }
    }
}

/// Ends every process that works in `dir`, frees its shared memory, and removes it.
pub(crate) fn sweep(dir: &Path) -> Result<(), Trouble> {
    let status = Command::new("sh").args(["-c", SWEEP, "sh"]).arg(dir).current_dir("/").status()?;
    if status.success() { Ok(()) } else { Err(Trouble(format!("{} could not be removed", dir.display()))) }
}

/// Gives `path` to the user that servers run as.
pub(crate) fn own(path: &Path) -> Result<(), Trouble> {
    if let Some((uid, gid)) = run()?.user {
        chown(path, Some(uid), Some(gid))?;
    }
    Ok(())
}

/// Writes a file that servers may read and nobody else.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    fs::write(path, text)?;
    own(path)
}

/// The path of a program: beside `postgres` first, so that all tools are of one version, then in PATH and where
/// Debian puts what is not in everybody's PATH.
fn find(program: &str) -> Result<PathBuf, Trouble> {
    let in_path = || env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| (entry.file_name().to_string_lossy().parse().unwrap_or(0), entry.path().join("bin")))
        .collect();
    debian.sort();
    let newest_first = debian.into_iter().rev().map(|(_, bin)| bin);
    let folders: Vec<PathBuf> =
        in_path().into_iter().chain(newest_first).chain(["/usr/sbin".into(), "/usr/bin".into()]).collect();
    let beside_postgres = folders
        .iter()
        .find_map(|folder| fs::canonicalize(folder.join("postgres")).ok())
        .and_then(|postgres| postgres.parent().map(Path::to_path_buf));
    beside_postgres
        .into_iter()
        .chain(folders)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            let package = match program {
                "pgbouncer" | "haproxy" | "openssl" => program,
                "timeout" => "coreutils",
                "localedef" => "locales",
                _ => "postgresql",
            };
            Trouble(format!("{program} is not installed: apt-get install {package}"))
        })
}

/// A command that runs `program` in `dir` as the servers' user, with an environment of its own.
pub(crate) fn command(program: &str, dir: &Path) -> Result<Command, Trouble> {
    let mut command = Command::new(find(program)?);
    command
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .env("PGCONNECT_TIMEOUT", "20")
        .current_dir(dir)
        // Signals of the terminal are for the test; servers hear of its end from the guardian.
        .process_group(0)
        .stdin(Stdio::null());
    if let Some((uid, gid)) = run()?.user {
        command.uid(uid).gid(gid);
    }
    Ok(command)
}

/// Runs `program` to its end and returns what it printed. Kills it after 60 s.
pub(crate) fn finish(program: &str, arguments: &[&str], dir: &Path, input: &str) -> Result<String, Trouble> {
    let stdin = dir.join(format!("input-{}", run()?.next.fetch_add(1, Ordering::Relaxed)));
    write(&stdin, input)?;
    let output = command("timeout", dir)?
        .args(["--kill-after=1", "60"])
        .arg(find(program)?)
        .args(arguments)
        .stdin(fs::File::open(&stdin)?)
        .output()?;
    fs::remove_file(&stdin)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(Trouble(format!("{program} {} failed ({}): {}", arguments.join(" "), output.status, errors.trim_end())))
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, signal: Signal) -> Result<(), Trouble> {
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "sh", signal.name(), &pid.to_string()])
        .stderr(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(Trouble(format!("process {pid} is not there to get {signal:?}"))) }
}

/// The processes whose working directory is `dir` or beneath it, zombies excepted.
pub(crate) fn processes_in(dir: &Path) -> BTreeSet<u32> {
    let works_there = |pid: &u32| {
        // The kernel appends " (deleted)" to the name of a directory that is gone.
        fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| {
            let cwd = cwd.to_string_lossy().into_owned();
            Path::new(cwd.strip_suffix(" (deleted)").unwrap_or(&cwd)).starts_with(dir)
        })
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(works_there).collect()
}

/// Asks `done` every 5 ms until it answers with something. `what` and the limit make up the error.
pub(crate) fn wait_until<T>(
    what: &str,
    limit: Duration,
    mut done: impl FnMut() -> Result<Option<T>, Trouble>,
) -> Result<T, Trouble> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = done()? {
            return Ok(answer);
        }
        if Instant::now() > end {
            return Err(Trouble(format!("{what}: not within {limit:?}")));
        }
        thread::sleep(Duration::from_millis(5));
    }
}
