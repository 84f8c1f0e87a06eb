//! A seeded, deterministic simulator of fleets that lose their server and come back.
//!
//! Every client process is a production [`Pool`](relink::pool::Pool), fed facts by [`Pool::step`] as the adapter
//! feeds them, so the `Link::step` and `Pacer::step` that it runs are those of production too; nothing of relink's
//! decisions is written a second time. Only the world is: the servers, the network, the clock, chance.
//!
//! [`Pool::step`]: relink::pool::Pool::step

mod chance;
mod contender;
mod fleet;
mod meter;
mod page;
mod plot;
mod queue;
mod run;
mod scenario;
mod script;
mod server;
mod world;

pub use contender::{Contender, NAMES};
pub use fleet::memory;
pub use meter::{BIN, Bin, Figures};
pub use page::page;
pub use plot::{PlotError, is_picture, plot, svg};
pub use run::{Outcome, Progress, run};
pub use scenario::{SCENARIOS, Scenario};
pub use world::{CLIENTS_MAX, FLAP, Kind, Overflow, ROUND_TRIP, Resends, Service, Story, Unfit, World};
