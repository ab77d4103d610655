//! A definition against another one: at a revision, of another environment, in a bundle. Both sides are rendered, each
//! with its own lock, capabilities and rewriting; no cluster is asked, and no key is needed.

use std::collections::{BTreeMap, BTreeSet};

use super::base::Base;
use super::side::{Rendering, Side, Wanted};
use super::{Asked, Outcome, owned, release};
use crate::commands::{Context, Rendering as Flags};
use crate::definition::Release;
use crate::diff::{self, Comparison, ObjectDiff, ReleaseChange, ReleaseDiff, Report, Veil};
use crate::plan::{Desired, Selector};
use crate::secrets::Masker;
use crate::ui::failure::Failures;

/// Both sides, and how each looks.
struct Sides<'a> {
    old: &'a Side,
    new: &'a Side,
    veils: [Veil; 2],
    asked: Asked,
    old_rendering: Rendering,
    new_rendering: Rendering,
}

/// Compares.
pub(super) async fn compare(
    context: &Context,
    new: &Side,
    base: &Base,
    flags: &Flags,
    asked: Asked,
) -> Result<Outcome, Failures> {
    let (workspace, name) = base.workspace(context, &new.workspace).await?;
    let environment = match base {
        Base::Environment(name) => name.clone(),
        // A bundle is for one environment, and says which.
        Base::Bundle(_) => workspace.bundle.as_ref().map(|b| b.environment().to_owned()).unwrap_or_default(),
        Base::Git(_) => new.definition().environment.name.clone(),
    };
    let old = Side::of(workspace.rendering(flags), context, Some(&environment))?;
    let selector = context.global.selector()?;
    let after = new.desired(&selector)?;
    let before = desired(&old, &selector, &after)?;
    let changed = changed(&before, &after, asked);
    let of = |all: &[Desired<'_>]| -> Vec<String> {
        let wanted = all.iter().filter(|desired| changed.contains(&desired.release.name));
        wanted.map(|desired| desired.release.name.clone()).collect()
    };
    let (before_names, after_names) = (of(&before), of(&after));
    // Where both sides have a release it is an upgrade on both: what only a first install has would be no difference.
    let none = BTreeSet::new();
    let (a, b) = (releases(&old, &before_names), releases(new, &after_names));
    let (old_rendering, new_rendering) =
        (old.render(context, &a, &none, None).await?, new.render(context, &b, &none, None).await?);
    let with_ciphertexts = !matches!(base, Base::Environment(_));
    let veils = [old.veil(Masker::default(), with_ciphertexts), new.veil(Masker::default(), with_ciphertexts)];
    let mut failed: BTreeSet<String> = old_rendering.failed(&a).into_iter().collect();
    failed.extend(new_rendering.failed(&b));
    let sides = Sides { old: &old, new, veils, asked, old_rendering, new_rendering };
    let mut report = Report {
        old: name,
        new: format!("{}, environment {}", release::named(&new.workspace), new.definition().environment.name),
        unchanged: after.len() - after_names.len(),
        releases: Vec::new(),
        failed: failed.iter().cloned().collect(),
        notes: notes(&sides, with_ciphertexts),
    };
    let mut all: Vec<(&Side, &Release)> = b.iter().map(|release| (new, *release)).collect();
    all.extend(a.iter().filter(|r| !after_names.contains(&r.name)).map(|release| (&old, *release)));
    for (side, release) in all.into_iter().filter(|(_, release)| !failed.contains(&release.name)) {
        match one(&sides, &before, &after, side, release)? {
            Some(diff) => report.releases.push(diff),
            None => report.unchanged += 1,
        }
    }
    let Sides { old_rendering, new_rendering, .. } = sides;
    let mut failures = old_rendering.failures;
    failures.extend(new_rendering.failures);
    failures.dedup();
    Ok(Outcome { report, failures, names: release::names(&[&old, new], std::iter::empty()) })
}

/// What the old side wants of the releases that are meant. There, what is selected may not be known.
fn desired<'s>(old: &'s Side, selector: &Selector, after: &[Desired<'_>]) -> Result<Vec<Desired<'s>>, Failures> {
    match old.desired(selector) {
        Err(failures) if failures.exit == crate::ui::failure::exit::NOTHING_SELECTED && !after.is_empty() => {
            Ok(Vec::new())
        }
        desired => desired,
    }
}

/// The releases whose inputs differ; all, where that was asked for.
fn changed(before: &[Desired<'_>], after: &[Desired<'_>], asked: Asked) -> BTreeSet<String> {
    let inputs = |side: &[Desired<'_>]| -> BTreeMap<String, String> {
        side.iter().map(|desired| (desired.release.name.clone(), desired.inputs.clone())).collect()
    };
    let (old, new) = (inputs(before), inputs(after));
    let names: BTreeSet<String> = old.keys().chain(new.keys()).cloned().collect();
    names.into_iter().filter(|name| asked.all || old.get(name) != new.get(name)).collect()
}

fn releases<'s>(side: &'s Side, names: &[String]) -> Vec<&'s Release> {
    side.definition().releases.iter().filter(|release| names.contains(&release.name)).collect()
}

fn one(
    sides: &Sides<'_>,
    before: &[Desired<'_>],
    after: &[Desired<'_>],
    side: &Side,
    release: &Release,
) -> Result<Option<ReleaseDiff>, Failures> {
    let name = release.name.as_str();
    let version = |all: &[Desired<'_>]| all.iter().find(|d| d.release.name == name).map(|d| d.version.clone());
    let (a, b) = (sides.old_rendering.wanted.get(name), sides.new_rendering.wanted.get(name));
    let empty = release::nothing()?;
    let (from, to) = (a.map_or(&empty, |w| &w.stream), b.map_or(&empty, |w| &w.stream));
    let [old, new] = &sides.veils;
    let how = Comparison { namespace: &release.namespace, old, new, context: sides.asked.unified };
    let mut diff = ReleaseDiff {
        tier: side.tier(release),
        release: name.to_owned(),
        namespace: release.namespace.clone(),
        change: match (a, b) {
            (None, _) => ReleaseChange::Install,
            (_, None) => ReleaseChange::Remove,
            _ => ReleaseChange::Upgrade,
        },
        from: version(before),
        to: version(after),
        objects: owned(sides, name, &how)?,
        definitions: diff::definitions(&diff::definitions_of(from), &diff::definitions_of(to)),
        notes: b.map(release::refused).unwrap_or_default(),
        ..release::empty()
    };
    diff.objects.extend(diff::objects(from, to, &how));
    images(sides, a, b, &mut diff);
    let same_inputs = inputs(before, name) == inputs(after, name);
    Ok((!same_inputs || release::differs(&diff)).then_some(diff))
}

fn inputs<'d>(side: &'d [Desired<'_>], name: &str) -> Option<&'d str> {
    side.iter().find(|desired| desired.release.name == name).map(|desired| desired.inputs.as_str())
}

/// What platctl makes beside helm, on both sides.
fn owned(sides: &Sides<'_>, name: &str, how: &Comparison<'_>) -> Result<Vec<ObjectDiff>, Failures> {
    let objects = |side: &Side| -> Result<Vec<serde_json::Value>, Failures> {
        let Some(release) = side.definition().releases.iter().find(|r| r.name == name) else { return Ok(Vec::new()) };
        Ok(owned::secrets(release, &BTreeMap::new(), None)?)
    };
    let (old, new) = (objects(sides.old)?, objects(sides.new)?);
    let mut found: Vec<ObjectDiff> = namespace(sides, name, how).into_iter().collect();
    for wanted in &new {
        found.extend(diff::object(owned::find(&old, wanted), Some(wanted.clone()), how));
    }
    let gone = old.into_iter().filter(|object| owned::find(&new, object).is_none());
    found.extend(gone.filter_map(|object| diff::object(Some(object), None, how)));
    Ok(found)
}

/// How the namespace differs that is shown with a release. It is there whichever release of the old side is in it; and it
/// stays when nothing is in it any more.
fn namespace(sides: &Sides<'_>, name: &str, how: &Comparison<'_>) -> Option<ObjectDiff> {
    let releases = &sides.new.definition().releases;
    let release = releases.iter().find(|release| release.name == name)?;
    if !owned::is_first_in_its_namespace(sides.new, release, &releases.iter().collect::<Vec<_>>()) {
        return None;
    }
    let labelled = |side: &Side| {
        let labels = side.definition().namespaces().remove(&release.namespace).unwrap_or_default();
        owned::namespace(&release.namespace, &labels)
    };
    let was_there = sides.old.definition().releases.iter().any(|other| other.namespace == release.namespace);
    diff::object(was_there.then(|| labelled(sides.old)), Some(labelled(sides.new)), how)
}

fn images(sides: &Sides<'_>, old: Option<&Wanted>, new: Option<&Wanted>, diff: &mut ReleaseDiff) {
    let names = |wanted: Option<&Wanted>| -> BTreeSet<String> {
        wanted.into_iter().flat_map(|w| w.images.keys()).map(ToString::to_string).collect()
    };
    let (before, after) = (names(old), names(new));
    diff.new_images = after.difference(&before).map(|image| release::new_image(sides.new, image)).collect();
    diff.gone_images = before.difference(&after).cloned().collect();
}

fn notes(sides: &Sides<'_>, with_ciphertexts: bool) -> Vec<String> {
    let has = |side: &Side| side.definition().releases.iter().any(|release| release.secret_uses().next().is_some());
    let mut notes = Vec::new();
    if !with_ciphertexts && (has(sides.old) || has(sides.new)) {
        notes.push("secrets of two environments are not compared: each has its own".to_owned());
    }
    notes
}
