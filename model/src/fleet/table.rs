//! Every state that one process of a fleet can be in, numbered, and what each event makes of each.
//!
//! The states are found once, by the production functions. A fleet then holds a number for each process, which takes two
//! bytes, and its steps look up what the production functions said. Of states that nothing which may happen can ever
//! tell apart (they are bisimilar, with the same chances) only one is kept.

use std::collections::{BTreeMap, HashMap};

use relink::{Checked, Fault};

use super::{
    process::{Process, Rules, Session, gcd, slices},
    server::Answer,
};

/// The number of a process's state among all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u16);

impl Id {
    /// No process.
    pub const NONE: Self = Self(u16::MAX);

    /// The number; past the last one all are the same, which is told at the end.
    fn new(place: usize) -> Self {
        u16::try_from(place).map_or(Self::NONE, Self)
    }

    fn of<T>(self, all: &[T]) -> Option<&T> {
        all.get(usize::from(self.0))
    }
}

/// What the rest of the world sees of one state, and what each event makes of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Row {
    online: bool,
    /// For how many ticks its dial has been on the way, if it is.
    knocking: Option<u8>,
    /// A tick later, with the server down and up.
    ticked: [Id; 2],
    /// By the place of the answer in [`Processes::answers`].
    answered: Vec<Id>,
    lost: Id,
    /// The equally likely outcomes of the draw that it waits for; none if it does not.
    drawn: Vec<Id>,
}

impl Row {
    /// The same row under other names, equal for equal chances.
    fn renamed(&self, names: &[Id]) -> Self {
        let name = |id: Id| id.of(names).copied().unwrap_or(Id::NONE);
        let mut times: BTreeMap<Id, usize> = BTreeMap::new();
        for id in &self.drawn {
            *times.entry(name(*id)).or_default() += 1;
        }
        let common = times.values().fold(0, |common, times| gcd(common, *times));
        Self {
            ticked: self.ticked.map(name),
            answered: self.answered.iter().copied().map(name).collect(),
            lost: name(self.lost),
            drawn: times.iter().flat_map(|(id, times)| std::iter::repeat_n(*id, times / common)).collect(),
            ..*self
        }
    }
}

/// Every state of one process in a world, by number.
#[derive(Clone, Debug)]
pub struct Processes {
    all: Vec<Process>,
    rows: Vec<Row>,
    answers: Vec<Answer>,
}

impl Processes {
    /// All that can become of one process under these answers, whatever the rest of the fleet does, from a session that
    /// is open and stable. `silence` is what a dial has met that has no answer by its deadline; a dial knocks for at
    /// most `latency` ticks.
    ///
    /// `None` if [`slices`] knows none of the policy, or if there are too many states.
    pub fn of(policy: &Checked, answers: &[Answer], silence: Fault, latency: u8) -> Option<Self> {
        let rules = Rules { policy, silence, slices: slices(policy)? };
        let mut known = Known::default();
        known.id(Process::settled(policy));
        let mut rows = Vec::new();
        while let Some(process) = known.all.get(rows.len()).copied() {
            let knocking = match process.session {
                Session::Knocking { late, .. } => Some(late),
                Session::Wanted | Session::Hanging { .. } | Session::Queued { .. } | Session::Online { .. } => None,
            };
            let urgent = process.drawing.is_some() || knocking.is_some_and(|late| late >= latency);
            let ticked = [false, true].map(|up| known.maybe((!urgent).then(|| process.ticked(&rules, up))));
            rows.push(Row {
                online: matches!(process.session, Session::Online { .. }),
                knocking,
                ticked,
                answered: answers.iter().map(|answer| known.maybe(process.answered(&rules, *answer))).collect(),
                lost: known.maybe(process.lost(&rules)),
                drawn: process.drawn(&rules).into_iter().map(|drawn| known.id(drawn)).collect(),
            });
        }
        let few = known.all.len() < usize::from(u16::MAX);
        few.then(|| Self { all: known.all, rows, answers: answers.to_vec() })
    }

    /// The same with one state for all that can never be told apart, and without draws whose outcomes are such.
    #[must_use]
    pub fn merged(mut self) -> Self {
        loop {
            let kinds = kinds(&self.rows);
            let mut next = Self { all: Vec::new(), rows: Vec::new(), answers: self.answers };
            for ((process, row), kind) in self.all.iter().zip(&self.rows).zip(&kinds) {
                // Kinds are numbered in the order of their first state.
                if usize::from(kind.0) == next.rows.len() {
                    next.all.push(*process);
                    next.rows.push(row.renamed(&kinds));
                }
            }
            let undrawn: Vec<Option<Row>> = next.rows.iter().map(|row| next.certain(row).cloned()).collect();
            if undrawn.iter().all(Option::is_none) {
                return next;
            }
            for (row, certain) in next.rows.iter_mut().zip(undrawn) {
                *row = certain.unwrap_or_else(|| row.clone());
            }
            self = next;
        }
    }

    /// Where a draw with only one outcome leads.
    fn certain(&self, row: &Row) -> Option<&Row> {
        match row.drawn.as_slice() {
            [only] => only.of(&self.rows),
            _ => None,
        }
    }

    /// How many states there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// What the number stands for: one of the states that are kept as one.
    pub fn process(&self, id: Id) -> Option<&Process> {
        id.of(&self.all)
    }

    /// The process whose session is open and stable.
    pub(super) fn settled(&self) -> Id {
        Id(0)
    }

    pub(super) fn ticked(&self, id: Id, up: bool) -> Id {
        let [down, high] = id.of(&self.rows).map_or([Id::NONE; 2], |row| row.ticked);
        if up { high } else { down }
    }

    pub(super) fn answered(&self, id: Id, answer: Answer) -> Id {
        let place = self.answers.iter().position(|known| *known == answer);
        let answered = id.of(&self.rows).zip(place).and_then(|(row, place)| row.answered.get(place));
        answered.copied().unwrap_or(Id::NONE)
    }

    pub(super) fn lost(&self, id: Id) -> Id {
        id.of(&self.rows).map_or(Id::NONE, |row| row.lost)
    }

    /// The equally likely outcomes of the draw that this process waits for; none if it does not.
    pub(super) fn drawn(&self, id: Id) -> &[Id] {
        id.of(&self.rows).map_or(&[], |row| &row.drawn)
    }

    /// For how many ticks its dial has been on the way, if it is.
    pub(super) fn knocking(&self, id: Id) -> Option<u8> {
        id.of(&self.rows)?.knocking
    }

    pub(super) fn online(&self, id: Id) -> bool {
        id.of(&self.rows).is_some_and(|row| row.online)
    }
}

/// The coarsest kinds of states such that states of one kind look the same and every event makes states of one kind of
/// them, each with the same chance. Found by telling apart what differs until nothing more does.
fn kinds(rows: &[Row]) -> Vec<Id> {
    let mut kinds = vec![Id(0); rows.len()];
    let mut count = 1;
    loop {
        let mut known: HashMap<(Id, Row), Id> = HashMap::new();
        let mut tell = |(kind, row): (&Id, &Row)| {
            let next = Id::new(known.len());
            *known.entry((*kind, row.renamed(&kinds))).or_insert(next)
        };
        let next: Vec<Id> = kinds.iter().zip(rows).map(&mut tell).collect();
        if known.len() == count {
            return next;
        }
        (kinds, count) = (next, known.len());
    }
}

/// The states found so far, by number and by value.
#[derive(Default)]
struct Known {
    all: Vec<Process>,
    ids: HashMap<Process, Id>,
}

impl Known {
    fn id(&mut self, process: Process) -> Id {
        let next = Id::new(self.all.len());
        *self.ids.entry(process).or_insert_with(|| {
            self.all.push(process);
            next
        })
    }

    fn maybe(&mut self, process: Option<Process>) -> Id {
        process.map_or(Id::NONE, |process| self.id(process))
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
