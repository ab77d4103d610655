//! One release compared: its objects, its definitions, its images, and what there is to know beside.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::cluster::Cluster;
use super::hidden::Hidden;
use super::side::{Side, Wanted};
use super::{Asked, Names, owned};
use crate::commands::workspace::Workspace;
use crate::definition::{Release, RenderGuard};
use crate::diff::{self, Comparison, DefinitionDiff, NewImage, ObjectDiff, ReleaseChange, ReleaseDiff};
use crate::object::Stream;
use crate::plan::{self, Action, Because, Blocked, Plan, Step};
use crate::record::{Record, Remarks};
use crate::render::{self, Confidence, Finding, Found, Known, Rule};
use crate::secrets::Revealed;
use crate::ui::failure::Failures;

/// A release that is compared with a cluster.
pub(super) struct Compared<'a> {
    pub side: &'a Side,
    pub release: &'a Release,
    pub step: &'a Step,
    pub wanted: &'a Wanted,
    pub secrets: Option<&'a Revealed>,
    /// The releases that are shown with it.
    pub among: &'a [&'a Release],
}

impl Compared<'_> {
    /// With what helm stored of it.
    pub fn with_record(&self, cluster: &Cluster, plan: &Plan, asked: Asked) -> Result<ReleaseDiff, Failures> {
        let record = cluster.records.get(&self.release.name);
        let hidden = Hidden::of(self.side, Some(self.release), record, Some(self.wanted), self.secrets);
        let veils = [self.side.veil(hidden.masker(), false), self.side.veil(hidden.masker(), false)];
        let namespace = self.release.namespace.as_str();
        let how = Comparison { namespace, old: &veils[0], new: &veils[1], context: asked.unified };
        let nothing = nothing()?;
        let stored = record.map_or(&nothing, |record| &record.stream);
        let mut diff = self.begun(record);
        diff.objects = self.owned(cluster, plan, &how)?;
        diff.objects.extend(diff::objects(stored, &self.wanted.stream, &how));
        diff.definitions = self.definitions(cluster, stored);
        self.images(stored, &mut diff);
        Ok(diff)
    }

    /// Its resource definitions: those of `crds/`, which helm does not record, against those in the cluster.
    fn definitions(&self, cluster: &Cluster, stored: &Stream) -> Vec<DefinitionDiff> {
        let from_folder: BTreeSet<&str> = self.wanted.outside_records().collect();
        let is_it = |object: &&Json| object["metadata"]["name"].as_str().is_some_and(|name| from_folder.contains(name));
        let mut old = diff::definitions_of(stored);
        old.extend(cluster.definitions().filter(is_it).cloned());
        diff::definitions(&old, &diff::definitions_of(&self.wanted.stream))
    }

    /// All its resource definitions against those in the cluster.
    pub fn live_definitions(&self, cluster: &Cluster) -> Vec<DefinitionDiff> {
        let new = diff::definitions_of(&self.wanted.stream);
        let is_it = |object: &&Json| new.iter().any(|wanted| wanted["metadata"]["name"] == object["metadata"]["name"]);
        let old: Vec<Json> = cluster.definitions().filter(is_it).cloned().collect();
        diff::definitions(&old, &new)
    }

    /// The diff with what is known before anything is compared.
    pub fn begun(&self, record: Option<&Record>) -> ReleaseDiff {
        let mut diff = ReleaseDiff {
            tier: self.side.tier(self.release),
            release: self.release.name.clone(),
            namespace: self.release.namespace.clone(),
            from: record.map(|record| record.chart_version.clone()),
            to: Some(self.step.version.clone()),
            change: match &self.step.action {
                Action::Install => ReleaseChange::Install,
                Action::Unchanged => ReleaseChange::Drift,
                Action::Blocked { .. } => ReleaseChange::Blocked,
                _ => ReleaseChange::Upgrade,
            },
            renders_live: match &self.release.guard {
                RenderGuard::Live { reason } => Some(reason.clone()),
                RenderGuard::Strict => None,
            },
            ..empty()
        };
        if let (Action::Upgrade { because: Because::Failed, .. }, Some(record)) = (&self.step.action, record) {
            diff.notes.push(format!("its last run failed; compared with revision {}", record.revision));
        }
        diff.notes.extend(refused(self.wanted));
        diff
    }

    /// What platctl makes beside helm.
    pub fn owned(&self, cluster: &Cluster, plan: &Plan, how: &Comparison<'_>) -> Result<Vec<ObjectDiff>, Failures> {
        let mut found = Vec::new();
        let namespaces = self.side.definition().namespaces();
        let labels = namespaces.get(&self.release.namespace).cloned().unwrap_or_default();
        let is_asked = !labels.is_empty() || self.step.action == Action::Install;
        if is_asked && owned::is_first_in_its_namespace(self.side, self.release, self.among) {
            let wanted = owned::namespace(&self.release.namespace, &labels);
            found.extend(owned::of_namespace(owned::find(&cluster.existing, &wanted), wanted, how));
        }
        for wanted in owned::secrets(self.release, &plan::object_labels(plan, self.step), self.secrets)? {
            found.extend(diff::object(owned::find(&cluster.existing, &wanted), Some(wanted), how));
        }
        Ok(found)
    }

    /// Images that come and go, by what stands in the objects.
    pub fn images(&self, stored: &Stream, diff: &mut ReleaseDiff) {
        let found = render::discover(stored, Known::default());
        let is_new = |pulled: &str| !stored.text().contains(pulled) && found.iter().all(|f| f.text != pulled);
        let new = self.wanted.images.iter().filter(|(_, pulled)| is_new(pulled));
        diff.new_images = new.map(|(image, _)| new_image(self.side, &image.to_string())).collect();
        diff.gone_images = gone_images(&found, &self.wanted.stream);
    }
}

/// The images that were found with certainty and are no longer there. They are looked for by the rules that found them: one
/// that is put together of several fields stands nowhere as a text.
fn gone_images(before: &[Finding], wanted: &Stream) -> Vec<String> {
    let certain = before.iter().filter(|f| f.confidence == Confidence::Certain && matches!(f.image, Found::Image(_)));
    let mut gone: BTreeSet<String> =
        certain.map(|f| f.text.clone()).filter(|old| !wanted.text().contains(old.as_str())).collect();
    if !gone.is_empty() {
        render::discover(wanted, Known::default()).iter().for_each(|found| _ = gone.remove(&found.text));
    }
    gone.into_iter().collect()
}

/// What is known of an image that is new.
pub(super) fn new_image(side: &Side, image: &str) -> NewImage {
    let locked = image.parse().ok().and_then(|reference| side.workspace.lock.images.get(&reference));
    let bundled = side
        .workspace
        .bundle
        .as_ref()
        .map(|bundle| bundle.images().iter().any(|bundled| bundled.reference.to_string() == image));
    NewImage { image: image.to_owned(), size: locked.map(|locked| locked.size), locked: locked.is_some(), bundled }
}

/// What may not run, but for images that are not locked: those are told where they are listed.
pub(super) fn refused(wanted: &Wanted) -> Vec<String> {
    let others = wanted.violations.iter().filter(|violation| violation.rule != Rule::NotLocked);
    others.map(|violation| format!("{}: {}: {}", violation.object, violation.what, violation.reason)).collect()
}

/// A release that nothing may be done with.
pub(super) fn blocked(side: &Side, release: &Release, step: &Step) -> Option<ReleaseDiff> {
    let Action::Blocked { reason } = &step.action else { return None };
    let why = match reason {
        Blocked::Pending { status, .. } => format!("helm left it in `{status}`; it is not compared"),
        Blocked::Foreign { .. } => "a release of that name belongs to somebody else; it is not compared".to_owned(),
    };
    Some(ReleaseDiff {
        tier: side.tier(release),
        release: release.name.clone(),
        namespace: release.namespace.clone(),
        change: ReleaseChange::Blocked,
        to: Some(step.version.clone()),
        notes: vec![why],
        ..empty()
    })
}

/// Whether there is anything to say of a release.
pub(super) fn differs(diff: &ReleaseDiff) -> bool {
    let counts = diff.counts();
    counts.added + counts.changed + counts.removed > 0 || !diff.notes.is_empty()
}

/// A diff that says nothing.
pub(super) fn empty() -> ReleaseDiff {
    ReleaseDiff {
        tier: String::new(),
        release: String::new(),
        namespace: String::new(),
        change: ReleaseChange::Upgrade,
        from: None,
        to: None,
        objects: Vec::new(),
        definitions: Vec::new(),
        new_images: Vec::new(),
        gone_images: Vec::new(),
        renders_live: None,
        notes: Vec::new(),
    }
}

/// A release that is not there.
pub(super) fn nothing() -> Result<Stream, Failures> {
    Stream::parse("").map_err(|error| {
        let failure = crate::ui::failure::Failure::new(
            crate::ui::failure::Code::Render,
            crate::ui::failure::Kind::Permanent,
            error.to_string(),
        );
        failure.into()
    })
}

/// What a definition is called.
pub(super) fn named(workspace: &Workspace) -> String {
    match (&workspace.folder, &workspace.bundle) {
        (Some(_), _) => "this definition".to_owned(),
        (None, Some(bundle)) => format!("bundle {}", bundle.path().display()),
        (None, None) => "the definition".to_owned(),
    }
}

/// How images are called: by the locks at hand, and by what was written down when a release was installed.
pub(super) fn names<'r>(sides: &[&Side], records: impl Iterator<Item = &'r Record>) -> Names {
    let sites = sides.iter().filter_map(|side| Some(side.definition().environment.registry.as_ref()?.site.clone()));
    let recorded: Vec<(String, String)> =
        records.flat_map(|record| Remarks::read(record.stream.text()).images).collect();
    // What is locked now comes last: it is what the rest of the screen calls it.
    Names::new(recorded.into_iter().chain(sides.iter().flat_map(|side| side.names())), sites)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(old: &str, new: &str) -> Vec<String> {
        let found = render::discover(&Stream::parse(old).unwrap(), Known::default());
        gone_images(&found, &Stream::parse(new).unwrap())
    }

    #[test]
    fn an_image_made_of_several_fields_is_looked_for_by_the_same_rule() {
        let policy = |level: &str, version: &str| {
            format!(
                "apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nmetadata: {{name: p}}\nspec:\n  logLevel: {level}\n  operator: {{repository: nvcr.io/nvidia, image: gpu-operator, version: {version}}}\n"
            )
        };
        assert_eq!(gone(&policy("info", "v26.7.0"), &policy("debug", "v26.7.0")), Vec::<String>::new());
        assert_eq!(
            gone(&policy("info", "v26.7.0"), &policy("info", "v26.8.0")),
            ["nvcr.io/nvidia/gpu-operator:v26.7.0"]
        );
    }
}
