//! `relink export`: a world for model checkers that share no code with this one.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

use clap::{ValueEnum, ValueHint};
use relink_model::{
    check::{Chance, Graph, Limit, explore},
    export::{self, OF_A_FLEET, OF_A_PROCESS, Questions},
    named::{Named, World},
};

use crate::{Failed, say, world};

/// Without WORLD: the list of worlds.
#[derive(clap::Args)]
#[command(after_help = "\
The files are named after the world. In them `assumed` is what the environment keeps up, `goal` is where the runs must get, \
`cost` is the time in ticks. Exit codes: 0 written, 2 no such world or nothing to ask of it, 3 it could not be written.")]
pub(crate) struct Args {
    /// The world: a process or a fleet
    #[arg(value_parser = world::parser(), hide_possible_values = true, requires = "to")]
    world: Option<&'static Named>,
    /// For which tool
    #[arg(long, value_enum)]
    to: Option<Tool>,
    /// The folder for the files
    #[arg(short, long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Tool {
    /// Explicit files: .tra, .lab, .trew
    Prism,
    /// DRN, for Storm
    Storm,
    /// For SPIN: .pml and the tables that it includes; the coins are the adversary's
    Promela,
}

pub(crate) fn run(args: &Args) -> Result<(), Failed> {
    let (Some(named), Some(to)) = (args.world, args.to) else { return world::list("export") };
    match world::build(named)? {
        World::Fleet(fleet) => write(to, &args.out, named.name, &*fleet, &OF_A_FLEET),
        World::Process(process) => write(to, &args.out, named.name, &*process, &OF_A_PROCESS),
        World::Pool(_) => Err(Failed::Usage(format!(
            "{} is the world of a pool: what must happen there in the end is claimed of cycles, \
             which the question that is exported cannot say; export a process or a fleet",
            named.name
        ))),
    }
}

fn write<M: Chance>(to: Tool, out: &Path, name: &str, model: &M, ask: &Questions<M>) -> Result<(), Failed> {
    let graph = explore(model, Limit::default()).map_err(|stopped| Failed::Environment(stopped.to_string()))?;
    let cannot = |error: io::Error| Failed::Environment(format!("cannot write into {}: {error}", out.display()));
    let how = fs::create_dir_all(out).and_then(|()| files(to, out, name, model, &graph, ask)).map_err(cannot)?;
    let shown = if out == Path::new(".") { how } else { format!("cd {} && {how}", out.display()) };
    say(&format!("{name}: {} states, {} transitions\n{shown}\n", graph.states(), graph.transitions()))
}

/// Writes the files, and says how to ask the tool whether the goal is kept, in their folder.
fn files<M: Chance>(
    to: Tool,
    folder: &Path,
    name: &str,
    model: &M,
    graph: &Graph<'_, M>,
    ask: &Questions<M>,
) -> io::Result<String> {
    let file = |end: &str| File::create(folder.join(format!("{name}.{end}"))).map(BufWriter::new);
    let lost = "'Pmax=? [ (F G \"assumed\") & (G F !\"goal\") ]'";
    match to {
        Tool::Prism => {
            let [mut transitions, mut labels, mut rewards] = [file("tra")?, file("lab")?, file("trew")?];
            export::prism(model, graph, ask, [&mut transitions, &mut labels, &mut rewards])?;
            flushed([transitions, labels, rewards])?;
            Ok(format!("prism -mdp -importmodel {name}.tra,lab,trew -pf {lost}"))
        }
        Tool::Storm => {
            let mut drn = file("drn")?;
            export::storm(model, graph, ask, &mut drn)?;
            flushed([drn])?;
            Ok(format!("storm --explicit-drn {name}.drn --prop {lost}"))
        }
        Tool::Promela => {
            let [mut text, mut tables] = [file("pml")?, file("h")?];
            export::spin(model, graph, ask, &format!("{name}.h"), &mut text, &mut tables)?;
            flushed([text, tables])?;
            // A path is never longer than the states of the graph and of the claim's automaton, each in two rounds.
            let depth = graph.states() * 8 + 1_000;
            let safe = ask.safe.map_or_else(String::new, |_| format!(" && ./pan -m{depth} -a -N safe"));
            Ok(format!(
                "spin -a {name}.pml && cc -O2 -w -o pan pan.c && ./pan -m{depth} -a -N recovers{safe}\n\
                 the coins are the adversary's there: what holds only almost surely is an error"
            ))
        }
    }
}

/// What a buffer keeps to itself until it is dropped may fail to be written without a word.
fn flushed<const N: usize>(files: [BufWriter<File>; N]) -> io::Result<()> {
    files.into_iter().try_for_each(|file| file.into_inner().map(drop).map_err(io::Error::from))
}
