//! A pacer to take steps in, which is made the state's again after each: a sweep uses two of its eight places.

use relink::pacer::Pacer;

/// A copy of a state's pacer.
pub(super) struct Scratch<'a> {
    state: &'a Pacer,
    pacer: Pacer,
    back: Back,
}

/// How much of a pacer is taken back after a step, and looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Back {
    /// What its parts show. That is as good as all of it for those steps that leave the copy whole.
    Shown,
    /// All of it.
    All,
}

impl<'a> Scratch<'a> {
    pub(super) fn new(state: &'a Pacer, back: Back) -> Self {
        Self { state, pacer: *state, back }
    }

    /// The pacer of the state, for one step.
    #[inline]
    pub(super) fn again(&mut self) -> &mut Pacer {
        match self.back {
            Back::Shown => self.pacer.restore(self.state),
            Back::All => self.pacer = *self.state,
        }
        &mut self.pacer
    }

    /// Whether the last step has made it this one.
    #[inline]
    pub(super) fn has_become(&self, other: &Pacer) -> bool {
        match self.back {
            Back::Shown => self.pacer.shows(other),
            Back::All => self.pacer == *other,
        }
    }

    /// Whether the steps have left, of what the parts do not show, everything as it was: each of them then began at the state.
    pub(super) fn is_whole(&mut self) -> bool {
        self.again();
        self.pacer == *self.state
    }
}

#[cfg(test)]
mod tests {
    use relink::{
        DialId, Fault, Policy, Time,
        pacer::{Event, Pacer},
    };

    use super::{Back, Scratch};

    /// Whether a pacer of so many endpoints is whole after a failed dial of this one.
    fn whole_after_a_failure(endpoints: u8, endpoint: u8, give_up_dials: Option<u32>, back: Back) -> bool {
        let policy = Policy::builder().give_up_dials(give_up_dials).check().unwrap();
        let mut state = Pacer::new(endpoints);
        let _ = state.apply(&policy, Time::ZERO, Event::Requested { endpoint: 0 }, 0);
        let failed = Event::Failed { dial: DialId::new(0, 0), fault: Fault::Refused };
        let _ = state.apply(&policy, Time::ZERO, failed, 0);
        let later = Time::from_millis(1 << 20);
        let _ = state.apply(&policy, later, Event::Requested { endpoint: 0 }, 0);
        let mut scratch = Scratch::new(&state, back);
        let failed = Event::Failed { dial: DialId::new(1, endpoint), fault: Fault::Overloaded };
        let _ = scratch.again().apply(&policy, later, failed, 0);
        assert!(!scratch.has_become(&state) || endpoint > 1);
        scratch.is_whole()
    }

    #[test]
    fn a_step_in_the_places_that_are_shown_is_taken_back() {
        assert!(whole_after_a_failure(2, 0, None, Back::Shown));
        assert!(whole_after_a_failure(2, 1, None, Back::Shown));
    }

    #[test]
    fn the_end_of_patience_which_holds_every_place_is_taken_back() {
        assert!(whole_after_a_failure(2, 0, Some(1), Back::Shown));
    }

    #[test]
    fn a_step_in_another_place_is_told_and_taken_back_with_all_of_it() {
        assert!(!whole_after_a_failure(8, 5, None, Back::Shown));
        assert!(whole_after_a_failure(8, 5, None, Back::All));
    }
}
