//! What happens next, told a few items ahead, so that the memory which they need can be fetched for all at once.

use std::cmp::Reverse;

use radix_heap::RadixHeapMap;

/// So many items are known ahead. The rows of as many processes of 16 links fill a core's first cache once;
/// measured with 10⁶ connections, 8 and 64 are slower.
const AHEAD: usize = 32;

/// Items by their time, the earliest first. No item may be put before one that was taken.
pub(super) struct Queue<T> {
    /// The next items, the earliest last.
    soon: Vec<(u64, T)>,
    /// When the last of those is, or was; what comes before it belongs among them.
    soon_until: u64,
    later: RadixHeapMap<Reverse<u64>, T>,
}

impl<T> Queue<T> {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self { soon: Vec::with_capacity(2 * AHEAD), soon_until: 0, later: RadixHeapMap::new_at(Reverse(0)) }
    }

    pub(super) fn push(&mut self, at: u64, item: T) {
        if at < self.soon_until {
            let place = self.soon.partition_point(|(other, _)| *other > at);
            self.soon.insert(place, (at, item));
        } else {
            self.later.push(Reverse(at), item);
        }
    }

    /// The next item. Where it is the first of a new batch, `fetch` is shown all of those first.
    pub(super) fn pop(&mut self, fetch: impl FnOnce(&[(u64, T)])) -> Option<(u64, T)> {
        if self.soon.is_empty() {
            while self.soon.len() < AHEAD {
                let Some((Reverse(at), item)) = self.later.pop() else { break };
                self.soon_until = at;
                self.soon.push((at, item));
            }
            self.soon.reverse();
            fetch(&self.soon);
        }
        self.soon.pop()
    }

    /// Undoes the last [`Queue::pop`].
    pub(super) fn put_back(&mut self, at: u64, item: T) {
        self.soon.push((at, item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_by_their_time_whenever_they_were_put_in() {
        let mut queue = Queue::new();
        let mut word = 1_u64;
        let mut later = |most: u64| {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (word >> 33) % most
        };
        (0..1_000).for_each(|item| queue.push(later(10_000), item));
        let (mut taken, mut last) = (0, 0);
        while let Some((at, item)) = queue.pop(|_| {}) {
            assert!(last <= at);
            (taken, last) = (taken + 1, at);
            if taken < 50_000 {
                // Among those at hand, and beyond them.
                queue.push(at + later(10), item);
            }
            if taken < 10_000 && taken % 3 == 0 {
                queue.push(at + later(5_000), item);
            }
        }
        assert!(taken > 50_000, "{taken}");
    }

    #[test]
    fn each_item_is_shown_before_it_comes_unless_it_came_late() {
        let mut queue = Queue::new();
        (0..100_u64).for_each(|at| queue.push(at, at));
        let mut shown = Vec::new();
        while let Some((at, item)) = queue.pop(|soon| shown.extend(soon.iter().map(|(_, item)| *item))) {
            assert!(shown.contains(&item), "{at}");
        }
        shown.sort_unstable();
        assert_eq!(shown, (0..100).collect::<Vec<_>>(), "each once");
    }
}
