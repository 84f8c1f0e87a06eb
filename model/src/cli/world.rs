//! The worlds as an argument of a command.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use relink_model::named::{Named, WORLDS, World, named};

use crate::{Failed, say};

/// Takes the name of a world; of any other it tells the nearest.
pub(crate) fn parser() -> impl TypedValueParser<Value = &'static Named> {
    let names = WORLDS.iter().map(|world| PossibleValue::new(world.name).help(world.about));
    PossibleValuesParser::new(names).try_map(|name| named(&name).ok_or("there is no such world"))
}

/// Lists them all, with the command that takes one.
pub(crate) fn list(command: &str) -> Result<(), Failed> {
    let wide = WORLDS.iter().map(|world| world.name.len()).max().unwrap_or(0);
    let lines = WORLDS.iter().map(|Named { name, about, .. }| format!("  {name:<wide$}  {about}\n"));
    say(&format!("relink {command} WORLD, where WORLD is one of\n{}", lines.collect::<String>()))
}

pub(crate) fn build(named: &Named) -> Result<World, Failed> {
    named.build().ok_or_else(|| Failed::Environment(format!("the world {} cannot be built", named.name)))
}
