//! The goals of storms: on twins of 10⁶ connections, N/C as there, where it takes no time.

use relink::{Policy, Ratio, Span};
use relink_model::{
    bounds,
    simulate::{self, BIN, Contender, Figures, Kind, Scenario, World},
};

use super::world;

fn of_seeds(world: &World, contender: &Contender) -> Vec<Figures> {
    world.check().unwrap();
    (1..=5).map(|seed| simulate::run(world, contender, seed, &mut |_| {}).figures).collect()
}

fn mean(runs: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    runs.iter().map(of).sum::<f64>() / runs.len() as f64
}

fn dials(run: &Figures) -> f64 {
    run.dials_per_slot_outage + run.dials_per_slot_after
}

/// The goals of a million connections; of P = 1 the dials after the return, of others all of them.
fn twin(slots: u16) -> Vec<Figures> {
    let contender = Contender::named("relink", slots, None).unwrap().unwrap();
    let runs = of_seeds(&world(10_240, slots, 10, 10), &contender);
    assert!(runs.iter().all(|run| run.recovered), "{runs:?}");
    runs
}

fn ratio(run: &Figures) -> f64 {
    run.makespan_ratio.unwrap()
}

#[test]
fn a_million_in_processes_of_16_are_back_in_time_with_few_dials_and_a_low_peak() {
    let runs = twin(16);
    assert!(runs.iter().all(|run| ratio(run) <= 1.25), "{runs:?}");
    assert!(runs.iter().all(|run| dials(run) <= 5.0), "{runs:?}");
    assert!(runs.iter().all(|run| run.peak_offered_ratio_after_10s <= 30.0), "{runs:?}");
}

#[test]
fn a_million_in_processes_of_64_are_back_in_time_with_few_dials() {
    let runs = twin(64);
    assert!(runs.iter().all(|run| ratio(run) <= 1.1 && dials(run) <= 2.0), "{runs:?}");
}

#[test]
fn a_million_alone_are_back_in_time_with_few_dials() {
    let runs = twin(1);
    assert!(runs.iter().all(|run| ratio(run) <= 1.4 && run.dials_per_slot_after <= 11.0), "{runs:?}");
}

#[test]
fn costly_rejections_and_a_long_queue_delay_a_fleet_no_longer_than_the_goals_say() {
    let contender = Contender::named("relink", 16, None).unwrap().unwrap();
    let scenario = |name| Scenario::find(name).unwrap().world();
    let rejecting = World { clients: 10_240, capacity_per_s: 10, queue: 10, ..scenario("s2") };
    let runs = of_seeds(&rejecting, &contender);
    assert!(runs.iter().all(|run| ratio(run) <= 1.75), "{runs:?}");
    let runs = of_seeds(&World { clients: 16_000, capacity_per_s: 32, queue: 655, ..scenario("s3") }, &contender);
    assert!(runs.iter().all(|run| ratio(run) <= 2.5), "{runs:?}");
}

#[test]
fn one_process_is_back_as_soon_as_the_goals_say() {
    let contender = Contender::named("relink", 1, None).unwrap().unwrap();
    let small = Scenario::find("small-fleet").unwrap().world();
    let p99_s = |world: &World| mean(&of_seeds(world, &contender), |run| run.p99_s.unwrap());
    assert!(p99_s(&World { outage: Span::from_secs(5), ..small }) <= 0.8);
    assert!(p99_s(&small) <= 0.15 * 30.0);
    let silent = World { kind: Kind::Silence, ..small };
    assert!(p99_s(&silent) <= 8.0);
    assert!(mean(&of_seeds(&silent, &contender), |run| run.mean_s.unwrap()) <= 3.0);
}

/// A goal that any policy keeps would say nothing.
#[test]
fn other_numbers_miss_the_goals() {
    let with = |policy: Policy, slots| Contender::new("other".into(), policy, slots, None).unwrap();
    let (mut eager, mut hard) = (Policy::default(), Policy::default());
    eager.kd = Ratio::from_millionths(60_000);
    let runs = of_seeds(&world(10_240, 16, 10, 10), &with(eager, 16));
    assert!(runs.iter().all(|run| dials(run) > 5.0), "{runs:?}");
    hard.kcap = Ratio::from_millionths(0);
    let runs = of_seeds(&world(10_240, 1, 10, 10), &with(hard, 1));
    assert!(runs.iter().all(|run| run.dials_per_slot_after > 11.0), "{runs:?}");
}

/// What flapping for 10 minutes may cost: hi·wd until a dial, and as long again as the first session is on trial.
#[test]
fn a_process_is_back_from_flapping_as_soon_as_its_windows_allow() {
    let world = Scenario::find("flap").unwrap().world();
    let contender = Contender::named("relink", world.slots, None).unwrap().unwrap();
    let dials_max = bounds::flapping_max(&contender.policy, world.outage) as f64;
    let first_bin = usize::try_from(world.outage.as_millis() / BIN.as_millis()).unwrap();
    let mut firsts = Vec::new();
    for seed in 1..=100 {
        let outcome = simulate::run(&world, &contender, seed, &mut |_| {});
        let after = outcome.bins.iter().skip(first_bin).position(|bin| bin.online > 0).unwrap();
        let first_s = (after + 1) as f64 * BIN.as_millis() as f64 / 1e3;
        assert!(first_s <= 43.0, "seed {seed}: {first_s} s");
        let makespan_s = outcome.figures.makespan_s.unwrap();
        assert!(makespan_s <= first_s + 30.1, "seed {seed}: {makespan_s} s, the first after {first_s} s");
        assert!(outcome.figures.dials_per_slot_outage * f64::from(world.slots) <= dials_max, "seed {seed}");
        firsts.push(first_s);
    }
    let mean = firsts.iter().sum::<f64>() / firsts.len() as f64;
    let [least, most] = [f64::min, f64::max].map(|pick| firsts.iter().copied().reduce(pick).unwrap());
    println!("the first session after flapping: {mean:.1} s ({least:.1}–{most:.1})");
}
