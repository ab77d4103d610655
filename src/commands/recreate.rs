//! Fields that never change: found before anything is changed, by comparing what helm applied last with what it would
//! apply, and by asking the API server about what differs. Objects that may be made anew are those that were named.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use serde_json::Value as Json;

use crate::commands::diff::cluster;
use crate::commands::installation::Installation;
use crate::definition::Release;
use crate::diff;
use crate::execute::Recreation;
use crate::object::Stream;
use crate::plan::{self, Fixed, Observation, Plan};
use crate::record::Record;
use crate::render::Rendered;
use crate::tools::{Cascade, DryRun, Kubectl, immutable};
use crate::ui::Ui;
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};

/// Records that are read at the same time: each is a process that mostly waits.
const AT_ONCE: usize = 4;
/// Kinds that hold data: they are only deleted when they are named themselves.
const DATA: [&str; 2] = ["PersistentVolumeClaim", "PersistentVolume"];

/// What can't be changed in place.
#[derive(Default)]
pub struct Anew {
    /// What is made anew of each release, right before helm upgrades it.
    pub allowed: BTreeMap<String, Vec<Recreation>>,
    /// What was not named: an object and its field each.
    pub refused: Vec<Failure>,
    /// Releases that were named, and of which nothing has to be made anew.
    pub idle: Vec<String>,
}

impl Anew {
    /// Says which releases were named for nothing.
    pub fn tell(&self, ui: &Ui) {
        self.idle.iter().for_each(|name| ui.warn(format!("--recreate {name}: nothing of it has to be made anew")));
    }

    /// What is made anew, if nothing else would have to be.
    ///
    /// # Errors
    /// [`Failures`] naming objects and fields that were not named; nothing has changed then.
    pub fn allowed(self) -> Result<BTreeMap<String, Vec<Recreation>>, Failures> {
        match self.refused.is_empty() {
            true => Ok(self.allowed),
            false => Err(Failures::new(self.refused).exit(exit::REFUSED)),
        }
    }
}

/// Looks for what can't be changed in place, of the releases that helm upgrades. What is rendered must hold the secrets
/// themselves where charts get some: a chart may do anything with a token, and what it makes of it is no difference.
///
/// # Errors
/// [`Failures`] when something is named that there is not.
pub async fn recreations(
    installation: &Installation,
    plan: &Plan,
    observed: &Observation,
    rendered: &[(&Release, &Rendered)],
    kubectl: &Kubectl,
    allowed: &[String],
) -> Result<Anew, Failures> {
    check_names(installation, allowed)?;
    let upgrades = plan.upgrades();
    let upgraded: Vec<_> = rendered.iter().filter(|(release, _)| upgrades.contains(&release.name)).collect();
    // What of a release is not known without a key may be there.
    if upgraded.len() == upgrades.len() {
        check_objects(installation, &upgraded, allowed)?;
    }
    // What can't be known beforehand helm's upgrade will tell; who may not list all records may still read each.
    let listed = match upgraded.len() {
        0..cluster::MANY => Vec::new(),
        _ => cluster::listed(kubectl, &installation.definition).await.unwrap_or_default(),
    };
    let listed = &listed;
    let each = upgraded.into_iter().map(|(release, rendered)| async move {
        let found = match record(kubectl, observed, release, listed).await {
            Some(record) => of_release(installation, release, rendered, &record, kubectl, allowed).await,
            None => Found::default(),
        };
        (release.name.clone(), found)
    });
    let found: Vec<(String, Found)> = stream::iter(each).buffered(AT_ONCE).collect().await;
    let mut anew = Anew::default();
    for (release, found) in found {
        anew.refused.extend(found.refused.iter().map(|(fixed, word)| failure::fixed(&release, fixed, word)));
        if allowed.contains(&release) && found.allowed.is_empty() && found.refused.is_empty() {
            anew.idle.push(release.clone());
        }
        anew.allowed.insert(release, found.allowed);
    }
    Ok(anew)
}

/// Refuses names of no release, and says what is not made anew because it is not upgraded, as far as a plan tells that.
///
/// # Errors
/// [`Failures`] naming the first.
pub fn check(ui: &Ui, installation: &Installation, plan: &Plan, allowed: &[String]) -> Result<(), Failures> {
    check_names(installation, allowed)?;
    let upgrades = plan.upgrades();
    // The same command once more is no mistake: it was made anew then.
    let is_idle = |name: &&String| if name.contains('/') { upgrades.is_empty() } else { !upgrades.contains(*name) };
    for name in allowed.iter().filter(is_idle) {
        ui.warn(format!("--recreate {name}: it is not upgraded, so nothing of it is made anew"));
    }
    Ok(())
}

/// An object that nothing has would be passed over without a word.
fn check_objects(
    installation: &Installation,
    upgraded: &[&(&Release, &Rendered)],
    allowed: &[String],
) -> Result<(), Failures> {
    let mut named = allowed.iter().filter(|name| name.contains('/')).peekable();
    if named.peek().is_none() {
        return Ok(());
    }
    let mut known = BTreeSet::new();
    for (release, rendered) in upgraded {
        // What does not parse is told elsewhere.
        let Some(stream) = rewritten(installation, release, rendered) else { return Ok(()) };
        let objects = diff::as_helm_applies(&stream, &release.name, &release.namespace);
        known.extend(objects.iter().map(kind_and_name));
    }
    let Some(name) = named.find(|name| !known.contains(*name)) else { return Ok(()) };
    let title = format!("--recreate {name}: no release that is upgraded has such an object");
    let help =
        "`platctl template -l name=RELEASE` shows what a release has; kinds are written as there: Deployment/web";
    Err(Failures::from(Failure::new(Code::Usage, Kind::Yours, title).help(help)).exit(exit::USAGE))
}

fn kind_and_name(object: &Json) -> String {
    format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// What was mistyped would otherwise be refused as if it had not been named.
fn check_names(installation: &Installation, allowed: &[String]) -> Result<(), Failures> {
    let releases = &installation.definition.releases;
    let unknown = allowed.iter().find(|name| !name.contains('/') && !releases.iter().any(|r| r.name == **name));
    let Some(name) = unknown else { return Ok(()) };
    let failure = Failure::new(Code::Usage, Kind::Yours, format!("--recreate {name}: there is no such release"));
    Err(Failures::from(failure.help("name a release, or an object as KIND/NAME")).exit(exit::USAGE))
}

/// What of a release can't be changed in place.
#[derive(Default)]
struct Found {
    allowed: Vec<Recreation>,
    refused: Vec<(Fixed, String)>,
}

/// What helm stored of a release that was deployed last: of the list, or asked for by itself.
async fn record(kubectl: &Kubectl, observed: &Observation, release: &Release, listed: &[Record]) -> Option<Record> {
    let Release { name, namespace, .. } = release;
    let newest = observed.get(namespace, name)?;
    let revision = newest.deployed.unwrap_or(newest.revision);
    let is_it = |r: &&Record| r.name == *name && r.namespace == *namespace && r.revision == revision;
    if let Some(record) = listed.iter().find(is_it) {
        return Some(record.clone());
    }
    Record::read(&kubectl.release_record(namespace, name, revision).await.ok()?).ok()
}

async fn of_release(
    installation: &Installation,
    release: &Release,
    rendered: &Rendered,
    record: &Record,
    kubectl: &Kubectl,
    allowed: &[String],
) -> Found {
    let Some(stream) = rewritten(installation, release, rendered) else { return Found::default() };
    let objects = diff::as_helm_applies(&stream, &release.name, &release.namespace);
    let suspects: Vec<(Fixed, &Json)> = plan::fixed(&record.stream, &stream, &release.namespace)
        .into_iter()
        .filter_map(|fixed| Some((find(&objects, &stream, fixed.object)?, fixed)))
        .map(|(object, fixed)| (fixed, object))
        .collect();
    let is_named = |object: &&Json| allowed.contains(&kind_and_name(object));
    let mut found = Found { allowed: objects.iter().filter(is_named).map(named).collect(), ..Found::default() };
    let asked: Vec<Json> = suspects.iter().map(|(_, object)| (*object).clone()).collect();
    let answers =
        if asked.is_empty() { Vec::new() } else { kubectl.dry_run_apply(&asked, "helm").await.unwrap_or_default() };
    for ((fixed, object), answer) in suspects.into_iter().zip(answers) {
        let DryRun::Refused(word) = answer else { continue };
        if !immutable(&word) || allowed.contains(&fixed.name) {
            continue;
        }
        match allowed.contains(&release.name) && !holds_data(object) {
            true => found.allowed.push(Recreation::new(object, cascade(object, &fixed.field))),
            false => found.refused.push((fixed, word)),
        }
    }
    found
}

/// What is rendered, with the images that helm will have put there.
fn rewritten(installation: &Installation, release: &Release, rendered: &Rendered) -> Option<Stream> {
    let text = installation.rewritings[&release.name].apply(&rendered.stream).ok()?;
    Stream::parse(text).ok()
}

fn find<'j>(objects: &'j [Json], stream: &Stream, index: usize) -> Option<&'j Json> {
    let wanted = &stream.objects[index];
    let is_it = |object: &&Json| {
        object["kind"] == wanted.kind.as_str()
            && object["apiVersion"] == wanted.api_version.as_str()
            && object["metadata"]["name"] == wanted.name.as_str()
            && wanted.namespace.as_deref().is_none_or(|namespace| object["metadata"]["namespace"] == namespace)
    };
    objects.iter().find(is_it)
}

/// One that was named itself, whatever is found of it.
fn named(object: &Json) -> Recreation {
    Recreation::new(object, cascade(object, ""))
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

fn holds_data(object: &Json) -> bool {
    object["kind"].as_str().is_some_and(|kind| DATA.contains(&kind))
}

/// A StatefulSet's pods and claims stay, and the new one takes them over, unless it looks for others.
fn cascade(object: &Json, field: &str) -> Cascade {
    if object["kind"] == "StatefulSet" && field != "spec.selector" { Cascade::Orphan } else { Cascade::Foreground }
}
