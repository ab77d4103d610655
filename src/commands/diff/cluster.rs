//! What a cluster has of releases: helm's records, and what platctl made beside them; and the secrets at hand to compare
//! them with.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use serde_json::Value as Json;

use super::owned;
use super::side::{Rendering, Side};
use crate::commands::{Context, reveal};
use crate::definition::{Definition, Release};
use crate::plan::{self, Action, Observation, Plan, label};
use crate::record::Record;
use crate::secrets::Revealed;
use crate::tools::{CallError, Kubectl};
use crate::ui::failure::{self, Code, Failure, Failures};

/// From so many records on, one list of all costs less than a request for each: every kubectl takes some 45 ms of a core.
pub const MANY: usize = 4;
/// Records that are asked for at the same time.
const AT_ONCE: usize = 4;

/// What a cluster has of releases.
#[derive(Default)]
pub struct Cluster {
    /// helm's records of what was deployed last, by release.
    pub records: BTreeMap<String, Record>,
    /// Namespaces, Secrets and definitions, which helm does not record.
    pub existing: Vec<Json>,
    /// Releases whose record can't be read, and why.
    pub failures: Vec<(String, Failure)>,
}

impl Cluster {
    /// The resource definitions that were looked up.
    pub fn definitions(&self) -> impl Iterator<Item = &Json> {
        self.existing.iter().filter(|object| object["kind"] == "CustomResourceDefinition")
    }
}

/// The secrets that releases ask for, if there is a key; else why they are not compared.
pub(super) async fn secrets_at_hand(
    context: &Context,
    side: &Side,
    releases: &[&Release],
) -> Result<(Option<Revealed>, Option<String>), Failures> {
    if releases.iter().all(|release| release.secret_uses().next().is_none()) {
        return Ok((None, None));
    }
    match reveal::revealed(context, &side.workspace, side.definition(), releases).await {
        Ok(revealed) => Ok((Some(revealed), None)),
        Err(failures) if failures.failures.iter().any(|failure| failure.code == Code::Interrupted) => Err(failures),
        Err(failures) => {
            let why = failures.failures.first().map(|failure| failure.title.clone()).unwrap_or_default();
            Ok((None, Some(format!("secrets are not compared: {why}"))))
        }
    }
}

/// The releases that are there, in any state.
pub(super) fn installed(plan: &Plan) -> BTreeSet<String> {
    let there = plan.steps().filter(|step| !matches!(step.action, Action::Install));
    there.map(|step| step.release.clone()).collect()
}

/// helm's records of releases: each by itself, or all at once.
pub async fn records(
    kubectl: &Kubectl,
    plan: &Plan,
    observed: &Observation,
    releases: &[&Release],
) -> Result<Cluster, Failures> {
    let there = installed(plan);
    let many = releases.iter().filter(|release| there.contains(&release.name)).count() >= MANY;
    let listed = if many { list(kubectl, &plan.platform, &plan.environment).await } else { Ok(Vec::new()) };
    completed(kubectl, plan, observed, releases, listed).await
}

/// Every deployed record of an environment; an error is one of the list alone.
pub async fn listed(kubectl: &Kubectl, definition: &Definition) -> Result<Vec<Record>, ListError> {
    list(kubectl, &definition.environment.platform, &definition.environment.name).await
}

/// Why no list could be had.
pub enum ListError {
    /// The cluster can't be asked.
    Call(CallError),
    /// One of them is no record.
    Record,
}

async fn list(kubectl: &Kubectl, platform: &str, environment: &str) -> Result<Vec<Record>, ListError> {
    let labels = [(label::PLATFORM, platform), (label::ENVIRONMENT, environment)];
    let list = kubectl.deployed_records(&labels).await.map_err(ListError::Call)?;
    Record::read_list(&list).map_err(|_| ListError::Record)
}

/// The records of these releases: those that a list has, and the others one by one.
pub(super) async fn completed(
    kubectl: &Kubectl,
    plan: &Plan,
    observed: &Observation,
    releases: &[&Release],
    listed: Result<Vec<Record>, ListError>,
) -> Result<Cluster, Failures> {
    let listed = match listed {
        Ok(listed) => listed,
        // Who may not list them all may still read each; and one that can't be read is told apart from the others so.
        Err(ListError::Call(error)) if !error.is_forbidden() => {
            return Err(failure::cluster("cannot read helm's records", &error));
        }
        Err(_) => Vec::new(),
    };
    let there = installed(plan);
    let mut cluster = Cluster::default();
    let mut missing = Vec::new();
    for release in releases.iter().filter(|release| there.contains(&release.name)) {
        let Some(seen) = observed.get(&release.namespace, &release.name) else { continue };
        let revision = seen.deployed.unwrap_or(seen.revision);
        let is_it = |r: &&Record| r.name == release.name && r.namespace == release.namespace && r.revision == revision;
        match listed.iter().find(is_it) {
            Some(record) => _ = cluster.records.insert(release.name.clone(), record.clone()),
            None => missing.push((release, revision)),
        }
    }
    let fetch = |(release, revision): (&&Release, u64)| {
        let (name, namespace) = (release.name.clone(), release.namespace.clone());
        async move { (name.clone(), kubectl.release_record(&namespace, &name, revision).await) }
    };
    let mut fetched = stream::iter(missing.into_iter().map(fetch)).buffered(AT_ONCE);
    while let Some((name, json)) = fetched.next().await {
        let json = json.map_err(|error| failure::cluster(&format!("{name}: cannot read helm's record"), &error))?;
        match Record::read(&json) {
            Ok(record) => _ = cluster.records.insert(name, record),
            Err(error) => cluster.failures.push((name.clone(), failure::unreadable_record(&name, &error))),
        }
    }
    Ok(cluster)
}

/// What platctl made for releases beside helm, as it is in the cluster: asked for at once, where there is anything to ask.
pub(super) async fn existing(
    kubectl: &Kubectl,
    side: &Side,
    plan: &Plan,
    rendering: &Rendering,
    secrets: Option<&Revealed>,
    all_definitions: bool,
) -> Result<Vec<Json>, Failures> {
    let mut asked: Vec<Json> = Vec::new();
    let namespaces = side.definition().namespaces();
    for step in plan.steps() {
        let Some(wanted) = rendering.wanted.get(&step.release) else { continue };
        let Some(release) = side.definition().releases.iter().find(|r| r.name == step.release) else { continue };
        let labels = namespaces.get(&release.namespace).cloned().unwrap_or_default();
        if !labels.is_empty() || step.action == Action::Install {
            asked.push(owned::namespace(&release.namespace, &labels));
        }
        asked.extend(owned::definitions_asked(wanted, all_definitions));
        asked.extend(owned::secrets(release, &plan::object_labels(plan, step), secrets)?);
    }
    let mut seen = BTreeSet::new();
    asked.retain(|object| {
        let metadata = &object["metadata"];
        seen.insert(format!("{} {} {}", object["kind"], metadata["namespace"], metadata["name"]))
    });
    let found = kubectl.existing(&asked).await;
    found.map_err(|error| failure::cluster("cannot look at namespaces, Secrets and resource definitions", &error))
}
