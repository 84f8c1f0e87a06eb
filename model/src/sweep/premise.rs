//! What a law speaks of: without such a step it would hold in vain.

use relink::{
    Checked, Span, Time,
    link::{self, Command, Link},
    pacer::{self, Parts, WindowParts},
};

use super::{Law, link_law::is_foreign};

/// A step of a pacer.
pub(super) struct Paced<'a> {
    pub(super) policy: &'a Checked,
    pub(super) before: &'a Parts,
    pub(super) event: pacer::Event,
    pub(super) after: &'a Parts,
    pub(super) starts: bool,
}

impl Paced<'_> {
    /// Whether a law has something to say of it.
    pub(super) fn concerns(&self, law: Law) -> bool {
        use pacer::Event::{Abandoned, Failed, Lost, Renewed};
        let Self { policy, before, event, after, starts } = *self;
        let some = |parts: &Parts, is: &dyn Fn(&WindowParts) -> bool| {
            parts.windows.iter().take(usize::from(parts.endpoints)).any(is)
        };
        let lasts = before.lost_at != Time::NEVER && after.lost_at == before.lost_at;
        match law {
            Law::Settling => after.settle_at != Time::NEVER,
            Law::Memory => some(after, &|window| window.seen || window.flapped),
            Law::Ceilings => some(after, &|window| window.over > Span::ZERO || window.rung > Span::ZERO),
            Law::Flights => some(after, &|window| window.in_flight == policy.max_dials),
            Law::Names => some(after, &|window| window.cut > 0),
            Law::Refusals => some(after, &|window| window.refusals >= policy.refusals_max),
            Law::S1 | Law::S13 => starts,
            Law::S3 => some(before, &|window| window.not_before > after.now),
            Law::S3Floor => matches!(event, Failed { .. } | Abandoned { .. } | Lost { unstable: true, .. }),
            Law::S4a => lasts,
            Law::S4b => lasts && some(before, &|window| window.over > Span::ZERO),
            Law::S4c => before.lost_at != Time::NEVER && !lasts,
            Law::S6 => before.endpoints > 1,
            Law::S7 => event != Renewed && some(before, &|window| window.held.is_some()),
            Law::S10 => !some(after, &|window| window.in_flight > 0 || window.held.is_some()),
            Law::Relabel => after.lost_at != Time::NEVER,
            Law::S5 | Law::S8 | Law::S11 | Law::S12 => false,
        }
    }
}

/// Whether a law has something to say of a step of a link.
pub(super) fn concerns(law: Law, link: Link, event: link::Event, (after, command): (Link, Option<Command>)) -> bool {
    use link::Event::{Dialed, Proved};
    match law {
        Law::S5 => is_foreign(link, event) && matches!(event, Dialed { .. }),
        Law::S6 => is_foreign(link, event),
        Law::S8 => after.session().is_some() && matches!(event, Dialed { .. } | Proved { .. }),
        Law::S10 => matches!(command, Some(Command::Probe { .. } | Command::Ask { .. } | Command::Inquire { .. })),
        Law::S11 => matches!(event, link::Event::Stopped { .. }) && after != link,
        Law::S12 => link.lease().is_some() && after.lease().is_none(),
        Law::S13 => matches!((link, after), (Link::Dialing { .. }, Link::Dialing { .. })) && after != link,
        Law::Relabel => after.dial().is_some(),
        Law::Settling | Law::Memory | Law::Ceilings | Law::Flights | Law::Names | Law::Refusals => false,
        Law::S1 | Law::S3 | Law::S3Floor | Law::S4a | Law::S4b | Law::S4c | Law::S7 => false,
    }
}
