//! Releases that helm left in the middle of an operation: waiting for helms still at work, and putting the others
//! right when asked to. Must not recover anything unasked.

use std::time::Duration;

use super::Context;
use crate::execute::{self, UnlockError};
use crate::plan::{Action, Blocked, Observation, Observed, Plan, Step, label};
use crate::tools::{self, Helm, Kubectl};
use crate::ui::failure::{self, Code, Failure, Failures, Kind};

/// How often it is looked whether a helm has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How to put a release right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Recovery {
    /// Back to the revision that was deployed last
    Rollback,
    /// Away with it; it is then installed anew
    Uninstall,
    /// Mark the operation as failed and touch nothing else; it is then upgraded
    Unlock,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// How to put right whatever is pending.
    pub how: Option<Recovery>,
    /// The run whose pending releases are unlocked: that it left them is what their labels prove.
    pub resumed: Option<&'a str>,
    /// This run.
    pub run: &'a str,
}

/// Waits for helms that an earlier, killed run left at work on this host, also for those that have not written their
/// record yet; then recovers what is still pending if that was asked for. Returns whether anything may have changed.
/// The caller holds the environment's lease.
///
/// # Errors
/// [`Failures`] when a recovery fails.
pub async fn recover(
    context: &Context,
    plan: &Plan,
    observed: &Observation,
    helm: &Helm,
    kubectl: &Kubectl,
    wanted: Wanted<'_>,
) -> Result<bool, Failures> {
    let mut changed = false;
    for step in plan.changes() {
        if is_at_work(helm, step) {
            context.ui.say("Waiting", format!("for the helm that an earlier run left at work on {}", step.release));
            while is_at_work(helm, step) && !context.interrupt.said() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            changed = true;
        } else if let (Some(found), Some(how)) = (pending(step, observed), how(step, observed, wanted)) {
            put_right(context, helm, kubectl, step, found, how, wanted.run).await?;
            changed = true;
        }
    }
    Ok(changed)
}

fn is_at_work(helm: &Helm, step: &Step) -> bool {
    tools::at_work(&helm.program).contains(&(step.release.clone(), step.namespace.clone()))
}

/// The record of a step that helm left in the middle of an operation.
fn pending<'o>(step: &Step, observed: &'o Observation) -> Option<&'o Observed> {
    let pending = matches!(step.action, Action::Blocked { reason: Blocked::Pending { .. } });
    observed.get(&step.namespace, &step.release).filter(|_| pending)
}

/// How to put a step's release right: as was asked for, or by unlocking what the resumed run left.
fn how(step: &Step, observed: &Observation, wanted: Wanted<'_>) -> Option<Recovery> {
    let run = pending(step, observed)?.label(label::RUN);
    wanted.how.or((run.is_some() && run == wanted.resumed).then_some(Recovery::Unlock))
}

async fn put_right(
    context: &Context,
    helm: &Helm,
    kubectl: &Kubectl,
    step: &Step,
    found: &Observed,
    how: Recovery,
    run: &str,
) -> Result<(), Failures> {
    let Step { release, namespace, .. } = step;
    let cluster = &kubectl.cluster;
    let result = match (how, found.deployed) {
        (Recovery::Uninstall, _) => {
            context.ui.say("Recovering", format!("{release}: uninstall"));
            helm.uninstall(release, namespace, cluster).await
        }
        (Recovery::Rollback, Some(revision)) => {
            context.ui.say("Recovering", format!("{release}: rollback to revision {revision}"));
            match helm.rollback(release, namespace, revision, cluster).await {
                // helm gave it the run of the revision that it went back to, and none that goes on made it.
                Ok(()) => kubectl.unlabel_record(namespace, release, found.revision + 1, label::RUN).await,
                failed => failed,
            }
        }
        (Recovery::Rollback, None) => {
            let title = format!("{release}: there is no revision to roll back to");
            return Err(Failure::new(Code::Pending, Kind::Yours, title).help("use --recover uninstall").into());
        }
        (Recovery::Unlock, _) => {
            let text = format!("{release}: revision {} was `{}` and is marked as failed", found.revision, found.status);
            context.ui.say("Recovering", text);
            let unlocked = execute::unlock(kubectl, namespace, release, found.revision, run).await;
            return unlocked.map_err(|error| not_unlocked(release, error));
        }
    };
    result.map_err(|e| failure::cluster(&format!("{release}: cannot recover it"), &e))
}

fn not_unlocked(release: &str, error: UnlockError) -> Failures {
    let title = format!("{release}: cannot unlock it");
    match error {
        UnlockError::Call(error) => failure::cluster(&title, &error),
        error => {
            let failure = Failure::new(Code::Pending, Kind::Permanent, format!("{title}: {error}"));
            failure.help("use --recover rollback or --recover uninstall").into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_or_what_the_resumed_run_left_is_put_right() {
        let status = "pending-upgrade".to_owned();
        let reason = Blocked::Pending { status, deployed: Some(1) };
        let step = |action| Step {
            release: "a".into(),
            namespace: "n".into(),
            needs: Vec::new(),
            action,
            version: "1".into(),
            inputs: "i".into(),
            secrets: Vec::new(),
            live: None,
        };
        let observed =
            Observation::parse("n s t 1 5m name=a,owner=helm,status=pending-upgrade,version=2,platctl.dev/run=r1\n");
        let blocked = step(Action::Blocked { reason });
        let of = |step: &Step, asked, resumed| how(step, &observed, Wanted { how: asked, resumed, run: "r2" });
        assert_eq!(of(&blocked, None, None), None);
        assert_eq!(of(&blocked, None, Some("r1")), Some(Recovery::Unlock));
        assert_eq!(of(&blocked, None, Some("r0")), None, "another run's");
        assert_eq!(of(&blocked, Some(Recovery::Rollback), Some("r1")), Some(Recovery::Rollback));
        assert_eq!(of(&step(Action::Install), Some(Recovery::Rollback), Some("r1")), None);
        let unlabelled = Observation::parse("n s t 1 5m name=a,owner=helm,status=pending-upgrade,version=2\n");
        assert_eq!(how(&blocked, &unlabelled, Wanted { how: None, resumed: Some("r1"), run: "r2" }), None);
    }
}
