//! A helm at work, watched: which of the two budgets it is in, and, when it waits for long, what it waits for and why that is
//! not there yet. Must not decide anything.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::budget::Place;
use super::readiness::{self, Unready};
use crate::tools::{Awaited, Kubectl, Progress};

/// After so long it is said what a release waits for, and again after twice the time, and so on.
const LONG: Duration = Duration::from_secs(30);

/// Tells how long something waits, and for what.
pub(super) type Waits<'a> = &'a (dyn Fn(Duration, &[String]) + Send + Sync);

/// What a helm is doing by now.
pub(super) struct Watched<'b> {
    place: &'b Place<'b>,
    wait: Mutex<Option<Wait>>,
}

/// What it waits for.
#[derive(Clone)]
struct Wait {
    since: Instant,
    object: Option<Awaited>,
}

impl<'b> Watched<'b> {
    pub fn new(place: &'b Place<'b>) -> Watched<'b> {
        Watched { place, wait: Mutex::new(None) }
    }

    /// Takes in what helm says of itself.
    pub fn hear(&self, progress: Progress) {
        self.place.is_now(progress != Progress::Works);
        let mut wait = self.wait.lock().unwrap_or_else(PoisonError::into_inner);
        let since = wait.as_ref().map_or_else(Instant::now, |wait| wait.since);
        *wait = match progress {
            Progress::Works => None,
            Progress::Waits => Some(Wait { since: Instant::now(), object: None }),
            Progress::WaitsFor(object) => Some(Wait { since, object: Some(object) }),
        };
    }

    /// Sees a helm through; tells how long it waits by now and for what, whenever that takes long: half a minute, or a quarter
    /// of the time it has.
    pub async fn until<T>(
        &self,
        helm: impl Future<Output = T>,
        timeout: Duration,
        kubectl: &Kubectl,
        tell: Waits<'_>,
    ) -> T {
        tokio::select! {
            ended = helm => ended,
            never = self.tell_of_long_waits(timeout, kubectl, tell) => match never {},
        }
    }

    async fn tell_of_long_waits(&self, timeout: Duration, kubectl: &Kubectl, tell: Waits<'_>) -> Infallible {
        let long = LONG.min(timeout / 4).max(Duration::from_secs(1));
        let mut told: Option<(Instant, Duration)> = None;
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let Some(wait) = self.wait() else { continue };
            let next = told.filter(|(since, _)| *since == wait.since).map_or(long, |(_, next)| next);
            if wait.since.elapsed() < next {
                continue;
            }
            let lines = match &wait.object {
                Some(object) => readiness::by_now(&unready(object), kubectl).await,
                None => Vec::new(),
            };
            // Meanwhile it may have gone on.
            if self.wait().is_some_and(|now| now.since == wait.since) {
                tell(wait.since.elapsed(), &lines);
                told = Some((wait.since, wait.since.elapsed() * 2));
            }
        }
    }

    fn wait(&self) -> Option<Wait> {
        self.wait.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn unready(object: &Awaited) -> Unready {
    let Awaited { kind, namespace, name, status, goes } = object.clone();
    Unready { kind, namespace, name, message: String::new(), status, hook: None, stays: goes }
}
