//! Releases that helm left in the middle of an operation: waiting for helms still at work, and putting the others
//! right when asked to. Must not recover anything unasked.

use std::time::Duration;

use super::Context;
use crate::plan::{Action, Blocked, Plan, Step};
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
}

/// Waits for helms that an earlier, killed run left at work on this host, also for those that have not written their
/// record yet; then recovers what is still pending if that was asked for. Returns whether anything may have changed.
///
/// # Errors
/// [`Failures`] when a recovery fails.
pub async fn recover(
    context: &Context,
    plan: &Plan,
    helm: &Helm,
    kubectl: &Kubectl,
    how: Option<Recovery>,
) -> Result<bool, Failures> {
    let mut changed = false;
    for step in plan.changes() {
        if is_at_work(helm, step) {
            context.ui.say("Waiting", format!("for the helm that an earlier run left at work on {}", step.release));
            while is_at_work(helm, step) && !context.interrupt.said() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            changed = true;
        } else if let (Some(how), Action::Blocked { reason: Blocked::Pending { deployed, .. } }) = (how, &step.action) {
            put_right(context, helm, kubectl, step, *deployed, how).await?;
            changed = true;
        }
    }
    Ok(changed)
}

fn is_at_work(helm: &Helm, step: &Step) -> bool {
    tools::at_work(&helm.program).contains(&(step.release.clone(), step.namespace.clone()))
}

async fn put_right(
    context: &Context,
    helm: &Helm,
    kubectl: &Kubectl,
    step: &Step,
    deployed: Option<u64>,
    how: Recovery,
) -> Result<(), Failures> {
    let Step { release, namespace, .. } = step;
    let cluster = &kubectl.cluster;
    let result = match (how, deployed) {
        (Recovery::Uninstall, _) => {
            context.ui.say("Recovering", format!("{release}: uninstall"));
            helm.uninstall(release, namespace, cluster).await
        }
        (Recovery::Rollback, Some(revision)) => {
            context.ui.say("Recovering", format!("{release}: rollback to revision {revision}"));
            helm.rollback(release, namespace, revision, cluster).await
        }
        (Recovery::Rollback, None) => {
            let title = format!("{release}: there is no revision to roll back to");
            return Err(Failure::new(Code::Pending, Kind::Yours, title).help("use --recover uninstall").into());
        }
    };
    result.map_err(|e| failure::cluster(&format!("{release}: cannot recover it"), &e))
}
