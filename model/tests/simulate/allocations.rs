//! No event of a run allocates: what a run needs it has from the beginning, or soon after.

use relink::Span;
use relink_model::simulate::{self, Contender, Overflow, World};

use super::world;

#[test]
fn a_run_of_twice_the_events_allocates_hardly_more_often() {
    let contender = Contender::named("full", 1, None).unwrap().unwrap();
    // Rejections that cost something: nobody is back, and everybody dials for as long as the run lasts.
    let never = World { overflow: Overflow::Reject, ..world(10_240, 1, 10, 10) };
    let after = |horizon_s| {
        let world = World { horizon: Some(Span::from_secs(horizon_s)), ..never };
        let mut events = 0;
        let counted = allocation_counter::measure(|| {
            events = simulate::run(&world, &contender, 1, &mut |_| {}).figures.events;
        });
        (events, counted.count_total)
    };
    let ((events, allocations), (twice, more)) = (after(300), after(600));
    assert!(twice > events * 3 / 2 && events > 500_000, "{events} and {twice} events");
    // A vector that doubles: the record's, one bin every 100 ms, and the queue's.
    assert!(more - allocations < 100, "{allocations} allocations, {more} in {} events more", twice - events);
}
