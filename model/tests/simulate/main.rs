//! `relink simulate`: what it prints, and the simulator held against theory, the proven bounds and the goals.
#![expect(clippy::unwrap_used, reason = "a test that meets the unforeseen has failed")]

mod allocations;
mod cli;
mod goals;
mod theory;
mod worlds;

use relink_model::simulate::{self, Contender, Figures, Outcome, World};

fn world(clients: u32, slots: u16, capacity_per_s: u32, queue: u32) -> World {
    World { clients, slots, capacity_per_s, queue, ..World::default() }
}

fn run(world: &World, contender: &Contender) -> Outcome {
    world.check().unwrap();
    simulate::run(world, contender, 1, &mut |_| {})
}

fn figures(world: &World, name: &str) -> Figures {
    run(world, &Contender::named(name, world.slots, None).unwrap().unwrap()).figures
}
