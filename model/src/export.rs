//! A graph as other model checkers read it, so that their verdicts can be held against [`check`](mod@crate::check)'s.
//!
//! PRISM and Storm decide what happens almost surely and what it costs (an MDP, states and choices one by one: the explicit
//! files of the one, the DRN format of the other); SPIN decides what happens whatever the coins do (Promela around tables
//! in C). All explore anew what they are given, and none shares any code with this crate. What they cannot show is that
//! the graph is the model's.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use crate::{
    check::{Chance, Graph},
    fleet::Fleet,
    pacing,
};

/// What is asked about a graph: names for its states, and what its transitions cost.
#[derive(Debug)]
pub struct Questions<M: Chance> {
    /// What the environment keeps up from some moment on; `assumed` in the text.
    pub assume: fn(&M, &M::State) -> bool,
    /// Where the runs must get; `goal` in the text.
    pub goal: fn(&M, &M::State) -> bool,
    /// What a transition costs.
    pub cost: fn(&M, &M::State, &M::Action) -> u32,
    /// What every state must be; `safe` in the text, which only SPIN is given.
    pub safe: Option<fn(&M, &M::State) -> bool>,
}

/// L2 and L2q: a server that stays up, and all sessions open. No law speaks of a single state of a fleet.
pub const OF_A_FLEET: Questions<Fleet> =
    Questions { assume: Fleet::up, goal: Fleet::all_online, cost: Fleet::ticks, safe: None };

/// L1: an endpoint that keeps its promise, and a session at every place; and that no law is broken.
pub const OF_A_PROCESS: Questions<pacing::world::World> = Questions {
    assume: pacing::world::World::is_well,
    goal: pacing::world::World::is_whole,
    cost: |_, _, action| u32::from(*action == pacing::world::Action::Tick),
    safe: Some(|_, state| state.ghost.broken.is_none()),
};

/// Writes the graph as an MDP for PRISM: its explicit files of transitions, labels and transition rewards (`.tra`, `.lab`,
/// `.trew`), with the labels `init`, `deadlock` (of no state), `assumed` and `goal`. Choices are as for [`storm`].
///
/// # Errors
///
/// Those of the writers.
pub fn prism<M: Chance>(
    model: &M,
    graph: &Graph<'_, M>,
    ask: &Questions<M>,
    [transitions, labels, rewards]: [&mut impl Write; 3],
) -> io::Result<()> {
    let choices = choices(model, graph, ask);
    let all = || (0..).zip(&choices).flat_map(|(id, of)| (0..).zip(of).map(move |(name, choice)| (id, name, choice)));
    let (states, count) = (choices.len(), all().count());
    let ways = |is: fn(&Choice) -> bool| {
        all().filter(|(.., choice)| is(choice)).map(|(.., choice)| choice.times.len()).sum::<usize>()
    };
    writeln!(transitions, "{states} {count} {}", ways(|_| true))?;
    writeln!(rewards, "{states} {count} {}", ways(|choice| choice.cost > 0.0))?;
    for (id, name, choice) in all() {
        for (to, chance) in choice.chances() {
            writeln!(transitions, "{id} {name} {to} {chance}")?;
            if choice.cost > 0.0 {
                writeln!(rewards, "{id} {name} {to} {}", choice.cost)?;
            }
        }
    }
    writeln!(labels, "0=\"init\" 1=\"deadlock\" 2=\"assumed\" 3=\"goal\"")?;
    let starts = model.init_states();
    for (id, state) in (0..).map_while(|id| graph.state(id).map(|state| (id, state))) {
        let holds = [(0, starts.contains(state)), (2, (ask.assume)(model, state)), (3, (ask.goal)(model, state))];
        let named: String = holds.iter().filter(|(_, is)| *is).map(|(label, _)| format!(" {label}")).collect();
        if !named.is_empty() {
            writeln!(labels, "{id}:{named}")?;
        }
    }
    Ok(())
}

/// Writes the graph as an MDP for Storm, in its DRN format, with the labels `init`, `assumed` and `goal` and the rewards `cost`. A coin's
/// state has one choice, any other as many as transitions; a dead end stays where it is.
///
/// # Errors
///
/// Those of the writer.
pub fn storm<M: Chance>(model: &M, graph: &Graph<'_, M>, ask: &Questions<M>, out: &mut impl Write) -> io::Result<()> {
    let choices = choices(model, graph, ask);
    let count: usize = choices.iter().map(Vec::len).sum();
    writeln!(out, "@type: MDP\n@parameters\n\n@reward_models\ncost")?;
    writeln!(out, "@nr_states\n{}\n@nr_choices\n{count}\n@model", choices.len())?;
    let starts = model.init_states();
    for (id, choices) in (0..).zip(&choices) {
        let Some(state) = graph.state(id) else { continue };
        let named = |name, named: bool| if named { name } else { "" };
        let init = named(" init", starts.contains(state));
        let assumed = named(" assumed", (ask.assume)(model, state));
        let goal = named(" goal", (ask.goal)(model, state));
        writeln!(out, "state {id} [0]{init}{assumed}{goal}")?;
        for (name, choice) in choices.iter().enumerate() {
            writeln!(out, "\taction {name} [{}]", choice.cost)?;
            for (to, chance) in choice.chances() {
                writeln!(out, "\t\t{to} : {chance}")?;
            }
        }
    }
    Ok(())
}

/// One thing that an adversary may choose in a state, and what a coin makes of it.
struct Choice {
    cost: f64,
    /// Where it leads, and in how many of equally likely ways.
    times: BTreeMap<u32, u32>,
}

impl Choice {
    /// Where it leads, and how likely.
    fn chances(&self) -> impl Iterator<Item = (u32, f64)> {
        let all = f64::from(self.times.values().sum::<u32>());
        self.times.iter().map(move |(to, times)| (*to, f64::from(*times) / all))
    }
}

fn choices<M: Chance>(model: &M, graph: &Graph<'_, M>, ask: &Questions<M>) -> Vec<Vec<Choice>> {
    let of = |(id, state): (u32, &M::State)| {
        let mut actions = Vec::new();
        model.actions(state, &mut actions);
        let cost = |action: &M::Action| f64::from((ask.cost)(model, state, action));
        let leads = |action: &M::Action| model.next_state(state, action.clone()).is_some();
        let costs: Vec<f64> = actions.iter().filter(|action| leads(action)).map(cost).collect();
        let to = graph.successors(id);
        match to.len() {
            0 => vec![Choice { cost: 0.0, times: [(id, 1)].into() }],
            ways if model.random(state) => {
                let mut times = BTreeMap::new();
                to.iter().for_each(|to| *times.entry(*to).or_insert(0) += 1);
                let ways = u32::try_from(ways).unwrap_or(u32::MAX);
                vec![Choice { cost: costs.iter().sum::<f64>() / f64::from(ways), times }]
            }
            _ => to.iter().zip(costs).map(|(to, cost)| Choice { cost, times: [(*to, 1)].into() }).collect(),
        }
    };
    (0..).map_while(|id| graph.state(id).map(|state| (id, state))).map(of).collect()
}

/// Writes the graph as Promela for SPIN, where coins are the adversary's, with the claims `recovers`: ◇□assumed ⇒ ◇□goal,
/// and `safe`: □safe, if anything is asked of every state. The transitions go to `tables`, which the text includes under
/// the name `header`.
///
/// # Errors
///
/// Those of the writers.
pub fn spin<M: Chance>(
    model: &M,
    graph: &Graph<'_, M>,
    ask: &Questions<M>,
    header: &str,
    text: &mut impl Write,
    tables: &mut impl Write,
) -> io::Result<()> {
    let (mut from, mut to, mut is, mut starts) = (vec![0], Vec::new(), Vec::new(), Vec::new());
    let initial = model.init_states();
    let mut most = 0;
    for (id, state) in (0_u32..).map_while(|id| graph.state(id).map(|state| (id, state))) {
        let successors = graph.successors(id);
        most = most.max(successors.len());
        to.extend_from_slice(successors);
        from.push(to.len());
        let safe = ask.safe.is_none_or(|safe| safe(model, state));
        let holds = [(ask.assume)(model, state), (ask.goal)(model, state), safe];
        is.push((0..).zip(holds).map(|(bit, holds)| u8::from(holds) << bit).sum::<u8>());
        if initial.contains(state) {
            starts.push(id);
        }
    }
    table(tables, "unsigned", "from", &from)?;
    table(tables, "unsigned", "to", &to)?;
    table(tables, "unsigned char", "is", &is)?;

    let look = "now.assumed = is[now.at] & 1; now.goal = is[now.at] >> 1 & 1; now.safe = is[now.at] >> 2;";
    writeln!(text, "c_decl {{ \\#include \"{header}\" }}\nint at;\nbool assumed;\nbool goal;\nbool safe = true;\n")?;
    writeln!(text, "active proctype fleet() {{\n    if")?;
    for start in starts {
        writeln!(text, "    :: d_step {{ at = {start}; c_code {{ {look} }} }}")?;
    }
    writeln!(text, "    fi;\n    do")?;
    for choice in 0..most {
        let possible = format!("from[now.at] + {choice} < from[now.at + 1]");
        let go = format!("now.at = to[from[now.at] + {choice}]; {look}");
        writeln!(text, "    :: d_step {{ c_expr {{ {possible} }} -> c_code {{ {go} }} }}")?;
    }
    writeln!(text, "    od\n}}\n\nltl recovers {{ (<>[] assumed) -> (<>[] goal) }}")?;
    if ask.safe.is_some() { writeln!(text, "ltl safe {{ [] safe }}") } else { Ok(()) }
}

fn table<T: ToString>(out: &mut impl Write, kind: &str, name: &str, values: &[T]) -> io::Result<()> {
    let values: Vec<String> = values.iter().map(T::to_string).collect();
    let lines: Vec<String> = values.chunks(16).map(|line| line.join(",")).collect();
    writeln!(out, "static const {kind} {name}[] = {{\n{}\n}};", lines.join(",\n"))
}
