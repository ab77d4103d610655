//! One release's step: Secrets, resource definitions, helm; what may pass by itself is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use super::budget::Place;
use super::failed::{Cause, ReleaseError};
use super::retry::Patience;
use super::settle::{self, Left};
use super::watched::{Waits, Watched};
use super::{Event, Hands, Work, hooks, own_secrets, readiness, recreation};
use crate::plan::{Action, Step};
use crate::render::Refusal;
use crate::tools::{CallError, Kubectl, UpgradeRequest};

/// A Deployment that is called failed so soon for having made no progress is so from before this upgrade: helm saw it before
/// the controller looked at what has changed, and gave up.
const EARLY: Duration = Duration::from_secs(30);
/// How long the controller is given then.
const SETTLES: Duration = Duration::from_secs(2);

/// Where a step is done, and who hears of it.
struct Scene<'s> {
    hands: Hands<'s>,
    place: &'s Place<'s>,
    say: Say<'s>,
    waits: Waits<'s>,
}

/// Tells what goes on inside a step.
pub(super) type Say<'a> = &'a (dyn Fn(String) + Send + Sync);

/// Makes namespaces with their labels.
pub(super) async fn ensure_namespaces(
    kubectl: &Kubectl,
    wanted: &BTreeSet<&str>,
    labels: &BTreeMap<String, BTreeMap<String, String>>,
    patience: &mut Patience,
    say: Say<'_>,
) -> Result<(), Cause> {
    let objects: Vec<_> = wanted
        .iter()
        .map(|name| {
            let labels = labels.get(*name).cloned().unwrap_or_default();
            serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        })
        .collect();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let text = list.to_string();
    persistent(|| kubectl.apply_own(&text), patience, say).await.map_err(Cause::Namespaces)
}

/// Does one release's step, with what comes before and after it.
pub(super) async fn apply(
    step: &Step,
    work: &Work,
    hands: Hands<'_>,
    place: &Place<'_>,
    events: &(dyn Fn(Event<'_>) + Send + Sync),
) -> Result<(), ReleaseError> {
    let mut patience = Patience::of(work.timeout, &hands.helm.interrupt);
    let say = |why| events(Event::Again(&step.release, why));
    let waits = |since, why: &[String]| events(Event::Waits(step, since, why));
    let scene = Scene { hands, place, say: &say, waits: &waits };
    let whole = async {
        hooks::run(&work.hooks.before, hands, events).await.map_err(Cause::Hook)?;
        steps(step, work, &scene, &mut patience).await?;
        hooks::run(&work.hooks.after, hands, events).await.map_err(Cause::Hook)?;
        if work.finish_with_tier { Ok(()) } else { finish(step, work, hands).await }
    };
    let result = whole.await;
    result.map_err(|cause| ReleaseError { tries: patience.tries, ..cause.of(&step.release, &step.namespace) })
}

/// Records that everything is done, what follows helm too.
pub(super) async fn finish(step: &Step, work: &Work, hands: Hands<'_>) -> Result<(), Cause> {
    let Some((label, value)) = &work.finish else { return Ok(()) };
    hands.kubectl.label_deployed(&step.namespace, &step.release, label, value).await.map_err(Cause::Finish)
}

async fn steps(step: &Step, work: &Work, scene: &Scene<'_>, patience: &mut Patience) -> Result<(), Cause> {
    let Scene { hands, say, .. } = *scene;
    if let Some(secrets) = &work.secrets {
        let applied = persistent(|| hands.kubectl.apply_own(secrets), patience, say).await;
        own_secrets::settled(applied, secrets, hands.kubectl).await?;
    }
    if let Some((names, text)) = &work.crds {
        apply_crds(hands.kubectl, names, text, patience, say).await.map_err(Cause::Crds)?;
    }
    if let Action::Adopt { revision } = step.action {
        let labelled = hands.kubectl.label_record(&step.namespace, &step.release, revision, &work.labels);
        return labelled.await.map_err(Cause::Finish);
    }
    recreation::delete(work, hands.kubectl).await.map_err(Cause::Recreate)?;
    let begun = Instant::now();
    let (mut tried, mut overdue) = (false, false);
    loop {
        // Nothing is kept of a release that was never tried.
        if work.forget && (step.action != Action::Install || tried) {
            hands.kubectl.forget_failed(&step.namespace, &step.release).await.map_err(Cause::Forget)?;
        }
        let Err(cause) = upgrade(step, work, scene).await else { return Ok(()) };
        tried = true;
        match &cause {
            Cause::Helm(error) if patience.again(error, say).await => {}
            Cause::NotReady(_, reason) if reason.deadline && !overdue && begun.elapsed() < EARLY => {
                overdue = true;
                say("a Deployment still counts as failed from before; again".to_owned());
                tokio::time::sleep(SETTLES).await;
            }
            _ => return Err(cause),
        }
    }
}

async fn upgrade(step: &Step, work: &Work, scene: &Scene<'_>) -> Result<(), Cause> {
    let hands = scene.hands;
    let request = UpgradeRequest {
        release: &step.release,
        namespace: &step.namespace,
        chart: &work.chart,
        values: &work.values,
        labels: &work.labels,
        take_ownership: work.take_ownership,
        force_conflicts: work.force_conflicts,
        wait: work.wait,
        timeout: work.timeout,
        post_render: &work.task,
        cluster: &hands.kubectl.cluster,
    };
    let watched = Watched::new(scene.place);
    let hear = |progress| watched.hear(progress);
    let helm = hands.helm.upgrade(&request, &hear);
    let Err(error) = watched.until(helm, work.timeout, hands.kubectl, scene.waits).await else { return Ok(()) };
    if let Some(why) = work.fence.refused() {
        return Err(Cause::Fenced(why));
    }
    match refused(work) {
        Some(Refusal::ClosedWorld(violations)) => return Err(Cause::Images(violations)),
        Some(Refusal::Otherwise(differences)) => return Err(Cause::Otherwise(differences)),
        None => {}
    }
    match settle::left(step, &error, hands).await? {
        Left::Pending { status, deployed } => return Err(Cause::Left { status, deployed, error }),
        Left::Untouched => return Err(Cause::Killed(error)),
        Left::Unlocked | Left::Well => {}
    }
    if error.interrupted() || !readiness::gave_up(error.stderr()) {
        return Err(Cause::Helm(error));
    }
    let reason = readiness::reason(error.stderr(), &work.runs, hands.kubectl).await;
    Err(Cause::NotReady(error, reason))
}

/// What the post-renderer refused. helm itself only says that a plugin failed. It stays no longer than it takes to read
/// it: a chart may have put a secret where an image should be.
fn refused(work: &Work) -> Option<Refusal> {
    let findings = fs::read(&work.findings).ok()?;
    let _ = fs::remove_file(&work.findings);
    serde_json::from_slice(&findings).ok()
}

/// Calls again what may pass by itself.
async fn persistent<F>(call: impl Fn() -> F, patience: &mut Patience, say: Say<'_>) -> Result<(), CallError>
where
    F: Future<Output = Result<(), CallError>>,
{
    loop {
        match call().await {
            Err(error) if patience.again(&error, say).await => {}
            result => return result,
        }
    }
}

/// Applies definitions on the server and waits until they are served. Fields are taken over only from helm, which
/// owns them where a chart was installed by hand before.
async fn apply_crds(
    kubectl: &Kubectl,
    names: &[String],
    text: &str,
    patience: &mut Patience,
    say: Say<'_>,
) -> Result<(), CallError> {
    if let Err(error) = persistent(|| kubectl.apply(text, false), patience, say).await {
        if !only_helm_conflicts(error.stderr()) {
            return Err(error);
        }
        kubectl.apply(text, true).await?;
    }
    kubectl.wait_established(names).await
}

/// Whether every conflict kubectl reports is with the field manager `helm`.
pub fn only_helm_conflicts(stderr: &str) -> bool {
    let mut others = stderr
        .lines()
        .filter_map(|line| line.split("conflicts with \"").nth(1).or(line.split("conflict with \"").nth(1)));
    let found: Vec<&str> = others.by_ref().filter_map(|rest| rest.split('"').next()).collect();
    !found.is_empty() && found.iter().all(|manager| *manager == "helm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_over_from_helm_alone() {
        let helm = "error: Apply failed with 1 conflict: conflict with \"helm\" using apiextensions.k8s.io/v1: .spec.versions\nPlease review";
        let other = "error: Apply failed with 2 conflicts: conflicts with \"helm\":\n- .spec.versions\nconflicts with \"cert-manager-cainjector\":\n- .spec.conversion";
        assert!(only_helm_conflicts(helm));
        assert!(!only_helm_conflicts(other));
        assert!(!only_helm_conflicts("connection refused"));
    }
}
