//! One page that shows a comparison and needs nothing else.

use std::fmt::Write as _;

use super::{
    meter::Figures,
    plot::{PlotError, svg},
    run::Outcome,
    world::World,
};

const STYLE: &str = "body{font:15px/1.5 sans-serif;max-width:1240px;margin:2em auto;padding:0 1em}\
    table{border-collapse:collapse}td,th{padding:.2em .7em;text-align:right;border-bottom:1px solid #ddd}\
    td:first-child,th:first-child{text-align:left}svg{max-width:100%;height:auto}pre{background:#f4f4f4;padding:1em;\
    overflow-x:auto}";

/// The page: the command that made it, the picture of the first run of each policy, the figures of all runs.
///
/// # Errors
/// When the picture cannot be drawn.
pub fn page(command: &str, world: &World, firsts: &[&Outcome], all: &[&Figures]) -> Result<String, PlotError> {
    let mut rows = String::new();
    for figures in all {
        let or_never = |figure: Option<f64>| figure.map_or_else(|| "never".to_owned(), |figure| format!("{figure:.2}"));
        let _infallible = writeln!(
            rows,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{:.2}<td>{:.2}<td>{:.1}<td>{:.1}<td>{:.1} %",
            escape(&figures.policy),
            figures.seed,
            or_never(figures.makespan_s),
            or_never(figures.makespan_ratio),
            or_never(figures.p50_s),
            or_never(figures.p99_s),
            figures.dials_per_slot_outage,
            figures.dials_per_slot_after,
            figures.peak_offered_ratio_first_s,
            figures.peak_offered_ratio_after_10s,
            figures.wasted_work * 100.0,
        );
    }
    Ok(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>relink simulate</title><style>{STYLE}</style>\n\
         <h1>How a fleet comes back</h1>\n<pre>{}</pre>\n{}\n\
         <p>Grey: until the server is back, or sound. Left: SYNs that reach it, kernels' resends included, as a multiple of the \
         {} sessions that it can set up in a second. Right: the share of the {} connections that are there.</p>\n\
         <table><tr><th>policy<th>seed<th>makespan s<th>× least<th>p50 s<th>p99 s<th>dials, outage<th>after\
         <th>peak, 1st s<th>after 10 s<th>work wasted\n{rows}</table>\n\
         <p>Every process runs the step functions of production; the servers and the network are modelled: {} \
         service, listen queue {}, overflow {}, a rejection costs {} of a set-up.</p></html>\n",
        escape(command),
        svg(world, firsts)?,
        world.capacity_per_s,
        world.clients,
        world.service.word(),
        world.queue,
        world.overflow.word(),
        world.reject_cost,
    ))
}

/// Text as HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
