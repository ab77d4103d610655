//! A release that helm left in the middle of an operation: finding that out, and taking it out of there without
//! changing any of its objects. Must not do so unasked, but for what this very run left when the API server was gone.

use std::time::Duration;

use super::{Cause, Hands};
use crate::plan::{Observation, Step, label};
use crate::record::{self, UnreadableRecord};
use crate::tools::{CallError, Kubectl, Write, server_is_gone};

/// How often somebody else may write the record first.
const TRIES: usize = 3;

/// Why a release could not be taken out of the middle of an operation.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// The cluster refuses, or can't be reached.
    #[error("the cluster refuses")]
    Call(#[source] CallError),
    /// Its record is not what helm writes.
    #[error(transparent)]
    Unreadable(#[from] UnreadableRecord),
    /// The record is gone, or somebody writes it.
    #[error("somebody else writes its record")]
    Contended,
}

/// Marks a release's record as `failed`, if helm left it in the middle of an operation. The next upgrade then goes
/// ahead; no object of the release is touched.
///
/// # Errors
/// [`UnlockError`]; the record is then as it was.
pub async fn unlock(
    kubectl: &Kubectl,
    namespace: &str,
    release: &str,
    revision: u64,
    run: &str,
) -> Result<(), UnlockError> {
    let why = format!("platctl run {run}: the helm that worked on it is gone");
    for _ in 0..TRIES {
        let secret = kubectl.release_record(namespace, release, revision).await.map_err(UnlockError::Call)?;
        let Some(unlocked) = record::unlocked(&secret, &why)? else { return Ok(()) };
        let path = format!("/api/v1/namespaces/{namespace}/secrets/sh.helm.release.v1.{release}.v{revision}");
        match kubectl.replace(&path, &unlocked).await.map_err(UnlockError::Call)? {
            Write::Done(_) => return Ok(()),
            Write::Conflict => {}
            Write::Absent => return Err(UnlockError::Contended),
        }
    }
    Err(UnlockError::Contended)
}

/// In what state a helm left a release that did not end by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Left {
    /// In none that is in the way of the next one.
    Well,
    /// It was in the middle of an upgrade of this run, and is not any more: the step may be tried again.
    Unlocked,
    /// As it was before: helm was killed before it wrote anything, or after it had written its end.
    Untouched,
    /// In the middle of an operation.
    Pending {
        /// helm's status.
        status: String,
        /// Whether there is a revision to go back to.
        deployed: bool,
    },
}

/// What a helm that failed has left. One that was killed, or could not reach the API server, had no chance to write
/// how it ended. What the API server's absence left of this run's own upgrade is put right at once: this run was the
/// only one that could have made it, its helm has ended, and nobody has to be asked what it was about.
pub(super) async fn left(step: &Step, error: &CallError, hands: Hands<'_>) -> Result<Left, Cause> {
    let killed = matches!(error, CallError::Failed { code: None, .. });
    let gone = server_is_gone(error.stderr());
    if !killed && !gone {
        return Ok(Left::Well);
    }
    let run = hands.run.run();
    let kubectl = hands.run.kubectl();
    let table = hands.run.records().await.map_err(Cause::Observed)?;
    let observed = Observation::parse(&table);
    let pending = |status: &str| status.starts_with("pending") || status == "uninstalling";
    let Some(found) = observed.get(&step.namespace, &step.release).filter(|found| pending(&found.status)) else {
        return Ok(if killed { Left::Untouched } else { Left::Well });
    };
    let ours = found.label(label::RUN) == Some(run);
    if ours && gone && !killed && hands.run.stop().is_none() {
        let unlocked = unlock(kubectl, &step.namespace, &step.release, found.revision, run).await;
        if unlocked.is_ok() {
            return Ok(Left::Unlocked);
        }
    }
    Ok(Left::Pending { status: found.status.clone(), deployed: found.deployed.is_some() })
}

/// The longest that helm may be at work on a step: its timeout for the objects, and again for each hook.
pub fn at_most(timeout: Duration, hooks: usize) -> Duration {
    timeout * u32::try_from(hooks.saturating_add(1)).unwrap_or(u32::MAX)
}
