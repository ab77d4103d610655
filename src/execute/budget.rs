//! How many helms there are at once: some that work, which costs this host and the API server, and apart from them some that
//! only wait, which costs next to nothing. Must not know what they do.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;

/// The two limits, and what is under way. What waits can begin to work again, after a hook: there can be more at work for a
/// while, but no more are begun then.
#[derive(Debug)]
pub struct Budget {
    working: usize,
    waiting: usize,
    now: Mutex<Now>,
    freed: Notify,
}

#[derive(Debug, Clone, Copy, Default)]
struct Now {
    working: usize,
    waiting: usize,
}

impl Budget {
    /// So many that work, and so many more that only wait.
    pub fn new(working: usize, waiting: usize) -> Budget {
        Budget { working, waiting, now: Mutex::default(), freed: Notify::new() }
    }

    /// Whether one more may begin.
    fn has_room(&self) -> bool {
        let now = *self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.working < self.working && now.working + now.waiting < self.working + self.waiting
    }

    /// One more begins, with work.
    fn enter(&self) -> Place<'_> {
        self.change(|now| now.working += 1);
        Place { budget: self, waits: Mutex::new(false) }
    }

    /// Ends when there may be room that was not there before.
    async fn freed(&self) {
        self.freed.notified().await;
    }

    fn change(&self, by: impl FnOnce(&mut Now)) {
        by(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner));
        self.freed.notify_one();
    }
}

/// One that is under way; its place is free again when this is gone.
#[derive(Debug)]
pub(super) struct Place<'b> {
    budget: &'b Budget,
    waits: Mutex<bool>,
}

impl Place<'_> {
    /// It waits, or it works.
    pub fn is_now(&self, waits: bool) {
        let mut before = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        if *before != waits {
            *before = waits;
            self.budget.change(|now| now.shift(waits));
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.is_now(false);
        self.budget.change(|now| now.working -= 1);
    }
}

impl Now {
    fn shift(&mut self, waits: bool) {
        if waits {
            self.working -= 1;
            self.waiting += 1;
        } else {
            self.waiting -= 1;
            self.working += 1;
        }
    }
}

/// All that is under way within a budget.
pub(super) struct Crew<'b, F> {
    budget: &'b Budget,
    running: FuturesUnordered<F>,
}

/// What happened next.
pub(super) enum Turn<T> {
    /// One has ended.
    Ended(T),
    /// There may be room that was not there before.
    Room,
    /// Nothing is under way.
    Idle,
}

impl<'b, F: Future> Crew<'b, F> {
    pub fn of(budget: &'b Budget) -> Crew<'b, F> {
        Crew { budget, running: FuturesUnordered::new() }
    }

    /// Whether one more may begin.
    pub fn has_room(&self) -> bool {
        self.budget.has_room()
    }

    /// Begins one, with a place of its own.
    pub fn begin(&self, one: impl FnOnce(Place<'b>) -> F) {
        self.running.push(one(self.budget.enter()));
    }

    /// Waits for what happens next.
    pub async fn turn(&mut self) -> Turn<F::Output> {
        tokio::select! {
            ended = self.running.next() => ended.map_or(Turn::Idle, Turn::Ended),
            () = self.budget.freed(), if !self.running.is_empty() => Turn::Room,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_leaves_room_for_work_until_too_much_waits() {
        let budget = Budget::new(1, 1);
        let first = budget.enter();
        assert!(!budget.has_room());
        first.is_now(true);
        first.is_now(true);
        assert!(budget.has_room());
        let second = budget.enter();
        second.is_now(true);
        assert!(!budget.has_room(), "two wait");
        first.is_now(false);
        assert!(!budget.has_room(), "one works again");
        drop(first);
        assert!(budget.has_room());
        drop(second);
        assert!(budget.has_room());
        assert_eq!(format!("{:?}", *budget.now.lock().unwrap()), "Now { working: 0, waiting: 0 }");
    }

    #[test]
    fn without_a_budget_for_waiting_what_waits_counts_as_work() {
        let budget = Budget::new(1, 0);
        let place = budget.enter();
        place.is_now(true);
        assert!(!budget.has_room());
        drop(place);
        assert!(budget.has_room());
    }

    #[tokio::test]
    async fn whoever_looks_for_room_is_woken() {
        let budget = Budget::new(1, 2);
        let place = budget.enter();
        budget.freed().await; // The entering itself; it is looked for room after each.
        let waits = async { place.is_now(true) };
        tokio::join!(budget.freed(), waits);
        assert!(budget.has_room());
    }
}
