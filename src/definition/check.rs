//! What must hold between the releases of a definition: names, needs, shared namespaces. Finds every problem; must not
//! mend any.

use std::collections::BTreeMap;

use super::desired::Placed;
use super::tier::TierFile;
use super::{Environment, Release, Tree};
use crate::yaml::{Problem, Sources};

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
        for name in tree.folders(&format!("templates/{tier}")) {
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
    let exists =
        |name: &str| tiers.iter().any(|(tier, _)| tree.folders(&format!("templates/{tier}")).iter().any(|r| r == name));
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
