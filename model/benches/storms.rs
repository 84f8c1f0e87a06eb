//! Storms in bulk: a grid of worlds and its neighbours, the curves that the defaults were chosen from, and how fast all
//! that is simulated.
//!
//! `cargo bench -p relink-model --bench storms -- grid|neighbours|curve|speed [FILE.toml]`, each alone or several, all
//! without a word; the grid and its neighbours with the policy of a file (from `model/`) instead of the default. `curve`
//! also draws `benches/trade-off.svg`. Seeds are 1 to 5, but for the neighbours and the speed: 1. The grid is told for a
//! listen queue of one second, within which it must keep its limit, and for one of 1024 set-ups, with the policy's first
//! deadline and with one of 30 s.

use std::{error::Error, path::Path};

use plotters::{
    prelude::*,
    style::{FontStyle, register_font},
};
use relink::{Policy, Ratio, Span};
use relink_model::simulate::{self, Contender, Figures, Kind, Scenario, World};

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` says `--bench`; `cargo test --bench` does not, and asks for little of each.
    let test = !std::env::args().any(|arg| arg == "--bench");
    let words = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let (files, chosen): (Vec<_>, Vec<_>) = words.partition(|arg| arg.ends_with(".toml"));
    let policy = files.first().map_or("relink", String::as_str);
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|arg| arg == name);
    if wanted("grid") {
        grid(test, policy)?;
    }
    if wanted("neighbours") {
        neighbours(test, policy)?;
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

fn run(world: &World, contender: &Contender, seed: u64) -> Result<Figures, Box<dyn Error>> {
    world.check()?;
    Ok(simulate::run(world, contender, seed, &mut |_| {}).figures)
}

/// A cell of the grid.
struct Cell {
    runs: Vec<Figures>,
    limit_s: f64,
}

impl Cell {
    fn run(world: &World, contender: &Contender, seeds: u64) -> Result<Self, Box<dyn Error>> {
        let runs = (1..=seeds).map(|seed| run(world, contender, seed)).collect::<Result<Vec<_>, _>>()?;
        let outage_s = world.outage.as_millis() as f64 / 1e3;
        Ok(Self { runs, limit_s: 1.5 * world.ideal_s() + 0.25 * outage_s + 15.0 })
    }

    /// The makespans: least, mean, most.
    fn makespan_s(&self) -> [f64; 3] {
        let all = || self.runs.iter().map(|run| run.makespan_s.unwrap_or(f64::INFINITY));
        [all().fold(f64::INFINITY, f64::min), all().sum::<f64>() / self.runs.len() as f64, all().fold(0.0, f64::max)]
    }

    /// That of the slowest run as a share of the limit.
    fn share(&self) -> f64 {
        self.makespan_s()[2] / self.limit_s
    }
}

/// Says how many cells keep their limit in every run, and the worst of them.
fn tell(mut cells: Vec<Cell>, what: &str) -> Done {
    cells.sort_by(|a, b| b.share().total_cmp(&a.share()));
    let within = cells.iter().filter(|cell| cell.share() <= 1.0).count();
    println!("{what}: {within} of {} worlds are back within 1.5·N/C + 0.25·D + 15 s; the worst:\n", cells.len());
    println!("  clients  capacity   outage  slots       makespan s  (least–most)  limit s   of it  dials");
    for cell in cells.iter().take(10) {
        let Some(first) = cell.runs.first() else { continue };
        let [least, mean, most] = cell.makespan_s();
        println!(
            "{:>9}  {:>8}  {:>5} s  {:>5}  {mean:>15.1}  ({least:.1}–{most:.1})  {:>7.1}  {:>4.1} %  {:>5.1}",
            first.clients,
            first.capacity_per_s,
            first.outage_s,
            first.slots,
            cell.limit_s,
            cell.share() * 100.0,
            dials(first),
        );
    }
    println!();
    if within < cells.len() { Err("a world is above its limit".into()) } else { Ok(()) }
}

fn dials(figures: &Figures) -> f64 {
    figures.dials_per_slot_outage + figures.dials_per_slot_after
}

/// 72 worlds, 20 480 connections each. Goal: all are back within 1.5·N/C + 0.25·D + 15 s, with a queue of one second.
fn grid(test: bool, policy: &str) -> Done {
    grid_of(test, policy, None, None).and_then(|cells| tell(cells, "grid, a queue of one second"))?;
    // No goals: a queue that is longer than the first patience.
    for (patience, what) in [(None, "the first deadline"), (Some(Span::from_secs(30)), "a first deadline of 30 s")] {
        let cells = grid_of(test, policy, Some(1_024), patience)?;
        let _above = tell(cells, &format!("grid, a queue of 1024 set-ups, {what}"));
    }
    Ok(())
}

fn grid_of(test: bool, policy: &str, queue: Option<u32>, patience: Option<Span>) -> Result<Vec<Cell>, Box<dyn Error>> {
    let mut cells = Vec::new();
    for capacity_per_s in [50, 200, 1_000, 5_000] {
        for outage_s in [0, 1, 5, 30, 120, 600] {
            for slots in [1, 16, 64] {
                if test && (outage_s, slots) != (5, 64) {
                    continue;
                }
                let (queue, outage) = (queue.unwrap_or(capacity_per_s), Span::from_secs(outage_s));
                let world = World { clients: 20_480, slots, capacity_per_s, queue, outage, ..World::default() };
                let contender = Contender::find(policy, slots, patience)?;
                cells.push(Cell::run(&world, &contender, if test { 1 } else { 5 })?);
            }
        }
    }
    Ok(cells)
}

/// 56 worlds beside the grid's slowest, one seed each.
fn neighbours(test: bool, policy: &str) -> Done {
    let contender = Contender::find(policy, 1, None)?;
    let mut cells = Vec::new();
    for clients in [18_000, 19_000, 20_000, 20_480, 21_000, 22_000, 23_000] {
        for outage_s in [90, 100, 110, 115, 120, 125, 130, 140] {
            if test && (clients, outage_s) != (18_000, 90) {
                continue;
            }
            let outage = Span::from_secs(outage_s);
            let world = World { clients, slots: 1, capacity_per_s: 200, queue: 200, outage, ..World::default() };
            cells.push(Cell::run(&world, &contender, 1)?);
        }
    }
    tell(cells, "neighbours of C = 200, D = 120 s, P = 1")
}

/// The means of figures over the seeds; an error if a run has not all of them.
fn means<const K: usize>(
    world: &World,
    contender: &Contender,
    seeds: u64,
    of: [fn(&Figures) -> Option<f64>; K],
) -> Result<[f64; K], Box<dyn Error>> {
    let mut sums = [0.0; K];
    for seed in 1..=seeds {
        let figures = run(world, contender, seed)?;
        for (sum, of) in sums.iter_mut().zip(of) {
            *sum += of(&figures).ok_or("a fleet that never came back has no mean")?;
        }
    }
    Ok(sums.map(|sum| sum / seeds as f64))
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
const KD: [u32; 6] = [60_000, 80_000, 85_000, 90_000, 100_000, 120_000];

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
            let of: [fn(&Figures) -> Option<f64>; 2] = [|run| run.mean_s, |run| run.p99_s];
            let [mean_s, p99_s] = means(&lone, &contender(1)?, seeds, of)?;
            let [dials] = means(&hole, &contender(1)?, seeds, [|run| Some(dials(run))])?;
            let ka = f64::from(ka) / 1e6;
            println!("{connect_s:>7} s  {ka:>4}  {mean_s:>7.2} {p99_s:>7.2}  {dials:>6.1}");
            points.push(Point { ka, dials, p99_s });
        }
        lines.push((connect_ms, points));
    }
    if !test {
        draw(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/trade-off.svg")), &lines)?;
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
            let [p99_s] = means(&lone_refused, &contender(1)?, seeds, [|run| run.p99_s])?;
            let of: [fn(&Figures) -> Option<f64>; 3] =
                [|run| Some(run.peak_offered_ratio_after_10s), |run| run.makespan_ratio, |run| Some(dials(run))];
            let [peak, ratio, dials] = means(&fleet, &contender(16)?, seeds, of)?;
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
        let world = World { clients, slots, ..World::default() };
        let figures = run(&world, &Contender::find("relink", slots, None)?, 1)?;
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
