//! How the run looks while it goes on: one line that moves on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::server::Weather;

/// The run at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Snapshot {
    /// What the server does to its clients.
    pub weather: Weather,
    /// Since the run began.
    pub elapsed: Duration,
    /// Links with a session.
    pub online: usize,
    /// Links whose dial has been started and not answered.
    pub dialing: usize,
    /// Links that wait until they may dial.
    pub waiting: usize,
    /// Dials started in the last second.
    pub dials_per_s: f64,
    /// Workers that have been served since the weather changed.
    pub served: usize,
    /// All workers.
    pub workers: usize,
    /// When the next dial is due; none when no dial is waited for.
    pub next_dial_in: Option<Duration>,
}

/// Shows the run on standard error, which leaves standard output to the result.
pub struct View {
    surface: Surface,
    /// The weather that the last line that stays was about, and how far the service was seen to be back in it.
    said: Option<(Weather, Vec<Progress>)>,
}

enum Surface {
    /// Redrawn in place; lines that stay scroll away above it.
    Terminal(ProgressBar),
    /// Lines that stay, and nothing else.
    Plain(Box<dyn Write + Send>),
    Quiet,
}

/// How far the service is back; its changes are worth a line that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Down,
    Recovering,
    Served,
}

impl View {
    /// A view on standard error, or none at all when `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self::on(if quiet {
            Surface::Quiet
        } else if io::stderr().is_terminal() {
            Surface::Terminal(bar(ProgressDrawTarget::stderr()))
        } else {
            Surface::Plain(Box::new(io::stderr()))
        })
    }

    const fn on(surface: Surface) -> Self {
        Self { surface, said: None }
    }

    /// Shows the run as it is now. May be called as often as one likes: a terminal is redrawn at
    /// most 20 times a second, and a plain line is printed only when the state has changed.
    pub fn show(&mut self, now: &Snapshot) {
        let changed = self.is_news(now);
        match &mut self.surface {
            Surface::Terminal(bar) => {
                if changed {
                    bar.println(line(now));
                }
                bar.set_length(count(now.workers));
                bar.set_position(count(now.served));
                bar.set_prefix(format!("{} {}", clock(now.elapsed), now.weather.name()));
                bar.set_message(links(now));
            }
            Surface::Plain(out) if changed => {
                // A reader that has gone away is no reason to stop the run.
                let _ = writeln!(out, "{}", line(now));
            }
            Surface::Plain(_) | Surface::Quiet => {}
        }
    }
}

impl View {
    /// Whether this was not yet said of this weather: a server that flaps would be news without end.
    fn is_news(&mut self, now: &Snapshot) -> bool {
        let progress = now.progress();
        match &mut self.said {
            Some((weather, said)) if *weather == now.weather => {
                let news = !said.contains(&progress);
                if news {
                    said.push(progress);
                }
                news
            }
            said => {
                *said = Some((now.weather, vec![progress]));
                true
            }
        }
    }
}

impl Drop for View {
    /// Leaves the terminal as it was, but for the lines that stay.
    fn drop(&mut self) {
        if let Surface::Terminal(bar) = &self.surface {
            bar.finish_and_clear();
        }
    }
}

impl Snapshot {
    const fn progress(&self) -> Progress {
        if self.online == 0 {
            Progress::Down
        } else if self.served < self.workers {
            Progress::Recovering
        } else {
            Progress::Served
        }
    }
}

fn bar(target: ProgressDrawTarget) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), target);
    // The template is fixed and a test draws it: were it refused, indicatif's own would do.
    if let Ok(style) = ProgressStyle::with_template("{prefix:28} {pos:>2.green}/{len} served  {msg}") {
        bar.set_style(style);
    }
    bar
}

/// All of it in one line, for a log.
fn line(now: &Snapshot) -> String {
    let clock = clock(now.elapsed);
    format!("{clock} {:<20} {:>2}/{} served, {}", now.weather.name(), now.served, now.workers, links(now))
}

fn links(now: &Snapshot) -> String {
    let Snapshot { online, dialing, waiting, dials_per_s, next_dial_in, .. } = now;
    let next = next_dial_in.map_or_else(String::new, |next| format!(", next {:.1} s", next.as_secs_f64()));
    format!("{online} online, {dialing} dialing, {waiting} waiting, {dials_per_s:.1} dials/s{next}")
}

fn clock(elapsed: Duration) -> String {
    format!("{:>5.1} s", elapsed.as_secs_f64())
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use indicatif::InMemoryTerm;

    use super::*;

    const DOWN: Snapshot = Snapshot {
        weather: Weather::Refuse,
        elapsed: Duration::from_millis(1_234),
        online: 0,
        dialing: 1,
        waiting: 15,
        dials_per_s: 2.04,
        served: 0,
        workers: 64,
        next_dial_in: Some(Duration::from_millis(750)),
    };
    const DOWN_LINE: &str =
        "  1.2 s refused               0/64 served, 0 online, 1 dialing, 15 waiting, 2.0 dials/s, next 0.8 s";

    #[test]
    fn a_plain_line_is_printed_when_the_state_changes_and_only_then() {
        let out = Shared::default();
        let mut view = View::on(Surface::Plain(Box::new(out.clone())));
        view.show(&DOWN);
        view.show(&Snapshot { elapsed: Duration::from_secs(2), dials_per_s: 3.0, ..DOWN });
        let back = Snapshot { weather: Weather::Fair, next_dial_in: None, ..DOWN };
        view.show(&back);
        view.show(&Snapshot { online: 1, served: 1, ..back });
        view.show(&Snapshot { online: 9, served: 40, ..back });
        view.show(&Snapshot { online: 16, served: 64, ..back });
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert_eq!(lines.first(), Some(&DOWN_LINE));
        assert!(lines.get(3).unwrap().contains("64/64 served, 16 online"), "{text}");
    }

    #[test]
    fn a_terminal_shows_the_present_below_the_lines_that_stay() {
        let term = InMemoryTerm::new(10, 160);
        let mut view = View::on(Surface::Terminal(bar(ProgressDrawTarget::term_like(Box::new(term.clone())))));
        view.show(&DOWN);
        let back = Snapshot { weather: Weather::Fair, online: 8, served: 32, ..DOWN };
        view.show(&back);
        let (Surface::Terminal(bar), shown) = (&view.surface, "32/64 served  8 online, 1 dialing") else {
            unreachable!("the surface was given above")
        };
        // Drawn now, whatever the rate.
        bar.force_draw();
        assert!(term.contents().contains(DOWN_LINE), "{}", term.contents());
        assert!(term.contents().contains(shown), "{}", term.contents());
        drop(view);
        assert!(term.contents().contains(DOWN_LINE) && !term.contents().contains(shown), "{}", term.contents());
    }

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
