//! What a run has seen of helm's records, and when: looked at again when it is no longer fresh, and a little before that when
//! something has ended, so that what follows need not wait. Must not judge what is seen.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::plan::Observation;
use crate::tools::{CallError, Kubectl};

/// How old a look may be when a release is begun.
const FRESH: Duration = Duration::from_secs(3);
/// How old it may be when a release has ended, after which others are begun.
const AGEING: Duration = Duration::from_secs(2);

/// The last look.
pub(super) struct Sight {
    kubectl: Kubectl,
    namespaces: BTreeSet<String>,
    last: Mutex<Option<(Instant, Arc<Observation>)>>,
    /// Whoever holds it looks, for all that wait.
    looking: Arc<tokio::sync::Mutex<()>>,
}

impl Sight {
    pub fn new(kubectl: Kubectl, namespaces: BTreeSet<String>) -> Sight {
        Sight { kubectl, namespaces, last: Mutex::default(), looking: Arc::default() }
    }

    /// What somebody else has seen, and when, counts as the last look.
    pub fn is(&self, seen: Option<(Instant, Observation)>) {
        *self.last() = seen.map(|(at, observed)| (at, Arc::new(observed)));
    }

    /// The records as they were seconds ago, or are now.
    pub async fn fresh(&self) -> Result<Arc<Observation>, CallError> {
        if let Some(observed) = self.younger_than(FRESH) {
            return Ok(observed);
        }
        let _mine = self.looking.lock().await;
        match self.younger_than(FRESH) {
            Some(observed) => Ok(observed),
            None => self.look().await,
        }
    }

    /// Looks again beside everything else, unless the last look is young or somebody looks already. What goes wrong is told
    /// to whoever needs it.
    pub fn look_ahead(self: &Arc<Sight>) {
        let Ok(mine) = self.looking.clone().try_lock_owned() else { return };
        if self.younger_than(AGEING).is_some() {
            return;
        }
        let sight = self.clone();
        tokio::spawn(async move {
            let _ = sight.look().await;
            drop(mine);
        });
    }

    /// The labels of helm's records, once the API server answers.
    pub async fn records(&self) -> Result<String, CallError> {
        self.kubectl.release_records_of(&self.namespaces).await
    }

    /// The same once more at a run's end, where nothing is waited for.
    pub async fn at_the_end(&self) -> Result<String, CallError> {
        let kubectl = Kubectl { patience: Duration::ZERO, ..self.kubectl.clone() };
        kubectl.release_records_of(&self.namespaces).await
    }

    async fn look(&self) -> Result<Arc<Observation>, CallError> {
        let at = Instant::now();
        let observed = Arc::new(Observation::parse(&self.records().await?));
        *self.last() = Some((at, observed.clone()));
        Ok(observed)
    }

    fn younger_than(&self, age: Duration) -> Option<Arc<Observation>> {
        self.last().as_ref().filter(|(at, _)| at.elapsed() <= age).map(|(_, observed)| observed.clone())
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Arc<Observation>)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::{Cluster, Interrupt};

    /// A kubectl that counts how often it is asked, and takes a while.
    fn sight(folder: &std::path::Path) -> Arc<Sight> {
        use std::os::unix::fs::PermissionsExt;
        let program = folder.join("kubectl");
        let asked = folder.join("asked");
        let row = "n s t 1 5m name=a,owner=helm,status=deployed,version=1";
        let script = format!("#!/bin/sh\necho x >>{}\nsleep 0.2\necho '{row}'\n", asked.display());
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let kubectl = Kubectl {
            program,
            cluster: Cluster::default(),
            home: folder.to_owned(),
            variables: Vec::new(),
            request_timeout: Duration::from_secs(5),
            patience: Duration::ZERO,
            interrupt: Interrupt::never(),
        };
        Arc::new(Sight::new(kubectl, BTreeSet::new()))
    }

    fn asked(folder: &std::path::Path) -> usize {
        std::fs::read_to_string(folder.join("asked")).map(|text| text.lines().count()).unwrap_or(0)
    }

    fn seen_before(age: Duration) -> Option<(Instant, Observation)> {
        Some((Instant::now().checked_sub(age).unwrap(), Observation::default()))
    }

    #[tokio::test]
    async fn what_is_fresh_is_not_asked_again_and_many_share_one_question() {
        let folder = tempfile::tempdir().unwrap();
        let sight = sight(folder.path());
        sight.is(seen_before(Duration::from_millis(500)));
        assert!(sight.fresh().await.unwrap().get("n", "a").is_none(), "what was seen before");
        assert_eq!(asked(folder.path()), 0);
        sight.is(seen_before(Duration::from_millis(3500)));
        let (one, two) = tokio::join!(sight.fresh(), sight.fresh());
        assert!(one.unwrap().get("n", "a").is_some() && two.unwrap().get("n", "a").is_some());
        assert_eq!(asked(folder.path()), 1);
    }

    #[tokio::test]
    async fn looking_ahead_saves_whoever_comes_later_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let sight = sight(folder.path());
        sight.is(seen_before(Duration::from_millis(500)));
        sight.look_ahead();
        assert!(sight.looking.try_lock().is_ok(), "what is young is not looked at again");
        sight.is(seen_before(Duration::from_millis(2100)));
        sight.look_ahead();
        sight.look_ahead();
        // It is still fresh, and nobody waits for the look that is under way.
        assert!(sight.fresh().await.unwrap().get("n", "a").is_none());
        let _over = sight.looking.lock().await;
        assert!(sight.fresh().await.unwrap().get("n", "a").is_some());
        assert_eq!(asked(folder.path()), 1);
    }
}
