//! One run that is under way: its lease, its journal, and what keeps it from beginning anything more. It must not decide
//! what is done.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::journal::{self, Entry, Journal, Outcome, Recorder, Shelf, State};
use super::lease::{self, Claim, Fence, Lease, LeaseError, Lost, Notice};
use super::sight::Sight;
use crate::files::FileError;
use crate::plan::{self, Observation, Observed, Overwritten, label};
use crate::tools::{Birth, Births, CallError, Kubectl};

/// How long a request may take, and how long the API server is waited for when it is gone.
const ASK: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(30));

/// What keeps a run from beginning anything more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The lease is not the run's any more.
    Lost(Lost),
    /// The journal can't be written: where, and why.
    NotRecorded(PathBuf, String),
}

/// A release that somebody else changed since it was planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its revision when it was planned.
    pub planned: Option<u64>,
    /// Its revision now.
    pub found: Option<u64>,
    /// helm's status now.
    pub status: String,
    /// The run that made the revision there is now, if its labels say so.
    pub run: Option<String>,
}

/// Why a step must not begin. Nothing was done of it.
#[derive(Debug)]
pub enum NotBegun {
    /// Nothing more may be begun.
    Stopped(Stop),
    /// Somebody else changed the release since it was planned.
    Moved(Moved),
    /// The cluster could not be asked whether somebody did.
    Unseen(CallError),
}

/// A run that is under way. It holds the environment's lease from its beginning to its end.
pub struct Undertaking {
    lease: Lease,
    shared: Arc<Shared>,
    births: Births,
    midwife: JoinHandle<()>,
    claimed: Claimed,
    /// Kubectl as this run uses it beside its steps.
    kubectl: Kubectl,
    sight: Arc<Sight>,
}

/// How a run has ended, beside what it did.
#[derive(Debug)]
pub struct End {
    /// The cluster has all of the journal; if not, the run's folder must stay.
    pub published: bool,
    /// Revisions of somebody else that it has overwritten.
    pub overwritten: Vec<Overwritten>,
}

/// What a run is called and for whom it works.
struct Claimed {
    run: String,
    verb: String,
    platform: String,
    environment: String,
    namespace: String,
    folder: PathBuf,
}

#[derive(Default)]
struct Shared {
    recorder: OnceLock<Recorder>,
    planned: OnceLock<BTreeMap<(String, String), Option<u64>>>,
    not_recorded: Mutex<Option<(PathBuf, String)>>,
}

impl Undertaking {
    /// Takes the lease, after what must be waited for. Nothing is recorded yet.
    ///
    /// # Errors
    /// [`LeaseError`]; nothing has changed then.
    pub async fn begin(
        claim: &Claim<'_>,
        notice: &(dyn Fn(Notice<'_>) + Send + Sync),
    ) -> Result<Undertaking, LeaseError> {
        let lease = lease::hold(claim, notice).await?;
        let (births, told) = Births::pair();
        let shared = Arc::new(Shared::default());
        let claimed = Claimed {
            run: claim.run.to_owned(),
            verb: claim.verb.to_owned(),
            platform: claim.platform.to_owned(),
            environment: claim.environment.to_owned(),
            namespace: claim.namespace.to_owned(),
            folder: claim.folder.to_owned(),
        };
        let midwife = tokio::spawn(hear(shared.clone(), told));
        let kubectl = claim.kubectl.steadfast(ASK.0, ASK.1);
        let sight = Arc::new(Sight::new(kubectl.clone(), claim.namespaces.clone()));
        Ok(Undertaking { lease, shared, births, midwife, claimed, kubectl, sight })
    }

    /// Begins the journal with everything that will be changed. Nothing may be changed before it is there. What was seen of
    /// helm's records, and when, need not be looked at again while it is fresh.
    ///
    /// # Errors
    /// [`FileError`] when it can't be written.
    pub async fn record(
        &self,
        asked: journal::Asked,
        releases: Vec<Entry>,
        seen: Option<(Instant, Observation)>,
    ) -> Result<(), FileError> {
        let Claimed { run, verb, platform, environment, namespace, folder, .. } = &self.claimed;
        let began = journal::rfc3339(std::time::SystemTime::now());
        let host = self.lease.holder().host.to_string();
        let planned = releases.iter().map(|e| ((e.namespace.clone(), e.release.clone()), e.revision_before)).collect();
        let mut journal = Journal::begun(run, verb, platform, environment, began, &host);
        (journal.asked, journal.releases) = (asked, releases);
        let shelf = Shelf::new(self.kubectl.clone(), namespace);
        let recorder = Recorder::begin(folder.join(journal::FILE), journal, shelf).await?;
        self.sight.is(seen);
        let _ = self.shared.planned.set(planned);
        let _ = self.shared.recorder.set(recorder);
        Ok(())
    }

    /// The run's name.
    pub fn run(&self) -> &str {
        &self.claimed.run
    }

    /// What the post-renderer of a release asks before helm writes.
    pub fn fence(&self, release: &str) -> Fence {
        self.lease.fence(release)
    }

    /// What a helm of this run tells its processes.
    pub fn births(&self) -> Births {
        self.births.clone()
    }

    /// kubectl for questions in the middle of the run: it waits for an API server that is gone.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// Why nothing more may be begun; none while it may.
    pub fn stop(&self) -> Option<Stop> {
        if let Some(lost) = self.lease.lost() {
            return Some(Stop::Lost(lost));
        }
        let not_recorded = self.shared.not_recorded.lock().unwrap_or_else(PoisonError::into_inner);
        not_recorded.clone().map(|(path, why)| Stop::NotRecorded(path, why))
    }

    /// Records that a step begins, once nobody else has changed its release since it was planned.
    ///
    /// # Errors
    /// [`NotBegun`] when it must not begin.
    pub async fn begins(&self, release: &str, namespace: &str, at_most: Duration) -> Result<(), NotBegun> {
        self.begins_unless(release, namespace, at_most, |_| true).await
    }

    /// The same of a removal: that somebody else has removed the release, such as the helm of a killed run, is no reason
    /// to leave what goes with it.
    ///
    /// # Errors
    /// [`NotBegun`] when it must not begin.
    pub async fn begins_removal(&self, release: &str, namespace: &str, at_most: Duration) -> Result<(), NotBegun> {
        self.begins_unless(release, namespace, at_most, |moved| moved.found.is_some()).await
    }

    async fn begins_unless(
        &self,
        release: &str,
        namespace: &str,
        at_most: Duration,
        counts: fn(&Moved) -> bool,
    ) -> Result<(), NotBegun> {
        if let Some(stop) = self.stop() {
            return Err(NotBegun::Stopped(stop));
        }
        if let Some(moved) = self.moved(release, namespace).await.map_err(NotBegun::Unseen)?.filter(counts) {
            return Err(NotBegun::Moved(moved));
        }
        let change = |entry: &mut Entry| {
            entry.state = State::Running;
            entry.at_most_seconds = at_most.as_secs();
        };
        if !self.shared.note(release, namespace, change).await
            && let Some(stop) = self.stop()
        {
            return Err(NotBegun::Stopped(stop));
        }
        Ok(())
    }

    /// Records how far a release is, once no process works on it.
    pub async fn is_now(&self, release: &str, namespace: &str, state: State) {
        let change = |entry: &mut Entry| {
            entry.state = state;
            (entry.pid, entry.pid_started) = (None, None);
        };
        self.shared.note(release, namespace, change).await;
        if self.shared.recorder.get().is_some_and(Recorder::has_waiting) {
            self.sight.look_ahead();
        }
    }

    /// Records the codes of failures.
    pub async fn failed(&self, codes: &[(String, String)]) {
        for (release, code) in codes {
            let namespaces = self.shared.planned.get().into_iter().flat_map(BTreeMap::keys);
            for (namespace, _) in namespaces.filter(|(_, name)| name == release) {
                self.shared.note(release, namespace, |entry| entry.error = Some(code.clone())).await;
            }
        }
    }

    /// Ends the run: its journal is closed and its lease let go.
    pub async fn end(self, outcome: Outcome) -> End {
        self.midwife.abort();
        let Undertaking { lease, shared, claimed, kubectl, sight, .. } = self;
        let Claimed { run, platform, environment, namespace, .. } = &claimed;
        let Some(recorder) = shared.recorder.get() else {
            lease.release().await;
            return End { published: true, overwritten: Vec::new() };
        };
        let kubectl = Kubectl { patience: Duration::ZERO, ..kubectl };
        let clear = journal::clear_away(&kubectl, namespace, platform, environment);
        let (published, (), _, overwritten) =
            tokio::join!(recorder.end(outcome), lease.release(), clear, overwritten(&shared, &sight, run));
        End { published, overwritten }
    }

    /// The labels of helm's records, once the API server answers.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn records(&self) -> Result<String, CallError> {
        self.sight.records().await
    }

    /// What somebody else did with a step's release since it was planned. helm itself notices only who is at work at the
    /// same time; whoever has finished in between would be overwritten.
    async fn moved(&self, release: &str, namespace: &str) -> Result<Option<Moved>, CallError> {
        let key = (namespace.to_owned(), release.to_owned());
        let Some(planned) = self.shared.planned.get().and_then(|planned| planned.get(&key)) else { return Ok(None) };
        let observed = self.sight.fresh().await?;
        Ok(moved(*planned, observed.get(namespace, release)))
    }
}

/// What somebody else did in the moments between the last look and helm's own, and what is overwritten now. Nothing depends on
/// it: helm's history has it for whoever looks there.
async fn overwritten(shared: &Shared, sight: &Sight, run: &str) -> Vec<Overwritten> {
    match shared.planned.get().filter(|planned| !planned.is_empty()) {
        Some(planned) => plan::overwritten(&sight.at_the_end().await.unwrap_or_default(), planned, run),
        None => Vec::new(),
    }
}

fn moved(planned: Option<u64>, found: Option<&Observed>) -> Option<Moved> {
    let revision = found.map(|found| found.revision);
    (revision != planned).then(|| Moved {
        planned,
        found: revision,
        status: found.map_or("not installed".to_owned(), |found| found.status.clone()),
        run: found.and_then(|found| found.label(label::RUN)).map(str::to_owned),
    })
}

impl Shared {
    /// Notes something in the journal; whether it lies there.
    async fn note(&self, release: &str, namespace: &str, change: impl FnOnce(&mut Entry)) -> bool {
        let Some(recorder) = self.recorder.get() else { return true };
        match recorder.note(release, namespace, change).await {
            Ok(()) => true,
            Err(error) => {
                let mut not_recorded = self.not_recorded.lock().unwrap_or_else(PoisonError::into_inner);
                *not_recorded = Some((error.path, error.source.to_string()));
                false
            }
        }
    }
}

/// Notes the processes of helms as they are told.
async fn hear(shared: Arc<Shared>, mut told: mpsc::UnboundedReceiver<Birth>) {
    while let Some(Birth { release, namespace, process }) = told.recv().await {
        let change = |entry: &mut Entry| {
            // It may have ended meanwhile.
            if entry.state == State::Running {
                (entry.pid, entry.pid_started) = (Some(process.pid), Some(process.started));
            }
        };
        shared.note(&release, &namespace, change).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_that_moved_since_it_was_planned_is_told() {
        let observed = |revision: u64| {
            Observation::parse(&format!(
                "n s t 1 5m name=a,owner=helm,status=deployed,version={revision},platctl.dev/run=other\n"
            ))
        };
        let moved = |planned, observed: &Observation| moved(planned, observed.get("n", "a"));
        assert_eq!(moved(Some(3), &observed(3)), None);
        assert_eq!(moved(None, &Observation::default()), None);
        let expected = Moved { planned: Some(3), found: Some(4), status: "deployed".into(), run: Some("other".into()) };
        assert_eq!(moved(Some(3), &observed(4)), Some(expected));
        let gone = moved(Some(3), &Observation::default()).unwrap();
        assert_eq!((gone.found, gone.status.as_str()), (None, "not installed"));
    }
}
