//! How many connections may be open at once: shrinks when a server says it is too many, and grows back slowly.
//! Must not know what the connections are for.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Refusals within this time are one and the same overload.
const ONE_OVERLOAD: Duration = Duration::from_secs(1);

/// A number of connections that adapts to what servers bear.
#[derive(Debug)]
pub struct Budget {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    most: usize,
    limit: usize,
    used: usize,
    /// Permits given back in good order since the limit last changed.
    good: usize,
    refused: Option<Instant>,
}

/// Leave to hold one connection; given back when dropped.
#[derive(Debug)]
pub struct Permit<'a> {
    budget: &'a Budget,
}

impl Budget {
    /// A budget of at most `limit` connections (at least one).
    pub fn new(limit: usize) -> Budget {
        let limit = limit.max(1);
        let state = State { most: limit, limit, used: 0, good: 0, refused: None };
        Budget { state: Mutex::new(state), freed: Notify::new() }
    }

    /// Waits for leave to hold one more connection.
    pub async fn permit(&self) -> Permit<'_> {
        loop {
            let freed = self.freed.notified();
            {
                let mut state = self.lock();
                if state.used < state.limit {
                    state.used += 1;
                    return Permit { budget: self };
                }
            }
            freed.await;
        }
    }

    /// A server said that it is too much: half as many connections from now on.
    pub fn overloaded(&self) {
        let mut state = self.lock();
        state.good = 0;
        if state.refused.is_none_or(|at| at.elapsed() >= ONE_OVERLOAD) {
            state.refused = Some(Instant::now());
            state.limit = (state.limit / 2).max(1);
        }
    }

    /// How many connections are allowed now.
    pub fn limit(&self) -> usize {
        self.lock().limit
    }

    fn give_back(&self) {
        let mut state = self.lock();
        state.used -= 1;
        state.good += 1;
        if state.limit < state.most && state.good > state.limit {
            state.limit += 1;
            state.good = 0;
            // One for the place given back, one for the new one.
            self.freed.notify_one();
        }
        self.freed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.budget.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shrinks_at_once_and_grows_slowly() {
        let budget = Budget::new(4);
        budget.overloaded();
        budget.overloaded();
        assert_eq!(budget.limit(), 2);
        for _ in 0..3 {
            drop(budget.permit().await);
        }
        assert_eq!(budget.limit(), 3);
    }

    #[tokio::test]
    async fn no_more_than_the_limit_at_once() {
        let budget = Budget::new(2);
        let first = budget.permit().await;
        let _second = budget.permit().await;
        let third = tokio::time::timeout(Duration::from_millis(20), budget.permit()).await;
        assert!(third.is_err());
        drop(first);
        let third = tokio::time::timeout(Duration::from_millis(200), budget.permit()).await;
        assert!(third.is_ok());
    }
}
