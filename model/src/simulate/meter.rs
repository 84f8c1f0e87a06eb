//! What is counted in a run, and the figures that come of it.

use relink::Span;
use serde::Serialize;

use super::world::World;

/// How finely the run is recorded.
pub const BIN: Span = Span::from_millis(100);

const BINS_PER_S: usize = 10;
const BIN_NS: u64 = BIN.as_millis() * 1_000_000;

/// One bin of the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bin {
    /// SYNs that reached a server's address, those that a kernel sent again included.
    pub offered: u32,
    /// Sessions at the end of the bin.
    pub online: u32,
}

/// The figures of one run: one object of the JSON. Times count from the server's return.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Connections of the fleet.
    pub clients: u32,
    /// Connections of one process.
    pub slots: u16,
    /// Set-ups that a server does in a second.
    pub capacity_per_s: u32,
    /// How long the outage lasted.
    pub outage_s: f64,
    /// By its name, or its file.
    pub policy: String,
    /// Whether every connection that there is room for was there at once, before the horizon.
    pub recovered: bool,
    /// When the last one was there.
    pub makespan_s: Option<f64>,
    /// The same, as a multiple of the least possible, connections ÷ capacity.
    pub makespan_ratio: Option<f64>,
    /// When half of them were there.
    pub p50_s: Option<f64>,
    /// When 99 % of them were there.
    pub p99_s: Option<f64>,
    /// How long a connection was away since then, on average; in the table alone.
    #[serde(skip)]
    pub mean_s: Option<f64>,
    /// Dials per connection before the return.
    pub dials_per_slot_outage: f64,
    /// Dials per connection after it.
    pub dials_per_slot_after: f64,
    /// SYNs in the first second, as a multiple of what a server sets up in one.
    pub peak_offered_ratio_first_s: f64,
    /// The same of the worst second that begins 10 s after the return or later.
    pub peak_offered_ratio_after_10s: f64,
    /// The share of the servers' work, since the outage began, that led to no session: done for dials that had been
    /// given up, for rejections, for wrong roles.
    pub wasted_work: f64,
    /// Items that were taken from the simulator's queue.
    pub events: u64,
    /// The same per second of processor time, the building of the fleet included.
    pub events_per_s: f64,
    /// What the chance of this run came from.
    pub seed: u64,
}

#[derive(Debug)]
pub(super) struct Meter {
    pub(super) returns_at: u64,
    target: u32,
    /// Moves the bins so that one begins at the return.
    shift: u64,
    pub(super) bins: Vec<Bin>,
    pub(super) online: u32,
    dials_outage: u64,
    dials_after: u64,
    work: u64,
    wasted: u64,
    /// Connections that were away since the return, each times the nanoseconds of it.
    away: u128,
    /// The time up to which they are counted.
    away_until: u64,
    half_at: Option<u64>,
    most_at: Option<u64>,
    pub(super) all_at: Option<u64>,
    pub(super) events: u64,
}

impl Meter {
    pub(super) fn new(world: &World, returns_at: u64) -> Self {
        Self {
            returns_at,
            target: world.target(),
            shift: (BIN_NS - returns_at % BIN_NS) % BIN_NS,
            bins: Vec::new(),
            online: 0,
            dials_outage: 0,
            dials_after: 0,
            work: 0,
            wasted: 0,
            away: 0,
            away_until: returns_at,
            half_at: None,
            most_at: None,
            all_at: None,
            events: 0,
        }
    }

    fn bin(&mut self, now: u64) -> Option<&mut Bin> {
        let place = usize::try_from((now + self.shift) / BIN_NS).ok()?;
        while self.bins.len() <= place {
            self.bins.push(Bin { offered: 0, online: self.online });
        }
        self.bins.get_mut(place)
    }

    pub(super) fn syn(&mut self, now: u64) {
        if let Some(bin) = self.bin(now) {
            bin.offered += 1;
        }
    }

    pub(super) fn dial(&mut self, now: u64) {
        *if now < self.returns_at { &mut self.dials_outage } else { &mut self.dials_after } += 1;
    }

    pub(super) fn work(&mut self, cost: u64, wasted: bool) {
        self.work += cost;
        self.wasted += if wasted { cost } else { 0 };
    }

    /// A session more, or one less.
    pub(super) fn online(&mut self, now: u64, more: bool) {
        let away = self.target.saturating_sub(self.online);
        self.away += u128::from(away) * u128::from(now.saturating_sub(self.away_until));
        self.away_until = self.away_until.max(now);
        self.online = if more { self.online + 1 } else { self.online.saturating_sub(1) };
        let online = self.online;
        if let Some(bin) = self.bin(now) {
            bin.online = online;
        }
    }

    /// Notes what has been reached by now.
    pub(super) fn look(&mut self, now: u64) {
        if now < self.returns_at {
            return;
        }
        let (online, target) = (u64::from(self.online), u64::from(self.target));
        if self.half_at.is_none() && 2 * online >= target {
            self.half_at = Some(now);
        }
        if self.most_at.is_none() && 100 * online >= 99 * target {
            self.most_at = Some(now);
        }
        if online >= target {
            self.all_at = Some(now);
        }
    }

    pub(super) fn figures(&self, world: &World, policy: &str, seed: u64, cpu_s: f64) -> Figures {
        let since = |at: Option<u64>| at.map(|at| round((at - self.returns_at) as f64 / 1e9));
        let recovered = self.all_at.is_some();
        let makespan_s = since(self.all_at);
        let clients = f64::from(world.clients);
        let mean_s = round(self.away as f64 / 1e9 / f64::from(self.target.max(1)));
        let first = usize::try_from((self.returns_at + self.shift) / BIN_NS).unwrap_or(usize::MAX);
        let later = first.saturating_add(10 * BINS_PER_S);
        Figures {
            clients: world.clients,
            slots: world.slots,
            capacity_per_s: world.capacity_per_s,
            outage_s: world.outage.as_millis() as f64 / 1e3,
            policy: policy.to_owned(),
            recovered,
            makespan_s,
            makespan_ratio: makespan_s.map(|makespan| round(makespan / world.ideal_s())),
            p50_s: since(self.half_at),
            p99_s: since(self.most_at.filter(|_| recovered)),
            mean_s: recovered.then_some(mean_s),
            dials_per_slot_outage: round(self.dials_outage as f64 / clients),
            dials_per_slot_after: round(self.dials_after as f64 / clients),
            peak_offered_ratio_first_s: round(
                self.peak(first, first.saturating_add(1)) / f64::from(world.capacity_per_s),
            ),
            peak_offered_ratio_after_10s: round(self.peak(later, usize::MAX) / f64::from(world.capacity_per_s)),
            wasted_work: round(if self.work == 0 { 0.0 } else { self.wasted as f64 / self.work as f64 }),
            events: self.events,
            events_per_s: (self.events as f64 / cpu_s.max(1e-9)).round(),
            seed,
        }
    }

    /// The most SYNs in a second that begins with one of these bins.
    fn peak(&self, from: usize, to: usize) -> f64 {
        let bins = self.bins.get(from.min(self.bins.len())..).unwrap_or(&[]);
        let seconds = (0..bins.len()).take(to - from).filter_map(|start| bins.get(start..));
        let offered = |bins: &[Bin]| bins.iter().take(BINS_PER_S).map(|bin| u64::from(bin.offered)).sum::<u64>();
        seconds.map(offered).max().unwrap_or(0) as f64
    }
}

/// To six decimals: a nanosecond more or less is no figure.
fn round(figure: f64) -> f64 {
    (figure * 1e6).round() / 1e6
}
