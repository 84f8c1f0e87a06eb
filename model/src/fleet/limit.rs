//! How large a fleet may be before its rejected dials alone keep a server busy for ever.

use relink::{Backoff, Checked, Ratio, Span};

use super::server::Server;

/// W⁺: the longest window that a policy can reach, of absence or of overload; for a classic policy its cap.
pub fn window_max(policy: &Checked) -> Span {
    match policy.backoff {
        Backoff::Relink => {
            let age = policy.elapsed_max;
            let down = policy.down_window(age).max(policy.ambiguous_window(age));
            policy.w0.max(down).max(policy.cap(age))
        }
        Backoff::Constant { wait } => wait,
        Backoff::Exponential { cap, .. }
        | Backoff::FullJitter { cap, .. }
        | Backoff::EqualJitter { cap, .. }
        | Backoff::DecorrelatedJitter { cap, .. } => cap,
        // 100 s and a fifth of it either way.
        Backoff::Grpc => Span::from_secs(100),
    }
}

/// The longest wait after a failed dial: `hi·W⁺`.
pub fn wait_max(policy: &Checked) -> Span {
    match policy.backoff {
        Backoff::Relink => policy.jitter(window_max(policy), u64::MAX),
        Backoff::Grpc => Span::from_secs(120),
        Backoff::Constant { .. }
        | Backoff::Exponential { .. }
        | Backoff::FullJitter { .. }
        | Backoff::EqualJitter { .. }
        | Backoff::DecorrelatedJitter { .. } => window_max(policy),
    }
}

/// The sure limit: whether `contenders` processes whose rejected dials cost work keep a busy server busy for ever,
/// whatever the coin does. Even if each waits as long as it ever does, `contenders · reject ≥ capacity · hi·W⁺`.
///
/// Of N processes that meet an idle server one is served at once, and N − 1 contend. All N do if their sessions die
/// while the server is still busy with what came before.
///
/// `None` for a server whose rejects cost nothing or that does not reject.
pub fn livelocks(contenders: u64, policy: &Checked, server: Server) -> Option<bool> {
    match server {
        Server::Rejects { capacity, reject, .. } if reject > 0 => {
            let done = u64::from(capacity).saturating_mul(wait_max(policy).as_millis());
            Some(contenders.saturating_mul(u64::from(reject)) >= done)
        }
        Server::Rejects { .. } | Server::Collapses { .. } | Server::Queues { .. } => None,
    }
}

/// B5: from how many connections on rejected dials keep the server busy on average, `C·W⁺/ρ` processes of `max_size`
/// connections each, so that recovery takes as long as chance likes. `None` where rejects cost nothing.
///
/// `capacity_per_s` set-ups a second, of which a reject is `reject_cost`. With classic policies W⁺ is the cap.
pub fn fleet_max(policy: &Checked, capacity_per_s: u32, reject_cost: Ratio) -> Option<u64> {
    // Work in millionths of a set-up, done in W⁺ at a thousandth of `capacity_per_s` a millisecond.
    let window = match policy.backoff {
        Backoff::Relink => policy.cap(policy.elapsed_max),
        Backoff::Constant { .. }
        | Backoff::Exponential { .. }
        | Backoff::FullJitter { .. }
        | Backoff::EqualJitter { .. }
        | Backoff::DecorrelatedJitter { .. }
        | Backoff::Grpc => window_max(policy),
    };
    let done = u128::from(capacity_per_s) * u128::from(window.as_millis()) * 1_000;
    let processes = done.checked_div(u128::from(reject_cost.as_millionths()))?;
    u64::try_from(processes * u128::from(policy.max_size)).ok()
}
