//! B3: how long a peer that a caller waits on can be silent until it is noticed.

use relink::{
    Checked, DialId, LeaseId, Span, Time, Work,
    link::{Command, Event, Lease, Link, Session},
};

use super::fleet::longest_waits;

/// B3: from the last sign of life of a statement to the abort of its session, when no question about it is answered.
/// `None` if the policy has no patience to lose.
///
/// ```
/// use relink::{Policy, Span};
/// let policy = Policy::default().check()?;
/// // The patience, 1 s, and two questions of 2 s each.
/// assert_eq!(relink_model::bounds::silence_max(&policy), Some(Span::from_secs(5)));
/// # Ok::<(), relink::policy::PolicyError>(())
/// ```
pub fn silence_max(policy: &Checked) -> Option<Span> {
    let dial = DialId::new(0, 0);
    let session = Session { dial, stable_at: Time::ZERO, retire_at: Time::NEVER, topology: 0 };
    let work = Work::Statement { durable: true };
    let heard_at = Time::ZERO;
    let lease = Lease { id: LeaseId(0), work, warn_at: Time::NEVER, heard_at };
    let mut link = Link::Leased { session, lease };
    loop {
        let now = link.timeout(policy);
        if now == Time::NEVER {
            return None;
        }
        let (next, command) = link.step(policy, now, Event::Elapsed);
        match command {
            Some(Command::Abort(_)) => return Some(now - Time::ZERO),
            // The driver looks at once: the statement is in flight, and nothing has come since.
            Some(Command::Look(id)) => (link, _) = next.step(policy, now, Event::Worked { lease: id, work, heard_at }),
            // Nobody can be asked, or nobody answers.
            None => link = next,
            Some(Command::Close(_) | Command::Probe { .. } | Command::Reset { .. } | Command::Inquire { .. }) => {
                return None;
            }
            Some(Command::Ask { .. } | Command::Warn(_)) => return None,
        }
    }
}

/// B3 while the endpoint shows overload and has no idle session to ask through: the session that asks has to be dialed
/// first, after the longest wait that overload can have taught and with the longest deadline.
pub fn silence_max_overloaded(policy: &Checked) -> Option<Span> {
    let (_, most) = longest_waits(policy)?;
    Some(silence_max(policy)? + most + policy.dial_deadline_max)
}
