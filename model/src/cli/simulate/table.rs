//! The figures of runs as a table.

use std::fmt::Write as _;

use relink_model::simulate::{Figures, Story, World};

/// The columns of the table: a heading, and the figure with so many decimals.
type Column = (&'static str, usize, fn(&Figures) -> Option<f64>);

const RATIO: &str = "× ideal";

const COLUMNS: [Column; 12] = [
    ("makespan s", 2, |figures| figures.makespan_s),
    (RATIO, 3, |figures| figures.makespan_ratio),
    ("mean s", 2, |figures| figures.mean_s),
    ("p50 s", 2, |figures| figures.p50_s),
    ("p99 s", 2, |figures| figures.p99_s),
    ("dials out", 2, |figures| Some(figures.dials_per_slot_outage)),
    ("after", 2, |figures| Some(figures.dials_per_slot_after)),
    ("peak 1st s", 2, |figures| Some(figures.peak_offered_ratio_first_s)),
    ("after 10 s", 2, |figures| Some(figures.peak_offered_ratio_after_10s)),
    ("wasted", 4, |figures| Some(figures.wasted_work)),
    ("M events", 2, |figures| Some(figures.events as f64 / 1e6)),
    ("M/s", 2, |figures| Some(figures.events_per_s / 1e6)),
];

/// Those that mean something in this world.
fn columns(world: &World) -> Vec<Column> {
    let told = |column: &Column| column.0 != RATIO || world.waits_for_capacity();
    COLUMNS.into_iter().filter(told).collect()
}

fn happens(world: &World) -> String {
    let (outage, kind) = (world.outage, world.kind.word());
    match world.story {
        Story::Outage => format!("{outage} of {kind}"),
        Story::Failover => format!("{outage} of {kind} until another is promoted"),
        Story::RollingRestart => format!("replaced one after the other within {outage}"),
    }
}

pub(super) fn table(world: &World, figures: &[&Figures], seeds: u32) -> String {
    let mut text = format!(
        "{} connections in processes of {}, {} set-ups/s, {}, queue {} ({}, {}){}\n\n",
        world.clients,
        world.slots,
        world.capacity_per_s,
        happens(world),
        world.queue,
        world.overflow.word(),
        world.service.word(),
        if world.waits_for_capacity() { format!("; the ideal is {:.1} s", world.ideal_s()) } else { String::new() },
    );
    let wide = figures.iter().map(|figures| figures.policy.chars().count()).max().unwrap_or(0).max(6);
    let _infallible = write!(text, "{:<wide$} {:>5} {:>9}", "policy", "seed", "recovered");
    let columns = columns(world);
    for (heading, ..) in &columns {
        let _infallible = write!(text, " {heading:>10}");
    }
    text.push('\n');
    for rows in figures.chunks(seeds as usize) {
        for figures in rows.iter().take(if seeds <= 10 { rows.len() } else { 0 }) {
            let recovered = if figures.recovered { "yes" } else { "no" };
            let head = format!("{:<wide$} {:>5} {recovered:>9}", figures.policy, figures.seed);
            row(&mut text, &head, &columns, |of| of(figures));
        }
        if let (Some(first), true) = (rows.first(), seeds > 1) {
            let recovered = rows.iter().filter(|figures| figures.recovered).count();
            for (name, over) in SUMMARY {
                let head = format!("{:<wide$} {name:>5} {:>9}", first.policy, format!("{recovered}/{seeds}"));
                // A figure that one run has not would be an average of the lucky ones.
                row(&mut text, &head, &columns, |of| {
                    rows.iter().map(|figures| of(figures)).collect::<Option<Vec<_>>>().map(over)
                });
            }
        }
    }
    if let Some(peak) = super::memory_peak() {
        let _infallible = write!(text, "\nmemory at its peak: {peak}\n");
    }
    text
}

type Over = fn(Vec<f64>) -> f64;

const SUMMARY: [(&str, Over); 3] = [
    ("mean", |all| all.iter().sum::<f64>() / all.len() as f64),
    ("least", |all| all.into_iter().fold(f64::INFINITY, f64::min)),
    ("most", |all| all.into_iter().fold(f64::NEG_INFINITY, f64::max)),
];

fn row(text: &mut String, head: &str, columns: &[Column], value: impl Fn(fn(&Figures) -> Option<f64>) -> Option<f64>) {
    text.push_str(head);
    for &(_, decimals, of) in columns {
        let cell = value(of).map_or_else(|| "-".to_owned(), |figure| format!("{figure:.decimals$}"));
        let _infallible = write!(text, " {cell:>10}");
    }
    text.push('\n');
}
