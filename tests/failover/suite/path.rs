//! The way from the pool to its one server, and what can befall it.

use relink::postgres::Lease;
use relink_model::proxy::Proxy;

use super::{
    Outcome, WORKERS,
    network::Rules,
    stage::{MOMENT, Stage, primary, url_of},
};
use crate::support::Postgres;

/// How bytes come to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Packets vanish, and nobody acknowledges them.
    Dropped,
    /// A proxy in between moves them no more; its kernel acknowledges them.
    Stranded,
}

/// A server and the way to it.
pub(super) struct Path {
    pub(super) server: Postgres,
    proxy: Option<Proxy>,
}

impl Path {
    pub(super) async fn lay(way: Way) -> Outcome<Self> {
        let server = primary()?;
        let proxy = match way {
            Way::Dropped => None,
            Way::Stranded => Some(Proxy::start(format!("127.0.0.1:{}", server.port()).as_str()).await?),
        };
        Ok(Self { server, proxy })
    }

    /// Where the pool dials.
    pub(super) fn port(&self) -> u16 {
        self.proxy.as_ref().map_or(self.server.port(), |proxy| proxy.addr().port())
    }

    pub(super) async fn stage(&self) -> Outcome<Stage> {
        Stage::open(&url_of(&[self.port()]), &[self.port()], WORKERS).await
    }

    /// The proxy of a path that has one.
    pub(super) fn proxy(&self) -> Outcome<&Proxy> {
        self.proxy.as_ref().ok_or_else(|| "there is no proxy on this path".into())
    }

    /// The port that this session's socket has on our side.
    pub(super) async fn port_of(&self, lease: &Lease) -> Outcome<u16> {
        let port: i32 = lease.query_one("SELECT inet_client_port()", &[]).await?.get(0);
        let seen = u16::try_from(port)?;
        match &self.proxy {
            None => Ok(seen),
            // The server sees the proxy's; ours is the one whose end tells of this session.
            Some(proxy) => proxy.client_of(seen).ok_or_else(|| format!("no client behind port {seen}").into()),
        }
    }

    /// From now on these clients' bytes come to nothing, until [`Self::mend`].
    pub(super) fn swallow(&self, clients: &[u16]) -> Outcome<Option<Rules>> {
        if let Some(proxy) = &self.proxy {
            proxy.strand(clients);
            return Ok(None);
        }
        Rules::between(self.server.port(), clients).map(Some)
    }

    /// What was swallowed on its way may arrive now: to see whether it does is why the path is mended at all.
    pub(super) fn mend(&self, dropped: Option<Rules>) -> Outcome<()> {
        drop(dropped);
        if let Some(proxy) = &self.proxy {
            proxy.release();
            std::thread::sleep(MOMENT);
            // The ends of connections that only the proxy still has.
            proxy.cut();
        }
        // The kernel sends again what a closed socket has left, ever more rarely.
        std::thread::sleep(MOMENT);
        Ok(())
    }
}
