//! Pictures of runs: what was offered to the servers against what they can do, and who was connected.

use std::{fmt, path::Path};

use plotters::{
    coord::Shift,
    prelude::*,
    style::{FontStyle, register_font},
};
use relink::Ratio;

use super::{
    meter::{BIN, Bin},
    run::Outcome,
    world::{FLAP, Kind, Overflow, Story, World},
};

const FONT: &str = "sans-serif";
const WIDTH: u32 = 1_200;
const ROW: u32 = 300;
const HEADER: u32 = 40;

/// No more points than pixels.
const POINTS_MAX: usize = 500;

/// Below this share of the capacity a load is drawn as none, or below this share of the highest load, if that is less.
const FLOOR: f64 = 0.01;

const OFFERED: RGBColor = RGBColor(200, 70, 30);
const ONLINE: RGBColor = RGBColor(20, 110, 90);
const AWAY: RGBColor = RGBColor(225, 225, 225);

/// A picture that could not be made.
#[derive(Debug)]
pub struct PlotError(String);

impl fmt::Display for PlotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PlotError {}

/// Whether a picture can be made of this name.
pub fn is_picture(path: &Path) -> bool {
    format(path).is_some()
}

#[derive(Clone, Copy)]
enum Format {
    Svg,
    Png,
}

fn format(path: &Path) -> Option<Format> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "svg" => Some(Format::Svg),
        "png" => Some(Format::Png),
        _ => None,
    }
}

/// Writes a picture of these runs, one panel each, to a file that ends in `.svg` or `.png`.
///
/// # Errors
/// When the file has another ending, or cannot be written.
pub fn plot(path: &Path, world: &World, runs: &[&Outcome]) -> Result<(), PlotError> {
    let failed = |error: String| PlotError(format!("{}: {error}", path.display()));
    match format(path) {
        Some(Format::Svg) => {
            svg(world, runs).and_then(|text| std::fs::write(path, text).map_err(|error| failed(error.to_string())))
        }
        Some(Format::Png) => {
            let root = BitMapBackend::new(path, size(runs)).into_drawing_area();
            draw(&root, world, runs).map_err(|error| failed(error.to_string()))
        }
        None => Err(failed("must end in .svg or .png".to_owned())),
    }
}

/// The same picture as the text of an SVG.
///
/// # Errors
/// When it cannot be drawn, which has not been seen.
pub fn svg(world: &World, runs: &[&Outcome]) -> Result<String, PlotError> {
    let mut text = String::new();
    let root = SVGBackend::with_string(&mut text, size(runs)).into_drawing_area();
    draw(&root, world, runs).map_err(|error| PlotError(error.to_string()))?;
    drop(root);
    Ok(text)
}

fn size(runs: &[&Outcome]) -> (u32, u32) {
    (WIDTH, HEADER + ROW * u32::try_from(runs.len()).unwrap_or(u32::MAX / ROW))
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw<DB>(root: &DrawingArea<DB, Shift>, world: &World, runs: &[&Outcome]) -> Drawn
where
    DB: DrawingBackend<ErrorType: 'static>,
{
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).map_err(|_| "the font cannot be read")?;
    root.fill(&WHITE)?;
    let (header, rest) = root.split_vertically(HEADER);
    header.draw_text(&heading(world), &(FONT, 20).into_text_style(root), (20, 12))?;
    let axes = Axes::of(world, runs);
    for (area, run) in rest.split_evenly((runs.len().max(1), 1)).iter().zip(runs) {
        let (left, right) = area.split_horizontally(WIDTH * 3 / 5);
        offered(&left, world, run, &axes)?;
        online(&right, world, run, &axes)?;
    }
    root.present()?;
    Ok(())
}

/// What happens, in a line.
fn heading(world: &World) -> String {
    let World { clients, outage, .. } = world;
    let sets_up = sets_up(world);
    match (world.story, world.kind) {
        (Story::Outage, Kind::Refuse | Kind::Silence) => {
            format!("{clients} connections lose their server for {outage} (grey); back, {sets_up}")
        }
        (Story::Outage, Kind::Flap) => {
            format!(
                "{clients} connections; for {outage} (grey) the server ends each {FLAP} after its set-up; {sets_up}"
            )
        }
        (Story::Failover, _) => {
            format!("{clients} connections lose their primary; after {outage} (grey) there is another, and {sets_up}")
        }
        (Story::RollingRestart, _) => {
            let processes = clients / u32::from(world.slots.max(1));
            format!(
                "{processes} processes are replaced one after the other within {outage}; the server stays, {sets_up}"
            )
        }
    }
}

/// What the server does while it serves.
fn sets_up(world: &World) -> String {
    let sets_up = format!("it sets up {} a second", world.capacity_per_s);
    match world.overflow {
        Overflow::Reject | Overflow::Hint if world.reject_cost > Ratio::default() => {
            format!("{sets_up}, and to reject one is {} of that work", world.reject_cost)
        }
        Overflow::Drop | Overflow::Rst | Overflow::Reject | Overflow::Hint => sets_up,
    }
}

/// A policy's name as it is read by who has not chosen it.
fn title(policy: &str) -> &str {
    match policy {
        "constant" => "the same wait every time",
        "exponential" => "exponential backoff without jitter",
        "full" => "exponential backoff with full jitter",
        "equal" => "exponential backoff with equal jitter",
        "decorrelated" => "decorrelated jitter",
        "grpc" => "gRPC's backoff",
        own => own,
    }
}

/// What the panels have in common, so that they can be compared at a glance.
struct Axes {
    end_s: f64,
    offered_min: f64,
    offered_max: f64,
}

impl Axes {
    fn of(world: &World, runs: &[&Outcome]) -> Self {
        let longest = runs.iter().map(|run| run.bins.len()).max().unwrap_or(0) as f64 * seconds(BIN.as_millis());
        // Who is not back after three times the least possible is seen not to be; where something else is waited for, after a minute
        // and a half.
        let least = if world.waits_for_capacity() { 3.0 * world.ideal_s() } else { 60.0 };
        let end_s = longest.min(seconds(world.outage.as_millis()) + least + 30.0).max(1.0);
        let offered = runs.iter().flat_map(|run| points(&run.bins, end_s, world)).map(|point| point.offered);
        let highest = offered.fold(0.0, f64::max);
        let offered_min = if highest > 0.0 { FLOOR.min(highest * FLOOR) } else { FLOOR };
        Self { end_s, offered_min, offered_max: highest.max(2.0) * 2.0 }
    }
}

/// The time in which the server is not what it should be, in grey; none where it always is.
fn grey(world: &World, axes: &Axes, low: f64, high: f64) -> Option<Rectangle<(f64, f64)>> {
    let outage = seconds(world.outage.as_millis()).min(axes.end_s);
    (world.story != Story::RollingRestart).then(|| Rectangle::new([(0.0, low), (outage, high)], AWAY.filled()))
}

fn since(world: &World) -> &'static str {
    match world.story {
        Story::Outage | Story::Failover => "seconds since the loss",
        Story::RollingRestart => "seconds since the first is replaced",
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1e3
}

struct Point {
    at_s: f64,
    until_s: f64,
    offered: f64,
    /// The most sessions at the end of a bin, as a share of all.
    online: f64,
}

/// The bins up to `end_s`, as many together as make a second or a pixel.
fn points(bins: &[Bin], end_s: f64, world: &World) -> Vec<Point> {
    let bin_s = seconds(BIN.as_millis());
    let shown = bins.iter().zip(0_u32..).take_while(|(_, place)| f64::from(*place) * bin_s < end_s).count();
    let together = shown.div_ceil(POINTS_MAX).max(1_000 / usize::try_from(BIN.as_millis()).unwrap_or(1));
    let shown = bins.get(..shown).unwrap_or(bins);
    let group = |(bins, place): (&[Bin], usize)| {
        let offered: f64 = bins.iter().map(|bin| f64::from(bin.offered)).sum();
        Point {
            at_s: (place * together) as f64 * bin_s,
            until_s: (place * together + bins.len()) as f64 * bin_s,
            offered: offered / (bins.len() as f64 * bin_s) / f64::from(world.capacity_per_s),
            // Not the last: on a flapping server sessions are shorter than a point.
            online: bins.iter().map(|bin| f64::from(bin.online) / f64::from(world.clients)).fold(0.0, f64::max),
        }
    };
    shown.chunks(together).zip(0..).map(group).collect()
}

fn caption(world: &World, run: &Outcome) -> String {
    let figures = &run.figures;
    let title = title(&figures.policy);
    let Some((makespan, ratio)) = figures.makespan_s.zip(figures.makespan_ratio) else {
        let online = run.bins.last().map_or(0.0, |bin| f64::from(bin.online) / f64::from(world.clients));
        let after = world.ends_after() - world.outage;
        // Rounded down: nearly all are not all.
        return format!("{title}: {} % back after {after}", (online * 100.0).floor());
    };
    let least = if world.waits_for_capacity() { format!(", {ratio:.2} × the least possible") } else { String::new() };
    let dials = figures.dials_per_slot_outage + figures.dials_per_slot_after;
    format!("{title}: all back after {makespan:.0} s{least}; {dials:.1} dials each")
}

fn offered<DB>(area: &DrawingArea<DB, Shift>, world: &World, run: &Outcome, axes: &Axes) -> Drawn
where
    DB: DrawingBackend<ErrorType: 'static>,
{
    let caption = caption(world, run);
    let mut chart = ChartBuilder::on(area)
        .caption(caption, (FONT, 15))
        .margin(8)
        .x_label_area_size(32)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..axes.end_s, (axes.offered_min..axes.offered_max).log_scale())?;
    chart.draw_series(grey(world, axes, axes.offered_min, axes.offered_max))?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(since(world))
        .x_label_formatter(&|at| format!("{at}"))
        .y_desc("SYNs offered ÷ capacity")
        .y_labels(6)
        .y_label_formatter(&|value| format!("{value}"))
        .label_style((FONT, 12))
        .draw()?;
    let points = points(&run.bins, axes.end_s, world);
    let line = || points.iter().map(|point| (point.at_s, point.offered.max(axes.offered_min)));
    chart.draw_series(AreaSeries::new(line(), axes.offered_min, OFFERED.mix(0.25)).border_style(OFFERED))?;
    chart.draw_series([PathElement::new([(0.0, 1.0), (axes.end_s, 1.0)], BLACK.stroke_width(1))])?;
    chart.draw_series([Text::new("capacity", (axes.end_s * 0.9, 2.0), (FONT, 12).into_font())])?;
    Ok(())
}

fn online<DB>(area: &DrawingArea<DB, Shift>, world: &World, run: &Outcome, axes: &Axes) -> Drawn
where
    DB: DrawingBackend<ErrorType: 'static>,
{
    let caption = if world.waits_for_capacity() { "connected (thin: the best there can be)" } else { "connected" };
    let mut chart = ChartBuilder::on(area)
        .caption(caption, (FONT, 15))
        .margin(8)
        .x_label_area_size(32)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..axes.end_s, 0.0..1.0)?;
    chart.draw_series(grey(world, axes, 0.0, 1.0))?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(since(world))
        .x_label_formatter(&|at| format!("{at}"))
        .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
        .label_style((FONT, 12))
        .draw()?;
    let full = f64::from(world.target()) / f64::from(world.clients);
    let outage = seconds(world.outage.as_millis()).min(axes.end_s);
    if world.waits_for_capacity() {
        let ideal = [(outage, 0.0), (outage + world.ideal_s(), full), (axes.end_s, full)];
        let ideal = ideal.map(|(at, share)| (at.min(axes.end_s), share));
        chart.draw_series([PathElement::new(ideal, BLACK.stroke_width(1))])?;
    }
    let points = points(&run.bins, axes.end_s, world);
    // A run ends when everybody is back; they stay. Who is not back by then is not shown to be.
    let back = run.figures.makespan_s.is_some_and(|makespan| outage + makespan <= axes.end_s);
    let last = points.last().map(|point| (axes.end_s, if back { full } else { point.online }));
    // At the end of its time: whoever is back within it was not before.
    let line = points.iter().map(|point| (point.until_s.min(axes.end_s), point.online)).chain(last);
    chart.draw_series(LineSeries::new(line, ONLINE.stroke_width(2)))?;
    Ok(())
}
