//! How the machines look: diagrams drawn from runs of the production step functions, so that none can drift.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use layout::{
    backends::svg::SVGWriter,
    gv::{DotParser, GraphBuilder},
};
use relink::{
    DialId, Fault, LeaseId, Policy, Span, Time, Work,
    link::{Event as On, Link},
    pacer::{self, Pacer, Phase},
    policy::Checked,
};

/// Which machine to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// The life of one connection.
    Link,
    /// The phases of one endpoint.
    Pacer,
}

/// From and to, and the events that lead there.
type Edges = BTreeMap<(&'static str, &'static str), BTreeSet<&'static str>>;

/// The machine as a Mermaid `stateDiagram-v2`.
pub fn mermaid(machine: Machine) -> String {
    let mut text = String::from("stateDiagram-v2\n");
    let _ = writeln!(text, "    [*] --> {}", start(machine));
    for ((from, to), events) in edges(machine) {
        let _ = writeln!(text, "    {from} --> {to}: {}", joined(&events, ", "));
    }
    text
}

/// The machine as a Graphviz digraph. Its nodes are declared in the order of a life, which is that of the rows.
pub fn dot(machine: Machine) -> String {
    let mut text = format!("digraph {machine:?} {{\n    start [shape=point]\n");
    for state in states(machine) {
        let _ = writeln!(text, "    {state} [shape=box]");
    }
    let _ = writeln!(text, "    start -> {}", start(machine));
    let edges = edges(machine);
    let place = |name: &str| states(machine).iter().position(|state| *state == name);
    let mut in_order: Vec<_> = edges.iter().collect();
    in_order.sort_by_key(|((from, to), _)| (place(from), place(to)));
    for ((from, to), events) in in_order {
        let _ = writeln!(text, "    {from} -> {to} [label=\"{}\"]", joined(events, "\\n"));
    }
    text.push_str("}\n");
    text
}

/// The machine as a picture in SVG: what [`dot`] says, laid out.
///
/// # Errors
/// If the layout cannot read what [`dot`] says.
pub fn svg(machine: Machine) -> Result<String, String> {
    let graph = DotParser::new(&dot(machine)).process()?;
    let mut builder = GraphBuilder::new();
    builder.visit_graph(&graph);
    let mut picture = SVGWriter::new();
    builder.get().do_it(false, false, false, &mut picture);
    Ok(picture.finalize())
}

/// Every state, in the order of a life.
const fn states(machine: Machine) -> &'static [&'static str] {
    match machine {
        Machine::Link => &[
            "Idle",
            "Waiting",
            "Held",
            "Dialing",
            "Online",
            "Leased",
            "Suspected",
            "Draining",
            "Probing",
            "Closing",
            "Closed",
        ],
        Machine::Pacer => &["Up", "Settling", "Down", "Overloaded", "Held"],
    }
}

const fn start(machine: Machine) -> &'static str {
    match machine {
        Machine::Link => "Idle",
        Machine::Pacer => "Up",
    }
}

fn joined(events: &BTreeSet<&'static str>, between: &str) -> String {
    events.iter().copied().collect::<Vec<_>>().join(between)
}

fn edges(machine: Machine) -> Edges {
    // The default passes every rule; a drawing without edges would fail its snapshot.
    let Ok(policy) = Policy::default().check() else { return Edges::new() };
    match machine {
        Machine::Link => link_edges(&policy),
        Machine::Pacer => pacer_edges(&policy),
    }
}

/// Every state that can be reached from `Idle` by answers that name the right dial, and how. All that
/// gives a link up is drawn once, as `given up`: to draw each of its causes everywhere would hide the rest.
fn link_edges(policy: &Checked) -> Edges {
    let now = Time::from_millis(1_000_000);
    let (mut edges, mut seen, mut todo) = (Edges::new(), BTreeSet::new(), vec![Link::Idle]);
    while let Some(link) = todo.pop() {
        if !seen.insert(format!("{link:?}")) {
            continue;
        }
        for (label, event) in link_events(&link) {
            // A timeout is due when it is; nothing else in this drawing depends on the time.
            let at = if event == On::Elapsed { link.timeout(policy) } else { now };
            if at == Time::NEVER {
                continue;
            }
            let (next, _) = link.step(policy, at, event);
            let (from, to) = (link_name(&link), link_name(&next));
            if from != to {
                edges.entry((from, to)).or_default().insert(label);
            }
            // A closing that takes longer and longer is no new state.
            if at == now || from != to || from == "Suspected" {
                todo.push(next);
            }
        }
    }
    edges
}

/// What can happen to this link, under the names that it has.
fn link_events(link: &Link) -> Vec<(&'static str, On)> {
    let (dial, lease) = (DialId::new(0, 0), LeaseId(0));
    let now = Time::from_millis(1_000_000);
    let later = now + Span::from_secs(60);
    let by = link.question().unwrap_or(later);
    let statement = Work::Statement { durable: true };
    vec![
        ("wanted", On::Wanted),
        ("given up", On::Unwanted),
        ("granted", On::Granted { dial, deadline: later, topology: 0 }),
        ("held back", On::HeldBack { fault: Fault::Misconfigured }),
        ("renewed", On::Renewed),
        ("dialed", On::Dialed { dial, stable_at: now, retire_at: later }),
        ("failed", On::DialFailed { dial }),
        ("lent", On::Lent { lease }),
        ("seen at work", On::Worked { lease, work: statement, heard_at: now }),
        ("seen silent", On::Worked { lease, work: statement, heard_at: Time::ZERO }),
        ("questioned", On::Questioned { asker: 0 }),
        ("reopened", On::Reopened),
        ("spared", On::Spared),
        ("engaged", On::Engaged { topology: 0 }),
        ("returned", On::Returned { lease, work: Work::AtRest }),
        ("returned unclean", On::Returned { lease, work: Work::InTransaction }),
        ("doubted", On::Doubted { topology: 0 }),
        ("proved", On::Proved { dial, by }),
        ("unproved", On::Unproved { dial, by }),
        ("unheard", On::Unheard { dial, by }),
        ("found alive", On::FoundAlive { dial, by }),
        ("undecided", On::Undecided { dial, by }),
        ("found dead", On::FoundDead { dial, by }),
        ("lost", On::Lost { dial }),
        ("gone", On::Gone { dial }),
        ("given up", On::Retired),
        ("stopped", On::Stopped { deadline: later }),
        ("timeout", On::Elapsed),
    ]
}

const fn link_name(link: &Link) -> &'static str {
    match link {
        Link::Idle => "Idle",
        Link::Waiting => "Waiting",
        Link::Held { .. } => "Held",
        Link::Dialing { .. } => "Dialing",
        Link::Online { .. } => "Online",
        Link::Leased { .. } => "Leased",
        Link::Suspected { .. } => "Suspected",
        Link::Draining { .. } => "Draining",
        Link::Probing { .. } => "Probing",
        Link::Closing { .. } => "Closing",
        Link::Closed => "Closed",
    }
}

/// The phases of the one endpoint of a set, each left by every event that means something there.
fn pacer_edges(policy: &Checked) -> Edges {
    let (mut edges, mut seen) = (Edges::new(), BTreeSet::new());
    let mut todo = vec![(Pacer::new(1).at(Time::from_millis(1)), Time::from_millis(1))];
    while let Some((pacer, now)) = todo.pop() {
        for (label, then, next) in pacer_steps(policy, pacer, now) {
            let (from, to) = (phase_name(pacer.phase(0)), phase_name(next.phase(0)));
            if from != to {
                edges.entry((from, to)).or_default().insert(label);
            }
            // Few enough sessions and dials to end, and enough to enter and leave every phase in every way.
            let outage = (next.outage_since().is_some(), next.settles_at().is_some());
            if next.online_at(0) <= 2 && seen.insert((to, next.online_at(0), next.in_flight(0), outage)) {
                todo.push((next, then));
            }
        }
    }
    edges
}

/// What can happen to this pacer next: only answers to what it has in flight, losses of what is online.
fn pacer_steps(policy: &Checked, pacer: Pacer, now: Time) -> Vec<(&'static str, Time, Pacer)> {
    use pacer::Event::{Dialed, Failed, Lost, Renewed, Requested};
    let dial = DialId::new(u64::from(u32::MAX), 0);
    let mut steps = vec![("renewed", now, Renewed)];
    if pacer.in_flight(0) == 0 {
        steps.push(("dial", now.max(pacer.not_before(0)), Requested { endpoint: 0 }));
    } else {
        steps.push(("dialed", now, Dialed { dial }));
        steps.push(("absent", now, Failed { dial, fault: Fault::Refused }));
        steps.push(("overloaded or silent", now, Failed { dial, fault: Fault::Overloaded }));
        steps.push(("fatal", now, Failed { dial, fault: Fault::Misconfigured }));
    }
    if pacer.online_at(0) > 0 {
        steps.push(("lost", now, Lost { endpoint: 0, unstable: false }));
        if pacer.outage_since().is_some() {
            steps.push(("lost unstable", now, Lost { endpoint: 0, unstable: true }));
        }
    }
    let event = |(label, then, event)| (label, then, pacer.step(policy, then, event, u64::MAX / 2).0);
    let mut all: Vec<_> = steps.into_iter().map(event).collect();
    if let Some(at) = pacer.settles_at() {
        all.push(("settled", at, pacer.at(at)));
    }
    all
}

const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Up => "Up",
        Phase::Settling => "Settling",
        Phase::Down => "Down",
        Phase::Overloaded => "Overloaded",
        Phase::Held => "Held",
    }
}
