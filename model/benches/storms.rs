//! Storms in bulk: a grid of worlds, the curves that the defaults were chosen from, and how fast all that is simulated.
//!
//! `cargo bench -p relink-model --bench storms -- grid|curve|speed`, each alone or several, all without a word.
//! `curve` also draws `assets/trade-off.svg`. Figures are means over five seeds, 1 to 5; the grid has one of each.

use std::{error::Error, path::Path};

use plotters::{
    prelude::*,
    style::{FontStyle, register_font},
};
use relink::{Policy, Ratio, Span};
use relink_model::simulate::{self, Contender, Kind, Outcome, Scenario, World};

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` says `--bench`; `cargo test --bench` does not, and asks for little of each.
    let test = !std::env::args().any(|arg| arg == "--bench");
    let chosen: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|arg| arg == name);
    if wanted("grid") {
        grid(test)?;
    }
    if wanted("curve") {
        curve(test)?;
    }
    if wanted("speed") {
        speed(test)?;
    }
    Ok(())
}

type Done = Result<(), Box<dyn Error>>;

fn run(world: &World, contender: &Contender, seed: u64) -> Result<Outcome, Box<dyn Error>> {
    world.check()?;
    Ok(simulate::run(world, contender, seed, &mut |_| {}))
}

fn default_of(slots: u16) -> Result<Contender, String> {
    Contender::find("relink", slots, None)
}

/// 72 worlds, 20 480 connections each, a listen queue of one second. Goal: all are back within 1.5·N/C + 0.25·D + 15 s.
fn grid(test: bool) -> Done {
    let mut rows = Vec::new();
    for capacity_per_s in [50, 200, 1_000, 5_000] {
        for outage_s in [0, 1, 5, 30, 120, 600] {
            for slots in [1, 16, 64] {
                if test && (outage_s, slots) != (5, 64) {
                    continue;
                }
                let outage = Span::from_secs(outage_s);
                let world =
                    World { clients: 20_480, slots, capacity_per_s, queue: capacity_per_s, outage, ..World::default() };
                let figures = run(&world, &default_of(slots)?, 1)?.figures;
                let limit = 1.5 * world.ideal_s() + 0.25 * figures.outage_s + 15.0;
                rows.push((figures.makespan_s.map_or(f64::INFINITY, |makespan| makespan / limit), limit, figures));
            }
        }
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let within = rows.iter().filter(|row| row.0 <= 1.0).count();
    println!("grid: {within} of {} worlds are back within 1.5·N/C + 0.25·D + 15 s; the worst:\n", rows.len());
    println!("  capacity  outage  slots  makespan s  limit s  of it   × ideal  dials");
    for (share, limit, figures) in rows.iter().take(10) {
        println!(
            "{:>10}  {:>4} s  {:>5}  {:>10}  {limit:>7.1}  {:>4.0} %  {:>7}  {:>5.1}",
            figures.capacity_per_s,
            figures.outage_s,
            figures.slots,
            figures.makespan_s.map_or_else(|| "never".to_owned(), |makespan| format!("{makespan:.1}")),
            share * 100.0,
            figures.makespan_ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
            figures.dials_per_slot_outage + figures.dials_per_slot_after,
        );
    }
    println!();
    Ok(())
}

/// The mean of a figure over the seeds; an error if a run has none.
fn mean(
    world: &World,
    contender: &Contender,
    seeds: u64,
    of: impl Fn(&Outcome) -> Option<f64>,
) -> Result<f64, Box<dyn Error>> {
    let mut sum = 0.0;
    for seed in 1..=seeds {
        sum += of(&run(world, contender, seed)?).ok_or("a fleet that never came back has no mean")?;
    }
    Ok(sum / seeds as f64)
}

fn scenario(name: &str) -> Result<World, String> {
    Scenario::find(name).map(Scenario::world).ok_or_else(|| format!("no scenario {name}"))
}

/// A point of the curve.
struct Point {
    ka: f64,
    dials: f64,
    p99_s: f64,
}

const CONNECT_MS: [u64; 4] = [2_000, 2_250, 3_000, 5_000];
const KA: [u32; 8] = [80_000, 100_000, 150_000, 200_000, 250_000, 350_000, 500_000, 700_000];
const KD: [u32; 5] = [60_000, 80_000, 90_000, 100_000, 120_000];

/// What `connect_deadline`, `ka` and `kd` cost and bring. The fleets are twins of 10⁶ connections and 1000 set-ups/s.
fn curve(test: bool) -> Done {
    let seeds = if test { 1 } else { 5 };
    let lone = World { kind: Kind::Silence, ..scenario("small-fleet")? };
    let lone_refused = scenario("small-fleet")?;
    let hole = World { clients: 10_240, slots: 1, capacity_per_s: 10, queue: 10, ..scenario("s4")? };
    let fleet = World { clients: 96_000, capacity_per_s: 96, queue: 98, ..World::default() };
    println!("after 30 s of silence: one process, and a fleet of lone connections\n");
    println!("  connect    ka   mean s   p99 s   dials of the fleet, each, in all");
    let mut lines = Vec::new();
    for connect_ms in CONNECT_MS {
        let connect_s = connect_ms as f64 / 1e3;
        let mut points = Vec::new();
        for ka in KA.into_iter().take(if test { 1 } else { KA.len() }) {
            let contender = |slots| {
                let mut policy = Policy::default();
                policy.connect_deadline = Span::from_millis(connect_ms);
                policy.ka = Ratio::from_millionths(ka);
                Contender::new("relink".to_owned(), policy, slots, None)
            };
            let mean_s = mean(&lone, &contender(1)?, seeds, |run| run.figures.mean_s)?;
            let p99_s = mean(&lone, &contender(1)?, seeds, |run| run.figures.p99_s)?;
            let dials = |run: &Outcome| Some(run.figures.dials_per_slot_outage + run.figures.dials_per_slot_after);
            let dials = mean(&hole, &contender(1)?, seeds, dials)?;
            let ka = f64::from(ka) / 1e6;
            println!("{connect_s:>7} s  {ka:>4}  {mean_s:>7.2} {p99_s:>7.2}  {dials:>6.1}");
            points.push(Point { ka, dials, p99_s });
        }
        lines.push((connect_ms, points));
    }
    if !test {
        draw(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/trade-off.svg")), &lines)?;
    }
    println!("\nafter 30 s of refusals: one process, and a fleet in processes of 16\n");
    println!("  connect    kd    p99 s   most SYNs ÷ C from 10 s on   × ideal   dials in all");
    for connect_ms in CONNECT_MS {
        let connect_s = connect_ms as f64 / 1e3;
        for kd in KD.into_iter().take(if test { 1 } else { KD.len() }) {
            let contender = |slots| {
                let mut policy = Policy::default();
                policy.connect_deadline = Span::from_millis(connect_ms);
                policy.kd = Ratio::from_millionths(kd);
                Contender::new("relink".to_owned(), policy, slots, None)
            };
            let p99_s = mean(&lone_refused, &contender(1)?, seeds, |run| run.figures.p99_s)?;
            let fleet_of = |of: fn(&Outcome) -> Option<f64>| mean(&fleet, &contender(16)?, seeds, of);
            let peak = fleet_of(|run| Some(run.figures.peak_offered_ratio_after_10s))?;
            let ratio = fleet_of(|run| run.figures.makespan_ratio)?;
            let dials = fleet_of(|run| Some(run.figures.dials_per_slot_outage + run.figures.dials_per_slot_after))?;
            let kd = f64::from(kd) / 1e6;
            println!("{connect_s:>7} s  {kd:>4}  {p99_s:>7.2}   {peak:>26.1}   {ratio:>7.3}   {dials:>6.2}");
        }
    }
    println!();
    Ok(())
}

fn draw(path: &Path, lines: &[(u64, Vec<Point>)]) -> Done {
    const FONT: &str = "sans-serif";
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).map_err(|_| "the font cannot be read")?;
    let colours = [RGBColor(180, 180, 180), RGBColor(20, 110, 90), RGBColor(90, 90, 170), RGBColor(200, 70, 30)];
    let root = SVGBackend::new(path, (760, 440)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("What a black hole of 30 s costs: patience (ka) against dials", (FONT, 17))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(52)
        .build_cartesian_2d(15.0..45.0, 0.0..34.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("dials of each connection of a fleet of 10⁶ lone ones, until all are back")
        .y_desc("one process: p99 until it is back, s")
        .label_style((FONT, 13))
        .draw()?;
    for ((connect_ms, points), colour) in lines.iter().zip(colours) {
        let place = |point: &Point| (point.dials, point.p99_s);
        chart
            .draw_series(LineSeries::new(points.iter().map(place), colour.stroke_width(2)))?
            .label(format!("connect_deadline {} s", *connect_ms as f64 / 1e3))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(points.iter().map(|point| Circle::new(place(point), 3, colour.filled())))?;
        if *connect_ms == 2_250 {
            let label = |point: &Point| {
                let default = if (point.ka - 0.15).abs() < 1e-9 { ", the default" } else { "" };
                let text = format!("ka {}{default}", point.ka);
                Text::new(text, (point.dials + 0.4, point.p99_s + 1.3), (FONT, 13).into_font())
            };
            chart.draw_series(points.iter().map(label))?;
        }
    }
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK).label_font((FONT, 13)).draw()?;
    root.present()?;
    Ok(())
}

/// Events per second of processor time, of one run each, the fleet's building included.
fn speed(test: bool) -> Done {
    println!("  connections  slots  M events  M events per CPU-second  CPU-seconds");
    for (clients, slots) in [(1_600, 16), (10_000, 16), (100_000, 16), (1_000_000, 16), (1_000_000, 64), (100_000, 1)] {
        if test && clients > 10_000 {
            continue;
        }
        let figures = run(&World { clients, slots, ..World::default() }, &default_of(slots)?, 1)?.figures;
        let cpu_s = figures.events as f64 / figures.events_per_s;
        println!(
            "{clients:>13}  {slots:>5}  {:>8.2}  {:>23.2}  {cpu_s:>11.2}",
            figures.events as f64 / 1e6,
            figures.events_per_s / 1e6
        );
    }
    println!();
    Ok(())
}
