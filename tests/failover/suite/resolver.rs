//! A name server for this network: it has one address for every name, or says nothing.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{net::UdpSocket, task::JoinHandle};

use super::{Outcome, network::DNS};

/// The type of a question for IPv4 addresses (RFC 1035, section 3.2.2).
const A: [u8; 2] = [0, 1];

/// Answers until it is dropped.
pub(super) struct Resolver {
    address: Arc<Mutex<Option<Ipv4Addr>>>,
    task: JoinHandle<()>,
}

impl Resolver {
    pub(super) async fn start(address: Ipv4Addr) -> Outcome<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, DNS)).await?;
        let address = Arc::new(Mutex::new(Some(address)));
        let task = tokio::spawn(serve(socket, Arc::clone(&address)));
        Ok(Self { address, task })
    }

    /// What is answered from now on; nothing at all when there is no address.
    pub(super) fn answers(&self, address: Option<Ipv4Addr>) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, address: Arc<Mutex<Option<Ipv4Addr>>>) {
    let mut packet = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut packet).await {
        let address = *address.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = address.and_then(|address| reply(packet.get(..length)?, address));
        if let Some(reply) = reply {
            // Whoever has asked may have gone.
            let _ = socket.send_to(&reply, from).await;
        }
    }
}

/// The answer to a query of one question (RFC 1035, section 4).
fn reply(query: &[u8], address: Ipv4Addr) -> Option<Vec<u8>> {
    let mut end = 12;
    while *query.get(end)? != 0 {
        end += usize::from(*query.get(end)?) + 1;
    }
    let asked = query.get(end + 1..end + 3)?;
    let answers = u8::from(asked == A);
    let mut reply = query.get(..2)?.to_vec();
    // A response to a recursive query, without error; one question, the answers, nothing else.
    reply.extend([0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0]);
    reply.extend(query.get(12..end + 5)?);
    if answers > 0 {
        // The name is that of the question; an address of the internet, to be forgotten at once.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        reply.extend(address.octets());
    }
    Some(reply)
}
