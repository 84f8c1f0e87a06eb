//! A backend that does with every dial and session what it is told, and nothing by itself.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
};

use relink::{
    Fault, Role, Target, Work,
    adapter::{Connect, Death, Failure, Opened},
};
use tokio::sync::Notify;

/// What the backend is to do with one dial and its session, from the first to the last.
#[derive(Default)]
pub(crate) struct Orders {
    pub(crate) accepts: bool,
    pub(crate) answers: Option<Result<(), Fault>>,
    /// To the question that is open, or else to the next.
    pub(crate) proves: Option<Result<(), Fault>>,
    pub(crate) loses: Option<Fault>,
    /// The client was dropped.
    closed: bool,
    /// What the session is doing, as far as the driver sees.
    pub(crate) work: Option<Work>,
    pub(crate) ended: bool,
}

/// The orders of each dial, by the order in which they started.
#[derive(Clone, Default)]
pub(crate) struct Backend {
    orders: Arc<Mutex<Vec<Orders>>>,
    changed: Arc<Notify>,
    endpoints: usize,
}

impl Backend {
    pub(crate) fn new(endpoints: usize) -> Self {
        Self { endpoints, ..Self::default() }
    }

    pub(crate) fn order(&self, dial: usize, order: impl FnOnce(&mut Orders)) {
        order(self.orders.lock().unwrap().get_mut(dial).unwrap());
        self.changed.notify_waiters();
    }

    async fn until<T>(&self, dial: usize, look: impl Fn(&mut Orders) -> Option<T>) -> T {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(seen) = self.orders.lock().unwrap().get_mut(dial).and_then(&look) {
                return seen;
            }
            changed.await;
        }
    }

    async fn proof(&self, dial: usize) -> Result<Role, Failure> {
        let proved = self.until(dial, |orders| orders.proves.take()).await;
        proved.map_or_else(|fault| Err(failure(fault)), |()| Ok(PRIMARY))
    }
}

const PRIMARY: Role = Role { in_recovery: false, default_read_only: false };

fn failure(fault: Fault) -> Failure {
    Failure::new(fault, "as the script says")
}

pub(crate) struct Client {
    dial: usize,
    backend: Backend,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.backend.order(self.dial, |orders| orders.closed = true);
    }
}

impl Connect for Backend {
    type Client = Client;
    type Watch = ();

    fn watch(&self, _client: &Client) {}

    fn endpoints(&self) -> usize {
        self.endpoints
    }

    fn endpoint(&self, index: usize) -> String {
        format!("script:{index}")
    }

    fn target(&self) -> Target {
        Target::Any
    }

    async fn dial(&self, _: usize, accepted: impl FnOnce() + Send) -> Result<Opened<Client>, Failure> {
        let dial = {
            let mut orders = self.orders.lock().unwrap();
            orders.push(Orders::default());
            orders.len() - 1
        };
        if self.until(dial, |orders| (orders.accepts || orders.answers.is_some()).then_some(orders.accepts)).await {
            accepted();
        }
        self.until(dial, |orders| orders.answers).await.map_err(failure)?;
        let client = Client { dial, backend: self.clone() };
        let backend = self.clone();
        let life = Box::pin(async move {
            let ended = |orders: &mut Orders| orders.loses.or(orders.closed.then_some(Fault::Lost));
            Death { failure: failure(backend.until(dial, ended).await), work: Work::AtRest }
        });
        Ok(Opened { client, role: PRIMARY, life })
    }

    async fn probe(&self, client: &mut Client) -> Result<Role, Failure> {
        self.proof(client.dial).await
    }

    async fn reset(&self, client: &mut Client) -> Result<Role, Failure> {
        self.proof(client.dial).await
    }

    fn work(&self, client: &Client) -> Work {
        self.look(client.dial, |orders| orders.work.unwrap_or(Work::AtRest))
    }

    fn ended(&self, client: &Client) -> bool {
        self.look(client.dial, |orders| orders.ended)
    }
}

impl Backend {
    fn look<T>(&self, dial: usize, look: impl Fn(&Orders) -> T) -> T {
        look(self.orders.lock().unwrap().get(dial).unwrap())
    }
}
