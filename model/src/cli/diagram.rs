//! `relink diagram`: the machines as they draw themselves.

use clap::ValueEnum;
use relink_model::diagram::{self, Machine};

use crate::{Failed, say};

/// What to draw, and in which language.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The machine
    #[arg(value_enum, default_value_t = Which::Link)]
    machine: Which,
    /// The language of the drawing
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    /// The life of one connection
    Link,
    /// The phases of one endpoint
    Pacer,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For Markdown
    Mermaid,
    /// For Graphviz
    Dot,
    /// A picture
    Svg,
}

/// Prints the drawing.
pub(crate) fn run(args: &Args) -> Result<(), Failed> {
    let machine = match args.machine {
        Which::Link => Machine::Link,
        Which::Pacer => Machine::Pacer,
    };
    let drawing = match args.format {
        Format::Mermaid => diagram::mermaid(machine),
        Format::Dot => diagram::dot(machine),
        Format::Svg => {
            diagram::svg(machine).map_err(|error| Failed::Environment(format!("cannot lay it out: {error}")))?
        }
    };
    say(&drawing)
}
