//! One release taken away or back, and what its failure means.

use super::{BackWork, memory};
use crate::execute::budget::Place;
use crate::execute::readiness::{self, Reason};
use crate::execute::watched::{Waits, Watched};
use crate::execute::{Cause, Hands};
use crate::plan::{BackStep, Deed, label};
use crate::record::UnreadableRecord;
use crate::run::journal::State;
use crate::tools::{CallError, Helm, Interrupt, RollbackRequest};

/// A release's step that failed.
#[derive(Debug, thiserror::Error)]
#[error("{release}: {cause}")]
pub struct BackError {
    /// The release.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// Why.
    #[source]
    pub cause: BackCause,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum BackCause {
    /// It must not be begun, or somebody else changed it since it was planned: nothing was changed.
    #[error("it was not begun")]
    NotBegun(Cause),
    /// What must be kept could not be marked: nothing was removed.
    #[error("what has to outlive it can't be marked")]
    Keep(#[source] CallError),
    /// helm's record of it is damaged: nothing was removed.
    #[error(transparent)]
    Unreadable(#[from] UnreadableRecord),
    /// helm could not remove it.
    #[error("helm could not remove it")]
    Remove(#[source] CallError),
    /// Something of it did not go, or a hook did not end well.
    #[error("it did not go")]
    NotGone(#[source] CallError, Reason),
    /// Its Secrets or claims could not be deleted after it.
    #[error("it is removed, but {0} could not be deleted")]
    Leftovers(&'static str, #[source] CallError),
    /// helm could not put it back.
    #[error("helm could not put it back")]
    RollBack(#[source] CallError),
    /// It was put back, and did not become ready.
    #[error("it did not become ready")]
    NotReady(#[source] CallError, Reason),
    /// It was put back, but the record does not say by which run.
    #[error("it was put back, but its record can't be given the run's name")]
    Label(#[source] CallError),
}

/// Its place among those under way, and who hears that it waits for long.
#[derive(Clone, Copy)]
pub(super) struct Scene<'s> {
    pub place: &'s Place<'s>,
    pub waits: Waits<'s>,
}

pub(super) async fn go(step: &BackStep, work: &BackWork, hands: Hands<'_>, scene: Scene<'_>) -> Result<(), BackError> {
    let BackStep { release, namespace, .. } = step;
    let begins = match step.deed {
        Deed::Remove { .. } => hands.run.begins_removal(release, namespace, work.at_most).await,
        Deed::RollBack { .. } | Deed::Unchanged => hands.run.begins(release, namespace, work.at_most).await,
    };
    let result = match begins {
        Ok(()) => deed(step, work, hands, scene).await,
        Err(why) => Err(BackCause::NotBegun(why.into())),
    };
    let state = match &result {
        Ok(()) => State::Done,
        Err(BackCause::NotBegun(Cause::Stopped(_))) => State::Waiting,
        Err(_) => State::Failed,
    };
    hands.run.is_now(release, namespace, state).await;
    result.map_err(|cause| BackError { release: release.clone(), namespace: namespace.clone(), cause })
}

async fn deed(step: &BackStep, work: &BackWork, hands: Hands<'_>, scene: Scene<'_>) -> Result<(), BackCause> {
    match &step.deed {
        Deed::Remove { .. } => remove(step, work, hands, scene).await,
        Deed::RollBack { to, .. } => roll_back(step, *to, work, hands, scene).await,
        Deed::Unchanged => Ok(()),
    }
}

async fn remove(step: &BackStep, work: &BackWork, hands: Hands<'_>, scene: Scene<'_>) -> Result<(), BackCause> {
    let BackStep { release, namespace, revision, .. } = step;
    let record = memory::keep_what_lasts(release, namespace, *revision, hands).await?;
    let cluster = &hands.kubectl.cluster;
    let (helm, watched) = (patient(hands.helm), Watched::new(scene.place));
    let hear = |progress| watched.hear(progress);
    let removed = helm.remove(release, namespace, work.timeout, cluster, &hear);
    let failed = watched.until(removed, work.timeout, hands.kubectl, scene.waits).await.err();
    let Some(error) = failed else { return delete_leftovers(namespace, work, hands).await };
    memory::remember(step, record, hands).await;
    if !readiness::gave_up(error.stderr()) {
        return Err(BackCause::Remove(error));
    }
    let reason = readiness::reason(error.stderr(), &[], hands.kubectl).await;
    Err(BackCause::NotGone(error, reason))
}

/// Deletes what goes with a release and is not helm's.
async fn delete_leftovers(namespace: &str, work: &BackWork, hands: Hands<'_>) -> Result<(), BackCause> {
    for (kind, names, what) in
        [("secret", &work.secrets, "its Secrets"), ("persistentvolumeclaim", &work.claims, "its claims")]
    {
        if !names.is_empty() {
            let deleted = hands.kubectl.delete(kind, Some(namespace), names, work.timeout).await;
            deleted.map_err(|error| BackCause::Leftovers(what, error))?;
        }
    }
    Ok(())
}

async fn roll_back(
    step: &BackStep,
    to: u64,
    work: &BackWork,
    hands: Hands<'_>,
    scene: Scene<'_>,
) -> Result<(), BackCause> {
    let BackStep { release, namespace, revision, .. } = step;
    let request = RollbackRequest {
        release,
        namespace,
        to,
        wait: work.wait,
        timeout: work.timeout,
        cluster: &hands.kubectl.cluster,
    };
    let (helm, watched) = (patient(hands.helm), Watched::new(scene.place));
    let hear = |progress| watched.hear(progress);
    let back = helm.roll_back(&request, &hear);
    if let Err(error) = watched.until(back, work.timeout, hands.kubectl, scene.waits).await {
        if !readiness::gave_up(error.stderr()) {
            return Err(BackCause::RollBack(error));
        }
        let reason = readiness::reason(error.stderr(), &[], hands.kubectl).await;
        return Err(BackCause::NotReady(error, reason));
    }
    // helm gives the new revision all labels of the old one, its run too. The run is this one: whoever wants to come back
    // here names it.
    let run = hands.run.run();
    let labelled =
        hands.kubectl.label_record(namespace, release, revision + 1, &[(label::RUN.to_owned(), run.to_owned())]).await;
    labelled.map_err(BackCause::Label)
}

/// helm that is not told of an interrupt: `uninstall` and `rollback` do not hear it, and would be ended in the middle.
/// Nothing more is begun; what is begun ends by itself, at the latest when its time is over.
fn patient(helm: &Helm) -> Helm {
    Helm { interrupt: Interrupt::never(), ..helm.clone() }
}
