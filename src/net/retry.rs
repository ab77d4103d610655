//! When to try again, and after how long. Must not know what is being tried.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use super::client::Ask;
use super::error::Failure;
use super::{Client, Error, Kind};

/// However long a server asks us to wait, and however often it failed.
const LONGEST: Duration = Duration::from_secs(60);
const LONGEST_OF_OUR_OWN: Duration = Duration::from_secs(20);

/// The tries of one piece of work.
pub(super) struct Tries<'a> {
    client: &'a Client,
    /// All, for the message.
    made: u32,
    /// Those since something was last achieved.
    in_vain: u32,
}

impl Tries<'_> {
    pub fn of(client: &Client) -> Tries<'_> {
        Tries { client, made: 1, in_vain: 1 }
    }

    /// Something was achieved: a transfer that goes on is not given up because it is often interrupted.
    pub fn progressed(&mut self) {
        self.in_vain = 1;
    }

    /// Waits if it is worth trying again; the error if it is not.
    pub async fn failed(&mut self, ask: &Ask, failure: Failure) -> Result<(), Error> {
        let settings = &self.client.inner.settings;
        if let (Some(429 | 503), Some(budget)) = (failure.reason.status(), &self.client.budget) {
            budget.overloaded();
        }
        if failure.reason.kind() != Kind::Transient || self.in_vain >= settings.tries.max(1) {
            return Err(self.client.error(ask, self.made, failure.reason));
        }
        let own = pause(settings.pause, self.in_vain);
        tokio::time::sleep(failure.retry_after.map_or(own, |asked| asked.max(own)).min(LONGEST)).await;
        self.made += 1;
        self.in_vain += 1;
        Ok(())
    }

    /// How often it was tried.
    pub fn made(&self) -> u32 {
        self.made
    }
}

/// Twice as long after every try, and between half and all of that, so that many clients do not come back at once.
fn pause(first: Duration, tries: u32) -> Duration {
    let full = first.saturating_mul(1 << (tries - 1).min(10)).min(LONGEST_OF_OUR_OWN);
    let random = RandomState::new().build_hasher().finish() % 1000;
    full / 2 + full / 2 * random as u32 / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_are_bounded() {
        let first = Duration::from_millis(100);
        for (tries, most) in [(1, 100), (2, 200), (4, 800), (40, 20_000)] {
            let pause = pause(first, tries).as_millis();
            assert!(pause <= most && pause >= most / 2, "{tries}: {pause}");
        }
    }
}
