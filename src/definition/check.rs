//! What must hold between the releases of a definition: names, needs, shared namespaces. Finds every problem; must not
//! mend any.

use std::collections::BTreeMap;

use super::desired::Placed;
use super::tier::TierFile;
use super::{Declarations, Environment, Release, Sealed, Tree, generate};
use crate::yaml::{Problem, Sources, Span, nearest};

/// Keeps what was found and files what was wrong.
pub(super) fn collect<T>(results: Vec<Result<T, Problem>>, problems: &mut Vec<Problem>) -> Vec<T> {
    let mut kept = Vec::new();
    for result in results {
        match result {
            Ok(found) => kept.push(found),
            Err(problem) => problems.push(problem),
        }
    }
    kept
}

/// Release names are unique across tiers, and what the environment switches exists.
pub(super) fn names(
    tree: &Tree,
    sources: &Sources,
    environment: &Environment,
    tiers: &[(String, TierFile)],
    problems: &mut Vec<Problem>,
) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (tier, _) in tiers {
        for name in tree.releases(tier) {
            if let Some(first) = seen.insert(name.clone(), tier) {
                let message = format!("release `{name}` is in two tiers, {first} and {tier}");
                problems.push(Problem::in_file(format!("templates/{tier}/{name}"), message).help("rename one of them"));
            }
        }
    }
    for (name, (_, span)) in &environment.releases {
        if !seen.contains_key(name) {
            problems.push(Problem::new(format!("no release `{name}` in any tier")).at(sources, *span));
        }
    }
}

/// Every need is there, in the same tier or an earlier one, and there is no cycle. A need whose own file is wrong was
/// reported already.
pub(super) fn needs(
    tree: &Tree,
    sources: &Sources,
    environment: &Environment,
    releases: &[Placed],
    tiers: &[(String, TierFile)],
    problems: &mut Vec<Problem>,
) {
    let known: BTreeMap<&str, &Release> = releases.iter().map(|(r, _)| (r.name.as_str(), r)).collect();
    let exists = |name: &str| tiers.iter().any(|(tier, _)| tree.releases(tier).iter().any(|r| r == name));
    for (release, needs) in releases {
        for (need, span) in needs {
            let (message, help) = match known.get(need.as_str()) {
                None if environment.releases.get(need).is_some_and(|(on, _)| !on) => (
                    format!("{} needs `{need}`, which environment {} switches off", release.name, environment.name),
                    format!("switch {} off there too, or take the need away", release.name),
                ),
                None if exists(need) => continue,
                None => (
                    format!("{} needs `{need}`, and there is no such release", release.name),
                    format!("releases here: {}", known.keys().copied().collect::<Vec<_>>().join(", ")),
                ),
                Some(needed) if needed.tier > release.tier => (
                    format!("{} needs `{need}` of the later tier {}", release.name, tiers[needed.tier].0),
                    "move one of them, or change the `order` of the tiers".to_owned(),
                ),
                Some(_) if reaches(&known, need, &release.name, releases.len()) => {
                    (format!("{} and `{need}` need each other", release.name), "take one of the needs away".to_owned())
                }
                Some(_) => continue,
            };
            problems.push(Problem::new(message).at(sources, *span).help(help));
        }
    }
}

/// Two tiers that share a namespace agree about its labels.
pub(super) fn namespaces(releases: &[Placed], tiers: &[(String, TierFile)], problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<(&str, &str), (&str, usize)> = BTreeMap::new();
    for (release, _) in releases {
        for (key, value) in &release.namespace_labels {
            let (first, tier) = *seen.entry((&release.namespace, key)).or_insert((value, release.tier));
            if first != value {
                let (one, other) = (&tiers[tier].0, &tiers[release.tier].0);
                let message = format!(
                    "namespace `{}` has releases of {one} and {other}, which want label {key} to be `{first}` and `{value}`",
                    release.namespace
                );
                problems.push(
                    Problem::in_file(format!("templates/{other}/tier.yaml"), message)
                        .help("move one of the releases to a namespace of its own"),
                );
            }
        }
    }
}

/// Two releases of a namespace make no Secret of the same name; the registry's, which all make, is the same for all.
pub(super) fn secret_objects(sources: &Sources, releases: &[Placed], problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<(&str, &str), (&str, Span)> = BTreeMap::new();
    for (release, _) in releases {
        for secret in &release.secrets {
            let (first, span) = *seen.entry((&release.namespace, &secret.name)).or_insert((&release.name, secret.span));
            if first != release.name && span != secret.span {
                let message = format!("{first} makes the Secret `{}` in {} too", secret.name, release.namespace);
                problems.push(
                    Problem::new(message)
                        .at(sources, secret.span)
                        .note("the other one", sources, span)
                        .help("rename one of them"),
                );
            }
        }
    }
}

/// Every secret that is asked for is in secrets.yaml, or will be generated.
pub(super) fn secret_names(
    sources: &Sources,
    asked: &[(String, Span)],
    sealed: &Sealed,
    generated: &Declarations,
    problems: &mut Vec<Problem>,
) {
    let needed = generated.values().filter_map(|d| Some((d.generate.needs()?, d.span)));
    let needed = needed.filter(|(name, _)| !generated.get(*name).is_some_and(|d| d.generate.has_parts()));
    let authority = |name: &str| sealed.contains_key(&format!("{name}.cert"));
    let needed = needed.filter(|(name, _)| !authority(name)).map(|(name, span)| (name.to_owned(), span));
    for (name, span) in asked.iter().cloned().chain(needed) {
        if sealed.contains_key(&name) || generate::covers(generated, &name) {
            continue;
        }
        let below = format!("{name}.");
        let parts = sealed.keys().any(|known| known.starts_with(&below))
            || generated.get(&name).is_some_and(|declared| declared.generate.has_parts());
        let known: Vec<&str> = sealed.keys().map(String::as_str).chain(generated.keys().map(String::as_str)).collect();
        let (message, help) = match nearest(&name, &known) {
            _ if parts => (
                format!("secret `{name}` is a map, and here one text of it is meant"),
                format!("name the text, such as `{name}.cert`, or write `part: cert` beside `ref`"),
            ),
            Some(near) => (format!("no secret `{name}`"), format!("did you mean `{near}`?")),
            None => (
                format!("no secret `{name}`"),
                "put it into secrets.yaml (`platctl secrets edit`), or declare in a release.yaml how it is generated"
                    .to_owned(),
            ),
        };
        problems.push(Problem::new(message).at(sources, span).help(help));
    }
}

/// Whether `from` needs `to`, directly or through others.
fn reaches(known: &BTreeMap<&str, &Release>, from: &str, to: &str, steps: usize) -> bool {
    let mut seen = Vec::new();
    let mut open = vec![from];
    while let Some(name) = open.pop().filter(|_| seen.len() <= steps) {
        if name == to {
            return true;
        }
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        open.extend(known.get(name).into_iter().flat_map(|r| r.needs.iter().map(String::as_str)));
    }
    false
}
