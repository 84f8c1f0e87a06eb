//! `relink explore`: stateright's Explorer, on this machine only.

use std::{
    fmt::Debug,
    hash::Hash,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use relink_model::named::{Named, World};
use stateright::Model;

use crate::{Failed, say, world};

/// Without WORLD: the list of worlds.
#[derive(clap::Args)]
#[command(after_help = "\
The page shows a state, what may happen next, and the properties of single states; what must happen in the end is \
`relink check`'s. Exit codes: 2 no such world, 3 the port is taken, 130 ended by Ctrl-C.")]
pub(crate) struct Args {
    /// The world
    #[arg(value_parser = world::parser(), hide_possible_values = true)]
    world: Option<&'static Named>,
    /// The port, on 127.0.0.1; 0: one that is free
    #[arg(long, default_value_t = 0)]
    port: u16,
}

pub(crate) fn run(args: &Args) -> Result<(), Failed> {
    let Some(named) = args.world else { return world::list("explore") };
    let world = world::build(named)?;
    let at = free(args.port)?;
    say(&format!("{}: http://{at}/ (Ctrl-C ends it)\n", named.name))?;
    match world {
        World::Pool(pool) => serve(*pool, at),
        World::Process(process) => serve(*process, at),
        World::Fleet(fleet) => serve(*fleet, at),
    }
    Ok(())
}

/// An address that was free a moment ago: the Explorer takes an address, not a socket, and panics if it is taken.
fn free(port: u16) -> Result<SocketAddr, Failed> {
    let taken = |error| Failed::Environment(format!("cannot listen on 127.0.0.1:{port}: {error}"));
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr()).map_err(taken)
}

/// Never returns while the Explorer serves.
fn serve<M>(model: M, at: SocketAddr)
where
    M: Model + Send + Sync + 'static,
    M::State: Debug + Hash + Send + Sync + Clone + PartialEq,
    M::Action: Debug + Send + Sync + Clone + PartialEq,
{
    drop(model.checker().serve(at));
}
