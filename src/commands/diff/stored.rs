//! A definition against what helm stored of each release. A release whose inputs are what they were is neither rendered
//! nor fetched.

use std::collections::BTreeSet;

use super::cluster::{self, Cluster};
use super::release::{self, Compared};
use super::side::{Rendering, Side};
use super::{Asked, Outcome};
use crate::commands::{Context, records};
use crate::definition::Release;
use crate::diff::{ReleaseChange, ReleaseDiff, Report};
use crate::plan::{Action, Desired, Plan, Step};
use crate::secrets::Revealed;
use crate::ui::failure::{Failure, Failures};

/// Compares.
pub(super) async fn compare(context: &Context, new: &Side, asked: Asked) -> Result<Outcome, Failures> {
    let definition = new.definition();
    let selector = context.global.selector()?;
    let desired = new.desired(&selector)?;
    let kubectl = new.workspace.kubectl(context, &definition.environment).await?;
    let (found, seen) = if asked.all {
        everything(context, new, &desired, &kubectl).await?
    } else {
        what_changed(context, new, &desired, &kubectl).await?
    };
    let Found { plan, rendering, secrets, note } = found;
    let existing = cluster::existing(&kubectl, new, &plan, &rendering, secrets.as_ref(), false).await?;
    let cluster = Cluster { existing, ..seen };
    let failed = cluster.failures.iter().map(|(name, _)| name.clone());
    let mut report = Report {
        old: format!("what is installed in {}", definition.environment.name),
        new: release::named(&new.workspace),
        unchanged: 0,
        releases: Vec::new(),
        failed: failed.collect(),
        notes: note.into_iter().collect(),
    };
    for step in plan.steps() {
        let Some(release) = definition.releases.iter().find(|r| r.name == step.release) else { continue };
        if matches!(step.action, Action::Unchanged) && !asked.all {
            report.unchanged += 1;
            continue;
        }
        if cluster.failures.iter().any(|(name, _)| *name == release.name) {
            continue;
        }
        let Some(wanted) = rendering.wanted.get(&release.name) else {
            match release::blocked(new, release, step) {
                Some(diff) => report.releases.push(diff),
                None => report.failed.push(release.name.clone()),
            }
            continue;
        };
        let shown: Vec<&Release> = desired.iter().map(|desired| desired.release).collect();
        let compared = Compared { side: new, release, step, wanted, secrets: secrets.as_ref(), among: &shown };
        let diff = compared.with_record(&cluster, &plan, asked)?;
        if matches!(step.action, Action::Unchanged) && !release::differs(&diff) {
            report.unchanged += 1;
        } else {
            report.releases.push(diff);
        }
    }
    if selector.is_all() {
        report.releases.extend(plan.undeclared.iter().map(|name| left_alone(name, "no longer declared")));
        report.releases.extend(plan.switched_off.iter().map(|name| left_alone(name, "switched off")));
    }
    let names = release::names(&[new], cluster.records.values());
    let failures: Vec<Failure> =
        rendering.failures.into_iter().chain(cluster.failures.into_iter().map(|(_, failure)| failure)).collect();
    Ok(Outcome { report, failures, names })
}

/// What there is to compare.
pub(super) struct Found {
    pub plan: Plan,
    pub rendering: Rendering,
    pub secrets: Option<Revealed>,
    pub note: Option<String>,
}

/// Looks at the cluster first, and then only at what has changed.
async fn what_changed(
    context: &Context,
    new: &Side,
    desired: &[Desired<'_>],
    kubectl: &crate::tools::Kubectl,
) -> Result<(Found, Cluster), Failures> {
    let observed = records::observe(context, kubectl, new.definition()).await?;
    let plan = Plan::build(new.definition(), desired, &observed);
    let changed: BTreeSet<&str> = plan.changes().filter(|step| !is_blocked(step)).map(|s| s.release.as_str()).collect();
    let releases: Vec<&Release> =
        desired.iter().map(|d| d.release).filter(|r| changed.contains(r.name.as_str())).collect();
    let (secrets, note) = cluster::secrets_at_hand(context, new, &releases).await?;
    let upgrades = cluster::installed(&plan);
    let (rendering, cluster) = tokio::join!(
        new.render(context, &releases, &upgrades, secrets.as_ref()),
        cluster::records(kubectl, &plan, &observed, &releases),
    );
    Ok((Found { plan, rendering: rendering?, secrets, note }, cluster?))
}

/// Looks at the cluster and renders everything at the same time; what turns out not to be installed yet is rendered again.
async fn everything(
    context: &Context,
    new: &Side,
    desired: &[Desired<'_>],
    kubectl: &crate::tools::Kubectl,
) -> Result<(Found, Cluster), Failures> {
    let releases: Vec<&Release> = desired.iter().map(|desired| desired.release).collect();
    let (secrets, note) = cluster::secrets_at_hand(context, new, &releases).await?;
    let all: BTreeSet<String> = releases.iter().map(|release| release.name.clone()).collect();
    let look = async {
        let (observed, listed) = tokio::join!(
            records::observe(context, kubectl, new.definition()),
            cluster::listed(kubectl, new.definition()),
        );
        let observed = observed?;
        let plan = Plan::build(new.definition(), desired, &observed);
        let cluster = cluster::completed(kubectl, &plan, &observed, &releases, listed).await?;
        Ok::<_, Failures>((plan, cluster))
    };
    let (rendering, looked) = tokio::join!(new.render(context, &releases, &all, secrets.as_ref()), look);
    let (mut rendering, (plan, cluster)) = (rendering?, looked?);
    let upgrades = cluster::installed(&plan);
    let fresh: Vec<&Release> = releases.into_iter().filter(|release| !upgrades.contains(&release.name)).collect();
    let again = new.render(context, &fresh, &upgrades, secrets.as_ref()).await?;
    rendering.wanted.extend(again.wanted);
    let blocked: BTreeSet<&str> = plan.steps().filter(|step| is_blocked(step)).map(|s| s.release.as_str()).collect();
    rendering.wanted.retain(|name, _| !blocked.contains(name.as_str()));
    Ok((Found { plan, rendering, secrets, note }, cluster))
}

fn is_blocked(step: &Step) -> bool {
    matches!(step.action, Action::Blocked { .. })
}

/// A release that is there although nobody wants it.
fn left_alone(name: &str, why: &str) -> ReleaseDiff {
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    ReleaseDiff {
        release: name.to_owned(),
        namespace: namespace.to_owned(),
        change: ReleaseChange::Undeclared,
        notes: vec![format!("{why}; `apply` leaves it alone, `apply --prune` removes what is no longer declared")],
        ..release::empty()
    }
}
