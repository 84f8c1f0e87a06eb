//! Links only if no panic can be reached from a step of `Link` or `Pacer`:
//! `cargo build --profile no-panic --no-default-features --features no-panic --bin no_panic`.

use std::hint::black_box;

use relink::{
    DialId, Fault, Policy, Time,
    link::{self, Link},
    pacer::{self, Pacer},
};

fn main() {
    let Ok(policy) = black_box(Policy::default()).check() else { return };
    let (now, dial) = (black_box(Time::from_millis(1)), black_box(DialId::new(0, 0)));
    let failed = pacer::Event::Failed { dial, fault: black_box(Fault::TimedOut) };
    let (pacer, command) = black_box(Pacer::new(2)).step(&policy, now, black_box(failed), black_box(7));
    println!("{:?} {command:?} {:?}", pacer.next(false), pacer.held());
    let (link, command) = black_box(Link::Idle).step(&policy, now, black_box(link::Event::Wanted));
    println!("{link:?} {command:?}");
}
