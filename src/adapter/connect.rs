//! What the adapter asks of a database.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{Fault, Role, Target, Work};

/// How one kind of database is dialed, asked and brought back to a clean state.
///
/// An implementation decides nothing: it reports what happened, classified by its fault table.
/// Every future here must be safe to drop at any point; dropping it closes what it had opened.
///
/// A server that answers each byte with a byte:
///
/// ```no_run
/// use relink::{Fault, Policy, Role, Target, Work, adapter::{Connect, Death, Failure, Opened, Pool}};
/// use tokio::{io::{AsyncReadExt, AsyncWriteExt}, net::TcpStream, sync::{mpsc, oneshot}};
///
/// /// A byte, and where its answer goes.
/// type Request = (u8, oneshot::Sender<u8>);
///
/// struct Echo;
///
/// const PRIMARY: Role = Role { in_recovery: false, default_read_only: false };
///
/// async fn ask(client: &mpsc::Sender<Request>, byte: u8) -> Result<u8, Failure> {
///     let (sender, answer) = oneshot::channel();
///     client.send((byte, sender)).await.map_err(|_| lost("the session has ended"))?;
///     answer.await.map_err(|_| lost("the session ended before it answered"))
/// }
///
/// fn lost(why: impl ToString) -> Failure {
///     Failure::new(Fault::Lost, why.to_string())
/// }
///
/// impl Connect for Echo {
///     type Client = mpsc::Sender<Request>;
///     type Watch = ();
///
///     fn endpoints(&self) -> usize { 1 }
///     fn endpoint(&self, _index: usize) -> String { "127.0.0.1:7".into() }
///     fn target(&self) -> Target { Target::Any }
///
///     async fn dial(&self, index: usize, accepted: impl FnOnce() + Send) -> Result<Opened<Self::Client>, Failure> {
///         let stream = TcpStream::connect(self.endpoint(index)).await;
///         let mut stream = stream.map_err(|error| Failure::new(Fault::Refused, error.to_string()))?;
///         accepted();
///         let (client, mut requests) = mpsc::channel::<Request>(1);
///         // Ends when the server or the client has gone, and closes the stream.
///         let life = Box::pin(async move {
///             while let Some((byte, answer)) = requests.recv().await {
///                 let answered = async { stream.write_u8(byte).await?; stream.read_u8().await };
///                 match answered.await {
///                     Ok(byte) => drop(answer.send(byte)),
///                     Err(error) => {
///                         // Before `answer` is dropped: whoever waits for it returns the session at once.
///                         requests.close();
///                         return Death { failure: lost(error), work: Work::Statement { durable: false } };
///                     }
///                 }
///             }
///             Death { failure: lost("the client was dropped"), work: Work::AtRest }
///         });
///         Ok(Opened { client, role: PRIMARY, life })
///     }
///
///     async fn probe(&self, client: &mut Self::Client) -> Result<Role, Failure> {
///         ask(client, 0).await.map(|_| PRIMARY)
///     }
///
///     async fn reset(&self, client: &mut Self::Client) -> Result<Role, Failure> {
///         self.probe(client).await
///     }
///
///     // An answer that nobody waits for any more goes nowhere: whatever comes back is clean.
///     fn work(&self, _client: &Self::Client) -> Work { Work::AtRest }
///     fn watch(&self, _client: &Self::Client) {}
///     fn ended(&self, client: &Self::Client) -> bool { client.is_closed() }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder(Echo, Policy::default().check()?).build()?;
/// let session = pool.get().await?;
/// assert_eq!(ask(&session, 5).await?, 5);
/// # Ok(())
/// # }
/// ```
pub trait Connect: Send + Sync + 'static {
    /// The driver's own client, lent to a borrower and taken back.
    type Client: Send + 'static;

    /// What can be seen of a session while a borrower has it; `()` for a driver that shows nothing.
    type Watch: Send + Sync + 'static;

    /// How many endpoints the set has, from 1 to [`ENDPOINTS_MAX`](crate::pacer::ENDPOINTS_MAX), in order of preference.
    fn endpoints(&self) -> usize;

    /// `host:port` or the path of a socket, for messages. Never a secret.
    fn endpoint(&self, index: usize) -> String;

    /// The role that a session must have to be adopted.
    fn target(&self) -> Target;

    /// One dial: resolve, connect, TLS, authenticate, learn the role. The caller holds the one
    /// deadline and drops the future when it has passed. `accepted` is called as soon as the transport is
    /// up, which tells a silent peer ([`Fault::TimedOut`]) from one that never answered
    /// ([`Fault::Unreachable`]). Without that call the future is dropped after the policy's
    /// `connect_deadline`: a database that has no transport of its own calls it first of all.
    fn dial(
        &self,
        endpoint: usize,
        accepted: impl FnOnce() + Send,
    ) -> impl Future<Output = Result<Opened<Self::Client>, Failure>> + Send;

    /// Asks the session for its role, which also shows that it answers.
    fn probe(&self, client: &mut Self::Client) -> impl Future<Output = Result<Role, Failure>> + Send;

    /// Brings a session that came back with a statement in flight or a transaction open to a clean
    /// state: cancels, waits until the cancel cannot hit anybody else, rolls back, learns the role.
    fn reset(&self, client: &mut Self::Client) -> impl Future<Output = Result<Role, Failure>> + Send;

    /// What the session is doing. Never waits: a few nanoseconds, and where the driver still holds
    /// requests back, the time to hand them to the kernel. Asked whenever a session comes back, before anybody else can be
    /// lent it: what its server has told meanwhile may be looked at here.
    fn work(&self, client: &Self::Client) -> Work;

    /// What can be seen of the session from now on. Called once, before anybody is lent it.
    fn watch(&self, client: &Self::Client) -> Self::Watch;

    /// Looks what a session is doing, after taking in whatever has come from the server by now. Never waits.
    ///
    /// Without an implementation no session is ever silent, and none is asked about.
    fn look(&self, watch: &Self::Watch) -> Look {
        let _nothing_shown = watch;
        Look { work: Work::AtRest, silence: Duration::ZERO }
    }

    /// Asks the server, through the idle session `asker`, about others of its endpoint whose callers have waited for
    /// long; `found` is told of each by its place in `about`, as soon as it is decided. Whatever is not told of was not
    /// answered. Also learns the asker's own role.
    fn ask(
        &self,
        asker: &mut Self::Client,
        about: &[Arc<Self::Watch>],
        limits: Limits,
        found: impl Fn(usize, Found) + Send + Sync,
    ) -> impl Future<Output = Result<Role, Failure>> + Send {
        for place in 0..about.len() {
            found(place, Found::Alive);
        }
        let _not_needed = limits;
        self.probe(asker)
    }

    /// The session is about to be ended because of this: calls that fail with its end are to say so. Returns how it
    /// ends, if that can be seen. Never waits.
    fn condemn(&self, watch: &Self::Watch, failure: Failure) -> Option<Death> {
        let _nothing_shown = (watch, failure);
        None
    }

    /// A pool has taken the session over. The client may call `demoted` from then on, at any time and on
    /// any thread, when something shows that the server has lost its role: every session is then asked
    /// before it is lent again.
    fn adopted(&self, client: &mut Self::Client, demoted: impl Fn() + Send + Sync + 'static) {
        let _no_evidence = (client, demoted);
    }

    /// Whether the session has ended, as far as can be told without waiting: then its life ends by
    /// itself very soon and tells why, and nobody is lent the session again.
    ///
    /// Asked when a session comes back. It must be `true` before the caller of the client learns that the session has
    /// ended: without that, one who returns it at once and asks for another may be lent the same one, until its life
    /// has told.
    fn ended(&self, client: &Self::Client) -> bool {
        let _unknown = client;
        false
    }
}

/// What a session that a borrower has is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// What it is doing.
    pub work: Work,
    /// For how long its caller has waited without a sign of life from the server; zero while none waits.
    pub silence: Duration,
}

/// How a question about sessions is to be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long the server must have been waiting for the client, or for the client's acknowledgement, before a
    /// session is called dead: the policy's `grace`.
    pub grace: Duration,
    /// How long all answers may take: what is left of the policy's `question_deadline`.
    pub within: Duration,
}

/// What the server knows of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is at work, or nothing will show that it is not.
    Alive,
    /// Something shows that it is not, and not yet for long enough: it is asked about again at once.
    Undecided,
    /// Its caller waits in vain, for this reason. Whatever it was doing has been ended on the server where that
    /// could be done.
    Dead(Failure),
}

/// A session as a dial brings it.
pub struct Opened<C> {
    /// Goes to borrowers. Dropping it asks the server for a graceful end of the session.
    pub client: C,
    /// The evidence of role gathered by the dial.
    pub role: Role,
    /// Drives the session's protocol; ends when the session has ended, with the reason.
    /// Dropping it closes the socket.
    pub life: Pin<Box<dyn Future<Output = Death> + Send>>,
}

/// Why a session ended, and what it was doing.
#[derive(Clone, Debug)]
pub struct Death {
    /// The reason, as specific as anything that was observed (a notice before the end included).
    pub failure: Failure,
    /// What the session was doing when it ended.
    pub work: Work,
}

/// A classified error, with the words of the database for whoever must act on it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The class.
    pub fault: Fault,
    /// The native code, such as an SQLSTATE or an errno.
    pub code: Option<String>,
    /// What happened, without secrets, lower-case, no full stop.
    pub message: String,
}

impl Failure {
    /// A failure with a message and no native code.
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, code: None, message: message.into() }
    }

    /// The same with the native code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        match &self.code {
            Some(code) => write!(f, " ({}, {code})", self.fault),
            None => write!(f, " ({})", self.fault),
        }
    }
}

impl std::error::Error for Failure {}

/// A session whose server has another role than the wanted one is not proved.
pub(super) fn required<C: Connect>(connect: &C, role: Role) -> Result<(), Failure> {
    let target = connect.target();
    if target.accepts(role) {
        return Ok(());
    }
    Err(Failure::new(Fault::WrongRole, format!("the server has become {role}; wanted is {target}")))
}
