//! One release's step: namespace, resource definitions, helm; and what its failure means.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::settle::{self, Left};
use super::{Hands, Moved, Stop, Work, diagnose};
use crate::plan::Step;
use crate::render::{Difference, Refusal, Violation};
use crate::tools::{CallError, Kubectl, UpgradeRequest};

/// A release's step that failed.
#[derive(Debug, thiserror::Error)]
#[error("{release}: {cause}")]
pub struct ReleaseError {
    /// The release, or `the namespaces`.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// Why.
    #[source]
    pub cause: Cause,
    /// What the cluster says of its pods, a line each.
    pub observed: Vec<String>,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The namespaces of the releases could not be made.
    #[error("they can't be made")]
    Namespaces(#[source] CallError),
    /// The Kubernetes Secrets could not be applied.
    #[error("cannot apply its Secrets")]
    Secrets(#[source] CallError),
    /// The resource definitions could not be applied.
    #[error("cannot apply its custom resource definitions")]
    Crds(#[source] CallError),
    /// What helm rendered holds images that may not run; helm changed nothing.
    #[error("it rendered {} images that are not locked", .0.len())]
    Images(Vec<Violation>),
    /// What helm rendered live is not what was planned; helm changed nothing.
    #[error("it renders otherwise live than planned")]
    Otherwise(Vec<Difference>),
    /// helm failed.
    #[error("helm failed")]
    Helm(#[source] CallError),
    /// helm did not end by itself, or could not write how it ended, and left the release in the middle of an operation.
    #[error("helm left it in `{status}`")]
    Left {
        /// helm's status of it.
        status: String,
        /// Whether there is a revision to go back to.
        deployed: bool,
        /// How helm ended.
        #[source]
        error: CallError,
    },
    /// Another run has the lease; helm changed nothing.
    #[error("helm was kept from writing")]
    Fenced(String),
    /// Somebody else changed it since it was planned; nothing was done.
    #[error("somebody else changed it since it was planned")]
    Moved(Moved),
    /// The cluster could not be asked whether somebody else changed it; nothing was done.
    #[error("cannot look at helm's records")]
    Observed(#[source] CallError),
    /// Nothing more may be begun.
    #[error("nothing more is begun")]
    Stopped(Stop),
}

impl Cause {
    /// The error of a release, or of the namespaces of all.
    pub(super) fn of(self, release: &str) -> ReleaseError {
        ReleaseError { release: release.to_owned(), namespace: String::new(), cause: self, observed: Vec::new() }
    }
}

/// Makes namespaces with their labels.
pub(super) async fn ensure_namespaces(
    kubectl: &Kubectl,
    wanted: &BTreeSet<&str>,
    labels: &BTreeMap<String, BTreeMap<String, String>>,
) -> Result<(), Cause> {
    let objects: Vec<_> = wanted
        .iter()
        .map(|name| {
            let labels = labels.get(*name).cloned().unwrap_or_default();
            serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        })
        .collect();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
    kubectl.apply(&list.to_string(), false).await.map_err(Cause::Namespaces)
}

/// Does one release's step.
pub(super) async fn apply(step: &Step, work: &Work, hands: Hands<'_>) -> Result<(), ReleaseError> {
    match steps(step, work, hands).await {
        Ok(()) => Ok(()),
        Err(cause) => Err(ReleaseError {
            observed: observed(&cause, step, hands.kubectl).await,
            release: step.release.clone(),
            namespace: step.namespace.clone(),
            cause,
        }),
    }
}

async fn steps(step: &Step, work: &Work, hands: Hands<'_>) -> Result<(), Cause> {
    if let Some(secrets) = &work.secrets {
        hands.kubectl.apply(secrets, false).await.map_err(Cause::Secrets)?;
    }
    if let Some((names, text)) = &work.crds {
        apply_crds(hands.kubectl, names, text).await.map_err(Cause::Crds)?;
    }
    upgrade(step, work, hands).await
}

async fn upgrade(step: &Step, work: &Work, hands: Hands<'_>) -> Result<(), Cause> {
    let request = UpgradeRequest {
        release: &step.release,
        namespace: &step.namespace,
        chart: &work.chart,
        values: &work.values,
        labels: &work.labels,
        wait: work.wait,
        timeout: work.timeout,
        post_render: &work.task,
        cluster: &hands.kubectl.cluster,
    };
    let Err(error) = hands.helm.upgrade(&request).await else { return Ok(()) };
    if let Some(why) = work.fence.refused() {
        return Err(Cause::Fenced(why));
    }
    match refused(work) {
        Some(Refusal::ClosedWorld(violations)) => return Err(Cause::Images(violations)),
        Some(Refusal::Otherwise(differences)) => return Err(Cause::Otherwise(differences)),
        None => {}
    }
    Err(match settle::left(step, &error, hands).await? {
        Left::Well | Left::Unlocked => Cause::Helm(error),
        Left::Pending { status, deployed } => Cause::Left { status, deployed, error },
    })
}

/// What the post-renderer refused. helm itself only says that a plugin failed. It stays no longer than it takes to read
/// it: a chart may have put a secret where an image should be.
fn refused(work: &Work) -> Option<Refusal> {
    let findings = fs::read(&work.findings).ok()?;
    let _ = fs::remove_file(&work.findings);
    serde_json::from_slice(&findings).ok()
}

/// Applies definitions on the server and waits until they are served. Fields are taken over only from helm, which
/// owns them where a chart was installed by hand before.
async fn apply_crds(kubectl: &Kubectl, names: &[String], text: &str) -> Result<(), CallError> {
    if let Err(error) = kubectl.apply(text, false).await {
        if !only_helm_conflicts(error.stderr()) {
            return Err(error);
        }
        kubectl.apply(text, true).await?;
    }
    kubectl.wait_established(names).await
}

/// Whether every conflict kubectl reports is with the field manager `helm`.
fn only_helm_conflicts(stderr: &str) -> bool {
    let mut others = stderr
        .lines()
        .filter_map(|line| line.split("conflicts with \"").nth(1).or(line.split("conflict with \"").nth(1)));
    let found: Vec<&str> = others.by_ref().filter_map(|rest| rest.split('"').next()).collect();
    !found.is_empty() && found.iter().all(|manager| *manager == "helm")
}

/// What the pods of a release say, when helm gave up on them.
async fn observed(cause: &Cause, step: &Step, kubectl: &Kubectl) -> Vec<String> {
    match cause {
        Cause::Helm(error) if !error.interrupted() => match kubectl.pods(&step.namespace, &step.release).await {
            Ok(pods) => diagnose::pods(&pods),
            Err(_) => Vec::new(),
        },
        _ => Vec::new(),
    }
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
