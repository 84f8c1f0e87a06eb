//! How each fault is made, and unmade: by the server of this process, or by a proxy before somebody's own.

use std::{
    io,
    time::{Duration, Instant},
};

use relink::postgres::Pool;

use super::server::{Server, Weather};
use crate::proxy::{Flap, Mode, Proxy};

/// Where the faults come from.
pub enum Scene {
    /// The server of the demonstration, which can have every fault.
    Server(Server),
    /// A proxy before a server that is never touched. The sessions of a flapping path live so long.
    Proxy(Proxy, Duration),
}

impl Scene {
    /// The faults that this scene can show, in the order of the day.
    pub fn faults(&self) -> &'static [Weather] {
        match self {
            Self::Server(_) => Self::DAY,
            Self::Proxy(..) => Self::REHEARSAL,
        }
    }

    /// What a server can do to its clients.
    pub const DAY: &'static [Weather] = &[
        Weather::Refuse,
        Weather::Reset,
        Weather::Silent,
        Weather::Starting,
        Weather::Full,
        Weather::ReadOnly,
        Weather::Terminate,
        Weather::Flap,
        Weather::WrongPassword,
    ];

    /// What a network can do to them.
    pub const REHEARSAL: &'static [Weather] =
        &[Weather::Refuse, Weather::Reset, Weather::Silent, Weather::Terminate, Weather::Flap];

    /// Begins a fault, and ends the sessions that are open: those that the fault itself would leave
    /// alone would hide it.
    ///
    /// # Errors
    /// When the server has come to an end, and for a fault that this scene cannot show.
    pub async fn begin(&self, weather: Weather) -> io::Result<()> {
        match self {
            Self::Server(server) => {
                server.set(weather).await?;
                match weather {
                    Weather::Silent => server.cut_all().await,
                    Weather::Full | Weather::ReadOnly | Weather::WrongPassword => server.terminate_all().await,
                    Weather::Fair | Weather::Refuse | Weather::Reset | Weather::Starting => Ok(()),
                    Weather::Terminate | Weather::Flap => Ok(()),
                }
            }
            Self::Proxy(proxy, life) => {
                let mode = match weather {
                    Weather::Fair | Weather::Terminate => Mode::Pass,
                    Weather::Refuse => Mode::Refuse,
                    Weather::Reset => Mode::Reset,
                    Weather::Silent => Mode::Silent,
                    Weather::Flap => Mode::Flap(Flap::After(*life)),
                    Weather::Starting | Weather::Full | Weather::ReadOnly | Weather::WrongPassword => {
                        let fault = weather.name();
                        return Err(io::Error::other(format!("a proxy cannot make a server answer `{fault}`")));
                    }
                };
                proxy.set(mode).await?;
                proxy.cut();
                Ok(())
            }
        }
    }

    /// Ends a fault. Returns when it ended: from then on, a dial finds the server.
    ///
    /// # Errors
    /// When the port cannot be listened on again.
    pub async fn end(&self, weather: Weather, pool: &Pool) -> io::Result<Instant> {
        match self {
            Self::Server(server) => {
                server.set(Weather::Fair).await?;
                if weather == Weather::WrongPassword {
                    // The server was there all the time; what was wrong was ours.
                    pool.connector().set_password(server.password());
                    let renewed = Instant::now();
                    pool.renew();
                    return Ok(renewed);
                }
            }
            Self::Proxy(proxy, _) => proxy.set(Mode::Pass).await?,
        }
        Ok(Instant::now())
    }
}
