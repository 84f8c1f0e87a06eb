//! A PostgreSQL server in this process, whose faults can be chosen.
//!
//! It speaks the real protocol over real TCP, so that the real driver is what meets the faults.
//! It keeps no data.

mod backend;
mod counters;
mod session;
mod sql;
mod weather;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgwire::api::ConnectionManager;
use pgwire::api::cancel::DefaultCancelHandler;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

pub use counters::Counters;
pub use weather::Weather;

use backend::{Backend, Doorman};
use session::House;
use weather::End;

/// Connections that the kernel may have accepted before the server has: more than any pool here has workers.
const BACKLOG: i32 = 1024;

/// How long an error of accept is waited out.
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);

/// The server. Dropping it closes its port and every socket, as soon as its runtime gets to it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    password: watch::Sender<String>,
    orders: mpsc::UnboundedSender<Order>,
    counters: Counters,
    /// Bound and never listening: keeps the port ours, and refused, while nobody listens. Without
    /// it the kernel could give the port to a client, even to one that then reaches itself.
    _port: Socket,
}

/// What the server is told to do; each is answered when it has been done.
enum Order {
    Weather(Weather, oneshot::Sender<io::Result<()>>),
    End(End, oneshot::Sender<io::Result<()>>),
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1, in fair weather.
    ///
    /// # Errors
    /// When no port can be had, or outside a tokio runtime.
    pub fn start() -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let port = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = port.local_addr()?.as_socket().ok_or_else(|| io::Error::other("not an address of TCP"))?;
        let counters = Counters::default();
        let password = watch::Sender::new("demo-1".to_owned());
        let weather = watch::Sender::new(Weather::Fair);
        let (orders, inbox) = mpsc::unbounded_channel();
        let cancels = Arc::new(ConnectionManager::new());
        let house = House {
            weather: weather.subscribe(),
            doorman: Arc::new(Doorman::new(weather.subscribe(), password.subscribe(), cancels.clone())),
            backend: Arc::new(Backend::new(weather.subscribe())),
            cancels: Arc::new(DefaultCancelHandler::new(cancels)),
            counters: counters.clone(),
        };
        let accepting = Accepting {
            address,
            listener: Some(listen(address)?),
            weather,
            house: Arc::new(house),
            sessions: JoinSet::new(),
            ends: Vec::new(),
        };
        runtime.spawn(accepting.run(inbox));
        Ok(Self { address, password, orders, counters, _port: port })
    }

    /// Where it listens; the same for the server's whole life.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The name that clients log in with.
    pub const fn user(&self) -> &'static str {
        backend::USER
    }

    /// The password that is right at this moment.
    pub fn password(&self) -> String {
        self.password.borrow().clone()
    }

    /// Makes another password the right one. Open sessions are not touched.
    pub fn set_password(&self, password: impl Into<String>) {
        self.password.send_replace(password.into());
    }

    /// What has been counted so far.
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Changes the weather; when this returns, it holds for the next dial.
    ///
    /// # Errors
    /// When the port cannot be listened on again.
    pub async fn set(&self, weather: Weather) -> io::Result<()> {
        if weather == Weather::WrongPassword {
            // Another one than the present one, and than any that it was before.
            self.password.send_modify(|password| {
                let so_far = password.strip_prefix("demo-").and_then(|number| number.parse::<u64>().ok());
                *password = format!("demo-{}", so_far.unwrap_or(1).saturating_add(1));
            });
        }
        self.order(|done| Order::Weather(weather, done)).await
    }

    /// Ends every open session, and every dial not yet answered, without a word.
    ///
    /// # Errors
    /// When the server has come to an end.
    pub async fn cut_all(&self) -> io::Result<()> {
        self.order(|done| Order::End(End::Cut, done)).await
    }

    /// Ends every open session with 57P01, as a shutdown does before the port closes.
    ///
    /// # Errors
    /// When the server has come to an end.
    pub async fn terminate_all(&self) -> io::Result<()> {
        self.order(|done| Order::End(End::Terminate, done)).await
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Order) -> io::Result<()> {
        let gone = || io::Error::other("the demo server has come to an end: its runtime was shut down");
        let (done, answer) = oneshot::channel();
        self.orders.send(order(done)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// The task that accepts; it owns the sessions, so that they end with it.
struct Accepting {
    address: SocketAddr,
    /// None while the kernel refuses.
    listener: Option<TcpListener>,
    weather: watch::Sender<Weather>,
    house: Arc<House>,
    sessions: JoinSet<()>,
    /// One for each session that has not been told to end.
    ends: Vec<oneshot::Sender<End>>,
}

impl Accepting {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) {
        loop {
            // Every branch is safe to cancel: what it would have taken stays where it is.
            tokio::select! {
                biased;
                order = inbox.recv() => match order {
                    // Nobody waits for the answer when the caller has gone away.
                    Some(Order::Weather(weather, done)) => drop(done.send(self.change(weather))),
                    Some(Order::End(end, done)) => {
                        self.end_all(end);
                        drop(done.send(Ok(())));
                    }
                    // The server was dropped: the sessions end with this task.
                    None => return,
                },
                stream = accept(self.listener.as_ref()) => self.welcome(stream),
                Some(_ended) = self.sessions.join_next() => {}
            }
        }
    }

    fn welcome(&mut self, stream: TcpStream) {
        self.house.counters.dialed(Instant::now());
        let (end, told) = oneshot::channel();
        self.ends.retain(|end| !end.is_closed());
        self.ends.push(end);
        self.sessions.spawn(session::serve(stream, self.house.clone(), told));
    }

    fn change(&mut self, weather: Weather) -> io::Result<()> {
        match (weather, &self.listener) {
            // What the kernel had accepted and nobody took is reset by this.
            (Weather::Refuse, Some(_)) => self.listener = None,
            (Weather::Refuse, None) | (_, Some(_)) => {}
            (_, None) => self.listener = Some(listen(self.address)?),
        }
        // Told to end before the weather changes, or a frozen session would wake up and go on.
        if let Some(end) = weather.ends_sessions() {
            self.end_all(end);
        }
        self.weather.send_replace(weather);
        Ok(())
    }

    fn end_all(&mut self, end: End) {
        for session in self.ends.drain(..) {
            // Refused by a session that has ended by itself.
            let _ = session.send(end);
        }
    }
}

/// The next client; never, while there is no listener.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // Out of descriptors, or a client that went away before it was taken. Waits, or it
            // would spin for as long as there are no descriptors.
            Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bind(address)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Two sockets hold the port, so both say that they share it: with each other, and with nobody
/// who does not say so.
fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    #[cfg(not(unix))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
