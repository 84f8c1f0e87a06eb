//! A graph as other model checkers read it, so that their verdicts can be held against [`check`](crate::check)'s.
//!
//! Storm decides what happens almost surely and what it costs (an MDP in the DRN format, states and choices one by one);
//! SPIN decides what happens whatever the coins do (Promela around tables in C). Both explore anew what they are given,
//! and neither shares any code with this crate. What they cannot show is that the graph is the model's.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use crate::check::{Chance, Graph};

/// What is asked about a graph: names for its states, and what its transitions cost.
#[derive(Debug)]
pub struct Questions<M: Chance> {
    /// What the environment keeps up from some moment on; `assumed` in the text.
    pub assume: fn(&M, &M::State) -> bool,
    /// Where the runs must get; `goal` in the text.
    pub goal: fn(&M, &M::State) -> bool,
    /// What a transition costs.
    pub cost: fn(&M, &M::State, &M::Action) -> u32,
}

/// Writes the graph as an MDP for Storm, with the labels `init`, `assumed` and `goal` and the rewards `cost`. A coin's
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
            let chances = choice.times.values().sum::<u32>();
            for (to, times) in &choice.times {
                writeln!(out, "\t\t{to} : {}", f64::from(*times) / f64::from(chances))?;
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

/// Writes the graph as Promela for SPIN, where coins are the adversary's, with the claim `recovers`: ◇□assumed ⇒ ◇□goal.
/// The transitions go to `tables`, which the text includes as `tables.h`.
///
/// # Errors
///
/// Those of the writers.
pub fn spin<M: Chance>(
    model: &M,
    graph: &Graph<'_, M>,
    ask: &Questions<M>,
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
        is.push(u8::from((ask.assume)(model, state)) | u8::from((ask.goal)(model, state)) << 1);
        if initial.contains(state) {
            starts.push(id);
        }
    }
    table(tables, "unsigned", "from", &from)?;
    table(tables, "unsigned", "to", &to)?;
    table(tables, "unsigned char", "is", &is)?;

    let look = "now.assumed = is[now.at] & 1; now.goal = is[now.at] >> 1;";
    writeln!(text, "c_decl {{ \\#include \"tables.h\" }}\nint at;\nbool assumed;\nbool goal;\n")?;
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
    writeln!(text, "    od\n}}\n\nltl recovers {{ (<>[] assumed) -> (<>[] goal) }}")
}

fn table<T: ToString>(out: &mut impl Write, kind: &str, name: &str, values: &[T]) -> io::Result<()> {
    let values: Vec<String> = values.iter().map(T::to_string).collect();
    let lines: Vec<String> = values.chunks(16).map(|line| line.join(",")).collect();
    writeln!(out, "static const {kind} {name}[] = {{\n{}\n}};", lines.join(",\n"))
}
