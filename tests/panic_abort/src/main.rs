//! A pool in a program whose panics abort: it lives through an outage and the end of its runtime as anywhere, for
//! nothing in it relies on unwinding. A connector that panics ends the process.

use std::{
    env, fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{self, Command},
    time::Duration,
};

use relink::{
    Fault, Policy, Refusal, Role, Span, Target, Work,
    adapter::{Connect, Death, Failure, Opened, Pool},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot},
};

/// SIGABRT on every Unix.
const ABORTED: i32 = 6;

fn main() {
    assert!(cfg!(panic = "abort"), "built to unwind, this shows nothing");
    if env::args().nth(1).as_deref() == Some("panics") {
        return panics();
    }
    let socket = env::temp_dir().join(format!("relink-{}", process::id()));
    for runtime in [current_thread(), multi_thread()] {
        lives(runtime, &socket);
    }
    fs::remove_file(&socket).expect("the socket of the last server");
    let ended = Command::new(env::current_exe().expect("this program")).arg("panics").output().expect("it starts");
    assert_eq!(ended.status.signal(), Some(ABORTED), "{ended:?}");
}

/// Served, cut off, refused, served again, and left without its runtime.
fn lives(runtime: Runtime, socket: &Path) {
    let mut policy = Policy::default();
    (policy.min_idle, policy.max_idle, policy.max_size, policy.w0) = (0, 1, 1, Span::from_millis(20));
    let policy = policy.check().expect("a policy");
    let server = echoes(socket);
    let (pool, lease) = runtime.block_on(async {
        let pool = Pool::builder(Echo(socket.into()), policy).build().expect("a pool");
        let lease = pool.get().await.expect("a session");
        assert_eq!(ask(&lease, 5).await, Ok(5));
        (pool, lease)
    });
    drop(server);
    runtime.block_on(async {
        assert_eq!(ask(&lease, 6).await.map_err(|failure| failure.fault), Err(Fault::Lost));
        drop(lease);
        let error = pool.get_within(Duration::from_millis(200)).await.expect_err("nobody listens");
        assert_eq!((error.refusal, error.fault()), (Refusal::Deadline, Fault::Refused), "{error}");
    });
    let _server = echoes(socket);
    let lease = runtime.block_on(async {
        let lease = pool.get().await.expect("a session after the outage");
        assert_eq!(ask(&lease, 7).await, Ok(7));
        lease
    });
    drop(runtime);
    drop(lease);
    let error = current_thread().block_on(pool.get()).expect_err("the runtime is gone");
    assert_eq!(error.refusal, Refusal::Stopped, "{error}");
}

/// A pool whose connector panics. Does not return.
fn panics() {
    let pool = |endpoint: PathBuf| Pool::builder(Echo(endpoint), Policy::default().check().expect("a policy")).build();
    let served = multi_thread().block_on(async { pool(PathBuf::new()).expect("a pool").get().await.map(drop) });
    println!("the process goes on after a panic: {served:?}");
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// A server that answers each byte with it. Dropping it ends its sessions.
fn echoes(socket: &Path) -> Runtime {
    // The one before leaves its name behind.
    let _none = fs::remove_file(socket);
    let runtime = multi_thread();
    let listener = runtime.block_on(async { UnixListener::bind(socket).expect("a socket") });
    runtime.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Ok(byte) = stream.read_u8().await {
                    if stream.write_u8(byte).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    runtime
}

/// A byte, and where its answer goes.
type Request = (u8, oneshot::Sender<u8>);

struct Echo(PathBuf);

const PRIMARY: Role = Role { in_recovery: false, default_read_only: false };

async fn ask(client: &mpsc::Sender<Request>, byte: u8) -> Result<u8, Failure> {
    let (sender, answer) = oneshot::channel();
    client.send((byte, sender)).await.map_err(lost)?;
    answer.await.map_err(lost)
}

fn lost(why: impl ToString) -> Failure {
    Failure::new(Fault::Lost, why.to_string())
}

impl Connect for Echo {
    type Client = mpsc::Sender<Request>;
    type Watch = ();

    fn endpoints(&self) -> usize {
        1
    }

    fn endpoint(&self, _index: usize) -> String {
        self.0.display().to_string()
    }

    fn target(&self) -> Target {
        Target::Any
    }

    async fn dial(&self, _index: usize, accepted: impl FnOnce() + Send) -> Result<Opened<Self::Client>, Failure> {
        assert!(!self.0.as_os_str().is_empty(), "a connector that panics");
        let stream = UnixStream::connect(&self.0).await;
        let mut stream = stream.map_err(|error| Failure::new(Fault::Refused, error.to_string()))?;
        accepted();
        let (client, mut requests) = mpsc::channel::<Request>(1);
        let life = Box::pin(async move {
            while let Some((byte, answer)) = requests.recv().await {
                let answered = async {
                    stream.write_u8(byte).await?;
                    stream.read_u8().await
                };
                match answered.await {
                    Ok(byte) => drop(answer.send(byte)),
                    Err(error) => {
                        // Before `answer` is dropped: whoever waits for it returns the session at once.
                        requests.close();
                        return Death { failure: lost(error), work: Work::AtRest };
                    }
                }
            }
            Death { failure: lost("the client was dropped"), work: Work::AtRest }
        });
        Ok(Opened { client, role: PRIMARY, life })
    }

    async fn probe(&self, client: &mut Self::Client) -> Result<Role, Failure> {
        ask(client, 0).await.map(|_| PRIMARY)
    }

    async fn reset(&self, client: &mut Self::Client) -> Result<Role, Failure> {
        self.probe(client).await
    }

    fn work(&self, _client: &Self::Client) -> Work {
        Work::AtRest
    }

    fn watch(&self, _client: &Self::Client) {}

    fn ended(&self, client: &Self::Client) -> bool {
        client.is_closed()
    }
}
