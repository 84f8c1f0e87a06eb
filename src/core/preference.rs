//! Who would rather have a standby: a primary that answers is passed over once in a while, for then every other endpoint has
//! its turn.

use super::{
    frame::Frame,
    time::{Span, Time},
};

/// When a primary was last passed over by who would rather have a standby.
///
/// ```
/// use relink::{Preference, Span, Time};
/// let (mut preference, window) = (Preference::default(), Span::from_secs(600));
/// let mut passes_over = |second: u64| preference.passes_over(Time::from_millis(1_000 * second), window);
/// assert!(passes_over(5));
/// assert!(!passes_over(5), "the others have had their turn");
/// assert!(!passes_over(604));
/// assert!(passes_over(605), "a standby may be back");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Preference {
    passed_over: Option<Time>,
}

impl Preference {
    /// Whether to pass over the primary that has answered a dial now: once in each `window`. In the rest of it, `[0, window)`
    /// from then on, it is taken.
    #[must_use]
    pub fn passes_over(&mut self, now: Time, window: Span) -> bool {
        let passes = !self.is_lately(now, window);
        if passes {
            self.passed_over = Some(now);
        }
        passes
    }

    fn is_lately(self, now: Time, window: Span) -> bool {
        self.passed_over.is_some_and(|at| now - at < window)
    }

    /// The same as `frame` shows it.
    #[must_use]
    pub fn seen_from(self, window: Span, frame: &Frame<'_>) -> Self {
        let lately = self.passed_over.filter(|_| self.is_lately(frame.now, window));
        Self { passed_over: lately.map(|at| frame.since(at, window)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Span = Span::from_secs(600);

    fn second(second: u64) -> Time {
        Time::from_millis(1_000 * second)
    }

    #[test]
    fn a_primary_is_passed_over_once_in_each_window() {
        let mut preference = Preference::default();
        let at = [5, 5, 604, 605, 606, 9_000].map(|at| preference.passes_over(second(at), WINDOW));
        assert_eq!(at, [true, false, false, true, false, true]);
    }

    #[test]
    fn a_frame_shows_what_is_left_of_the_window() {
        let (mut preference, origin) = (Preference::default(), second(10_000));
        assert!(preference.passes_over(second(5), WINDOW));
        let seen_at = |now: u64| {
            let frame = Frame { now: second(now), origin, dials: &[], leases: &[], topology: 0 };
            preference.seen_from(WINDOW, &frame)
        };
        let mut seen = seen_at(604);
        assert!(!seen.passes_over(origin, WINDOW), "a second is left of it");
        assert!(seen.passes_over(second(10_001), WINDOW), "and then it is over");
        assert_eq!(seen_at(605), Preference::default(), "what is over is forgotten");
    }
}
