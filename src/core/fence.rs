//! Old primaries: one that was cut off when its standby was promoted goes on taking writes, and nothing in its answers
//! shows that they will be thrown away. The number of its timeline does, beside that of the new one.

/// The history that a primary writes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct History {
    /// Of the database's first `initdb`: its copies share it.
    pub system: u64,
    /// Each promotion begins a new one, with a higher number.
    pub timeline: u32,
}

/// What the history of a primary says of it, and of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Nothing of others: it is the first, no other than before, or of another database, which cannot be compared.
    Known,
    /// It is newer than all before: whoever writes on those has been replaced.
    Newer,
    /// It has been replaced.
    Replaced {
        /// The timeline of the latest primary.
        by: u32,
    },
}

/// The latest history that a primary of the set has been seen to write on.
///
/// ```
/// use relink::fence::{Fence, History, Standing};
/// let mut fence = Fence::default();
/// let mut admit = |timeline| fence.admit(History { system: 7, timeline });
/// assert_eq!(admit(2), Standing::Known, "the first says nothing of others");
/// assert_eq!(admit(3), Standing::Newer, "a promotion");
/// assert_eq!(admit(2), Standing::Replaced { by: 3 }, "the primary before it");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fence {
    latest: Option<History>,
}

impl Fence {
    /// Takes note of the history of a primary that has just told it.
    #[must_use]
    pub fn admit(&mut self, history: History) -> Standing {
        let standing = match self.latest {
            Some(known) if known.system == history.system && known.timeline > history.timeline => {
                return Standing::Replaced { by: known.timeline };
            }
            Some(known) if known.system == history.system && known.timeline < history.timeline => Standing::Newer,
            Some(_) | None => Standing::Known,
        };
        self.latest = Some(history);
        standing
    }

    /// The history of the latest primary.
    pub const fn latest(&self) -> Option<History> {
        self.latest
    }

    /// Forgets which primary was the latest, so that one that was replaced is served from again.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_older_timeline_of_the_same_database_is_refused() {
        let mut fence = Fence::default();
        let mut admit = |system, timeline| fence.admit(History { system, timeline });
        assert_eq!(admit(7, 2), Standing::Known, "the first says nothing of others");
        assert_eq!(admit(7, 2), Standing::Known);
        assert_eq!(admit(7, 3), Standing::Newer, "a promotion");
        assert_eq!(admit(7, 2), Standing::Replaced { by: 3 }, "the primary before it");
        assert_eq!(admit(8, 2), Standing::Known, "another database");
        assert_eq!(fence.latest(), Some(History { system: 8, timeline: 2 }));
        fence.forget();
        assert_eq!(fence.latest(), None);
        assert_eq!(
            fence.admit(History { system: 8, timeline: 1 }),
            Standing::Known,
            "nothing is known of others any more"
        );
    }
}
