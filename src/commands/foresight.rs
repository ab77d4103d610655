//! What an apply will do beside helm's part, and what would keep it from doing anything: images that are pushed, resource
//! definitions, objects that are made anew, what is refused. Found before anything is changed, by the steps that apply
//! takes itself; changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::claim::Looking;
use super::installation::{Foreseen, check_needs};
use super::push::{self, Images};
use super::reveal;
use super::{guard, recreate, soundness};
use crate::definition::Release;
use crate::diff::{self, DefinitionDiff, ObjectChange};
use crate::execute::{Cause, ReleaseError, only_helm_conflicts};
use crate::object::Object;
use crate::plan::Plan;
use crate::render::Rendered;
use crate::ui::failure::{self, Code, Failure, Failures};
use crate::ui::{Style, count};

/// What the kind is called.
const DEFINITION: &str = "CustomResourceDefinition";

/// What apply is given beside the plan.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given<'a> {
    /// Releases and objects that may be made anew.
    pub recreate: &'a [String],
    /// Needs may be missing.
    pub skip_needs: bool,
}

/// What is known of a plan beyond its steps.
#[derive(Debug, Default)]
pub struct Foresight {
    images: Option<Images>,
    releases: BTreeMap<String, OfRelease>,
    refused: Vec<Failure>,
    failing: Vec<Failure>,
}

/// What is done for a release beside helm's part.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfRelease {
    /// Definitions of `crds/` that come or change.
    definitions: Vec<DefinitionDiff>,
    /// Objects that are deleted and made anew, as KIND/NAME.
    made_anew: Vec<String>,
    /// What can't be known of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// Releases that helm upgrades and whose values hold secrets.
#[derive(Default)]
struct Clear {
    /// Rendered with their secrets, where there is a key.
    rendered: BTreeMap<String, Rendered>,
    /// Those where there is none, and why.
    unknown: BTreeMap<String, String>,
}

impl Clear {
    /// What a release will be with its secrets; nothing, when that can't be known.
    fn of<'a>(&'a self, release: &Release, rendered: &'a Rendered) -> Option<&'a Rendered> {
        match self.unknown.contains_key(&release.name) {
            true => None,
            false => Some(self.rendered.get(&release.name).unwrap_or(rendered)),
        }
    }
}

impl Foresight {
    /// Renders what changes, and asks cluster and registry about it. Where nothing changes nobody is asked.
    ///
    /// # Errors
    /// [`Failures`] of what apply would end with before it knew what to do: something does not render, or may not run.
    pub async fn of<'r>(
        looking: &Looking<'r>,
        plan: &Plan,
        given: Given<'_>,
    ) -> Result<(Foreseen<'r>, Foresight), Failures> {
        let Looking { context, workspace, installation, kubectl, observed } = *looking;
        let mut foresight =
            Foresight { refused: plan.steps().filter_map(failure::blocked).collect(), ..Self::default() };
        if !given.skip_needs && !plan.is_nothing() {
            foresight.refuse(check_needs(installation, plan, observed));
        }
        let foreseen = installation.foreseen(context, workspace, plan).await?;
        if foreseen.rendered.is_empty() {
            return Ok((foreseen, foresight));
        }
        foresight.refuse(soundness::check(context, workspace));
        let releases: Vec<&Release> = foreseen.rendered.iter().map(|(release, _)| *release).collect();
        let pairs: Vec<(&Release, &Rendered)> = foreseen.rendered.iter().map(|(release, r)| (*release, r)).collect();
        let clear = with_secrets(looking, &foreseen).await?;
        let compared: Vec<(&Release, &Rendered)> =
            pairs.iter().filter_map(|(release, render)| Some((*release, clear.of(release, render)?))).collect();
        let (images, definitions, anew) = tokio::join!(
            push::foreseen(context, workspace, installation, &releases),
            definitions(looking, &pairs),
            recreate::recreations(installation, &foreseen.plan, observed, &compared, kubectl, given.recreate),
        );
        for (name, why) in clear.unknown {
            foresight.releases.entry(name).or_default().notes.push(why);
        }
        foresight.images = match images {
            Err(failures) if was_interrupted(&failures) => return Err(failures),
            images => foresight.refuse(images).flatten(),
        };
        let anew = anew?;
        anew.tell(&context.ui);
        foresight.refused.extend(anew.refused);
        for (name, found) in definitions {
            foresight.failing.extend(found.refused);
            if !found.differing.is_empty() {
                foresight.releases.entry(name).or_default().definitions = found.differing;
            }
        }
        for (name, objects) in anew.allowed.into_iter().filter(|(_, objects)| !objects.is_empty()) {
            let made_anew = objects.iter().map(|object| object.name()).collect();
            foresight.releases.entry(name).or_default().made_anew = made_anew;
        }
        Ok((foreseen, foresight))
    }

    /// What apply would be refused for is told, and is none of a look's failures.
    fn refuse<T>(&mut self, result: Result<T, Failures>) -> Option<T> {
        result.map_err(|failures| self.refused.extend(failures.failures)).ok()
    }

    /// What is done for a release beside helm's part, a line each.
    pub fn lines(&self, release: &str) -> Vec<String> {
        let Some(OfRelease { definitions, made_anew, notes }) = self.releases.get(release) else { return Vec::new() };
        let definition = |found: &DefinitionDiff| {
            let how = match found.change {
                ObjectChange::Added => "new",
                _ if found.is_breaking() => "changed, objects that are there may lose something: see `platctl diff`",
                _ => "changed",
            };
            format!("{DEFINITION} {}  {how}", found.name)
        };
        let anew = made_anew.iter().map(|name| format!("deletes {name} and makes it anew"));
        definitions.iter().map(definition).chain(anew).chain(notes.iter().cloned()).collect()
    }

    /// What concerns no release alone: images, and what would be refused, as apply says it.
    pub fn end(&self, style: &Style) -> String {
        let mut text = self.images.as_ref().map(Images::text).unwrap_or_default();
        let lists = [
            ("apply would change nothing", &self.refused),
            ("apply would change something, and then fail", &self.failing),
        ];
        for (what, failures) in lists.into_iter().filter(|(_, failures)| !failures.is_empty()) {
            text.push_str(&format!("{what}, for {}\n", count(failures.len(), "reason")));
            text.push_str(&Failures::new(failures.clone()).draw(style));
        }
        text
    }

    /// The same for programs.
    pub fn json(&self) -> Json {
        let told = |failure: &Failure| {
            let Failure { code, title, details, help, .. } = failure;
            json!({"code": code.to_string(), "title": title, "details": details, "help": help})
        };
        let all = |failures: &[Failure]| failures.iter().map(told).collect::<Vec<Json>>();
        json!({"images": self.images, "releases": self.releases, "refused": all(&self.refused), "failing": all(&self.failing)})
    }
}

fn was_interrupted(failures: &Failures) -> bool {
    failures.failures.iter().any(|failure| failure.code == Code::Interrupted)
}

/// What upgraded releases will be with their secrets: a plan needs no key, and says what it can't know without one.
async fn with_secrets(looking: &Looking<'_>, foreseen: &Foreseen<'_>) -> Result<Clear, Failures> {
    let Looking { context, workspace, installation, .. } = *looking;
    let upgrades = foreseen.plan.upgrades();
    let is_secret = |release: &&Release| upgrades.contains(&release.name) && !release.value_secrets.is_empty();
    let releases: Vec<&Release> = foreseen.rendered.iter().map(|(release, _)| *release).filter(is_secret).collect();
    match reveal::revealed(context, workspace, &installation.definition, &releases).await {
        Ok(revealed) => {
            let rendered =
                guard::with_secrets(context, workspace, installation, &upgrades, &releases, &revealed).await?;
            Ok(Clear { rendered, ..Clear::default() })
        }
        Err(failures) if was_interrupted(&failures) => Err(failures),
        Err(failures) => {
            let why = failures.failures.first().map(|failure| failure.title.clone()).unwrap_or_default();
            let unknown = |release: &&Release| {
                (release.name.clone(), format!("fields that never change are not compared: {why}"))
            };
            Ok(Clear { unknown: releases.iter().map(unknown).collect(), ..Clear::default() })
        }
    }
}

/// What applying the definitions of `crds/` comes to.
struct Definitions {
    /// Those that come or change.
    differing: Vec<DefinitionDiff>,
    /// What the API server would say to them.
    refused: Vec<Failure>,
}

/// The definitions of `crds/`, by release. The API server is asked about those that change, or that others set fields of.
async fn definitions(looking: &Looking<'_>, rendered: &[(&Release, &Rendered)]) -> BTreeMap<String, Definitions> {
    let of_folder = |rendered: &Rendered| -> BTreeSet<String> {
        let objects = rendered.stream.objects.iter().filter(|object| object.is_from_crds_folder());
        objects.map(|object| object.name.clone()).collect()
    };
    let all: BTreeSet<String> = rendered.iter().flat_map(|(_, rendered)| of_folder(rendered)).collect();
    let identity = |name: &String| json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": DEFINITION, "metadata": {"name": name}});
    let asked: Vec<Json> = all.iter().map(identity).collect();
    let there = looking.kubectl.existing(&asked).await.unwrap_or_else(|error| {
        looking.context.ui.warn(format!("resource definitions are not compared with the cluster's: {error}"));
        Vec::new()
    });
    let mut found = BTreeMap::new();
    for (release, rendered) in rendered {
        let names = of_folder(rendered);
        let is_its = |object: &&Json| object["metadata"]["name"].as_str().is_some_and(|name| names.contains(name));
        let of = |all: &[Json]| all.iter().filter(is_its).cloned().collect::<Vec<Json>>();
        let new = if names.is_empty() { Vec::new() } else { diff::definitions_of(&rendered.stream) };
        let old = of(&there);
        let differing = diff::definitions(&old, &of(&new));
        let is_asked = |object: &&Json| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            is_set_by_others(object) || differing.iter().any(|found| found.name == name)
        };
        let asked: Vec<&Json> = old.iter().filter(is_asked).collect();
        let refused = refused_definitions(looking, release, rendered, &asked).await;
        if !differing.is_empty() || !refused.is_empty() {
            found.insert(release.name.clone(), Definitions { differing, refused });
        }
    }
    found
}

/// Whether anybody but platctl, helm and the API server itself set fields of an object.
fn is_set_by_others(object: &Json) -> bool {
    let mut entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    entries.any(|entry| {
        let manager = entry["manager"].as_str().unwrap_or_default();
        entry["subresource"].is_null() && !["platctl", "helm", "kube-apiserver"].contains(&manager)
    })
}

/// What the API server would say to a release's definitions, as apply would tell it.
async fn refused_definitions(
    looking: &Looking<'_>,
    release: &Release,
    rendered: &Rendered,
    asked: &[&Json],
) -> Vec<Failure> {
    let is_asked = |object: &&Object| asked.iter().any(|there| there["metadata"]["name"] == object.name.as_str());
    let objects = rendered.stream.objects.iter().filter(|object| object.is_from_crds_folder()).filter(is_asked);
    let texts: Vec<&str> = objects.map(|object| rendered.stream.text_of(object)).collect();
    if texts.is_empty() {
        return Vec::new();
    }
    match looking.kubectl.try_apply(&texts.join("\n---\n")).await {
        Err(error) if !error.stderr().is_empty() && !only_helm_conflicts(error.stderr()) => {
            let (release, namespace) = (release.name.clone(), release.namespace.clone());
            let error = ReleaseError { release, namespace, cause: Cause::Crds(error), tries: 0 };
            failure::release(&looking.installation.definition, &error)
        }
        _ => Vec::new(),
    }
}
