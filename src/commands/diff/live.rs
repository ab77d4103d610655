//! A definition against the objects in the cluster: the API server says what would become of each if helm applied it, and
//! that is compared with what it is. Changes nothing. What only others manage is no difference.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use serde_json::Value as Json;

use super::cluster::{self, Cluster};
use super::hidden::Hidden;
use super::release::{self, Compared};
use super::side::{Rendering, Side};
use super::{Asked, Outcome};
use crate::commands::{Context, records};
use crate::definition::Release;
use crate::diff::{self, Comparison, ReleaseDiff, Report};
use crate::object::Stream;
use crate::plan::{Action, Plan};
use crate::tools::{CallError, DryRun, Kubectl};
use crate::ui::failure::{self, Failures};

/// The name under which helm applies.
const HELM: &str = "helm";
/// What kubectl says of a kind that the API server does not serve.
const UNKNOWN_KIND: &str = "no matches for kind";
/// Releases that are asked about at the same time.
const AT_ONCE: usize = 4;

/// Compares.
pub(super) async fn compare(context: &Context, new: &Side, asked: Asked) -> Result<Outcome, Failures> {
    let definition = new.definition();
    let selector = context.global.selector()?;
    let desired = new.desired(&selector)?;
    let kubectl = new.workspace.kubectl(context, &definition.environment).await?;
    let observed = records::observe(context, &kubectl, definition).await?;
    let plan = Plan::build(definition, &desired, &observed);
    let blocked: BTreeSet<&str> = plan
        .steps()
        .filter(|step| matches!(step.action, Action::Blocked { .. }))
        .map(|step| step.release.as_str())
        .collect();
    let releases: Vec<&Release> =
        desired.iter().map(|d| d.release).filter(|release| !blocked.contains(release.name.as_str())).collect();
    let (secrets, note) = cluster::secrets_at_hand(context, new, &releases).await?;
    let upgrades = cluster::installed(&plan);
    let (rendering, cluster) = tokio::join!(
        new.render(context, &releases, &upgrades, secrets.as_ref()),
        cluster::records(&kubectl, &plan, &observed, &releases),
    );
    let (rendering, cluster) = (rendering?, cluster?);
    let existing = cluster::existing(&kubectl, new, &plan, &rendering, secrets.as_ref(), true).await?;
    let cluster = Cluster { existing, ..cluster };
    let mut report = Report {
        old: format!("the objects in {}", definition.environment.name),
        new: release::named(&new.workspace),
        unchanged: 0,
        releases: Vec::new(),
        failed: rendering.failed(&releases),
        notes: note.into_iter().chain(hooks_left_out(&rendering)).collect(),
    };
    let shown: Vec<&Release> = releases.clone();
    let compared = releases.iter().filter_map(|release| {
        let step = plan.steps().find(|step| step.release == release.name)?;
        let wanted = rendering.wanted.get(&release.name)?;
        Some(Compared { side: new, release, step, wanted, secrets: secrets.as_ref(), among: &shown })
    });
    let compared: Vec<Compared<'_>> = compared.collect();
    let looking = compared.iter().map(|one| one_release(&kubectl, one, &cluster, &plan, asked));
    let mut looked = stream::iter(looking).buffered(AT_ONCE);
    while let Some(found) = looked.next().await {
        match found? {
            Some(diff) => report.releases.push(diff),
            None => report.unchanged += 1,
        }
    }
    for step in plan.steps().filter(|step| blocked.contains(step.release.as_str())) {
        let release = definition.releases.iter().find(|release| release.name == step.release);
        report.releases.extend(release.and_then(|release| release::blocked(new, release, step)));
    }
    Ok(Outcome { report, failures: rendering.failures, names: release::names(&[new], cluster.records.values()) })
}

async fn one_release(
    kubectl: &Kubectl,
    one: &Compared<'_>,
    cluster: &Cluster,
    plan: &Plan,
    asked: Asked,
) -> Result<Option<ReleaseDiff>, Failures> {
    if one.step.action == Action::Install {
        return one.with_record(cluster, plan, asked).map(Some);
    }
    let record = cluster.records.get(&one.release.name);
    let namespace = one.release.namespace.as_str();
    let dropped = dropped(record.map(|record| &record.stream), &one.wanted.stream, &one.release.name, namespace);
    let mut would = diff::as_helm_applies(&one.wanted.stream, &one.release.name, namespace);
    // Their schemas are compared by what they mean.
    would.retain(|object| object["kind"] != "CustomResourceDefinition");
    let failed = |error| failure::cluster(&format!("{}: cannot look at its objects", one.release.name), &error);
    let answers = kubectl.dry_run_apply(&would, HELM).await.map_err(failed)?;
    let known: Vec<Json> = would
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| **answer != DryRun::UnknownKind)
        .map(|(o, _)| o.clone())
        .collect();
    let there = kubectl.existing(&known).await.map_err(failed)?;
    let still_there = existing_of_any_kind(kubectl, &dropped).await.map_err(failed)?;
    let hidden = Hidden::of(one.side, Some(one.release), record, Some(one.wanted), one.secrets);
    let veils = [one.side.veil(hidden.masker(), false), one.side.veil(hidden.masker(), false)];
    let how = Comparison { namespace, old: &veils[0], new: &veils[1], context: asked.unified };
    let mut diff = one.begun(record);
    diff.objects = one.owned(cluster, plan, &how)?;
    diff.definitions = one.live_definitions(cluster);
    for (sent, answer) in would.iter().zip(answers) {
        let title = format!("{} {}", text(&sent["kind"]), text(&sent["metadata"]["name"]));
        match answer {
            DryRun::Would(would) => {
                let now = there.iter().find(|object| is_same(object, &would)).cloned();
                diff.objects.extend(diff::live(now, would, &how));
            }
            DryRun::UnknownKind => {
                diff.notes.push(format!("{title}: not compared, its definition is not in the cluster yet"));
            }
            DryRun::Refused(word) => {
                let word = veils[1].shown(&word);
                diff.notes.push(format!("{title}: the API server would refuse it: {}", word.replace('\n', " ")));
            }
        }
    }
    diff.objects.extend(still_there.into_iter().filter_map(|object| diff::live_gone(object, &how)));
    one.images(&record.map_or_else(release::nothing, |record| Ok(record.stream.clone()))?, &mut diff);
    let is_changed = one.step.action != Action::Unchanged;
    Ok((is_changed || release::differs(&diff)).then_some(diff))
}

/// What helm installed and would not any more: it deletes that.
fn dropped(stored: Option<&Stream>, wanted: &Stream, release: &str, namespace: &str) -> Vec<Json> {
    let applied = |stream: &Stream| diff::as_helm_applies(stream, release, namespace);
    let (mut dropped, would) = (stored.map(applied).unwrap_or_default(), applied(wanted));
    dropped.retain(|old| !would.iter().any(|new| is_same_of_any_version(old, new)));
    dropped
}

/// Those of the objects that are there. Of a kind that is no longer served nothing is.
async fn existing_of_any_kind(kubectl: &Kubectl, objects: &[Json]) -> Result<Vec<Json>, CallError> {
    let is_unknown = |error: &CallError| error.stderr().contains(UNKNOWN_KIND);
    match kubectl.existing(objects).await {
        Err(error) if is_unknown(&error) => {}
        found => return found,
    }
    let mut there = Vec::new();
    for object in objects {
        match kubectl.existing(std::slice::from_ref(object)).await {
            Err(error) if is_unknown(&error) => {}
            found => there.extend(found?),
        }
    }
    Ok(there)
}

/// Said once, where there are any.
fn hooks_left_out(rendering: &Rendering) -> Option<String> {
    let mut objects = rendering.wanted.values().flat_map(|wanted| &wanted.stream.objects);
    let has_hooks = objects.any(|object| object.hook.is_some() && !object.is_test());
    has_hooks.then(|| "hooks are left out: they come and go, and are not there to be compared".to_owned())
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

fn is_same(a: &Json, b: &Json) -> bool {
    let id =
        |o: &Json| [&o["apiVersion"], &o["kind"], &o["metadata"]["namespace"], &o["metadata"]["name"]].map(Json::clone);
    id(a) == id(b)
}

/// The same object, whatever version of its group's API it is written in.
fn is_same_of_any_version(a: &Json, b: &Json) -> bool {
    let group = |object: &Json| text(&object["apiVersion"]).rsplit_once('/').map(|(group, _)| group.to_owned());
    let id = |o: &Json| [&o["kind"], &o["metadata"]["namespace"], &o["metadata"]["name"]].map(Json::clone);
    group(a) == group(b) && id(a) == id(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_that_a_chart_still_has_is_not_dropped() {
        let definition = |name: &str| {
            format!(
                "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {name}, annotations: {{helm.sh/resource-policy: keep}}}}\n---\n"
            )
        };
        let stream =
            |names: &[&str]| Stream::parse(names.iter().map(|name| definition(name)).collect::<String>()).unwrap();
        let (stored, wanted) = (stream(&["carts.example.org", "old.example.org"]), stream(&["carts.example.org"]));
        let dropped = dropped(Some(&stored), &wanted, "api", "shop");
        let names: Vec<&str> = dropped.iter().map(|object| text(&object["metadata"]["name"])).collect();
        assert_eq!(names, ["old.example.org"]);
    }
}
