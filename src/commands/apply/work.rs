//! Doing what the plan says: everything is rendered, checked and pushed before the cluster is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::hooks;
use super::prune;
use super::report::draw;
use super::{Seen, Site, reviewed};
use crate::commands::backwards;
use crate::commands::installation::{Foreseen, Installation};
use crate::commands::post_render::Task;
use crate::commands::undertake::Began;
use crate::commands::workspace::Workspace;
use crate::commands::{Context, guard, push, recreate, reveal, soundness};
use crate::definition::{Definition, Release, Tier};
use crate::execute::{self, Budget, Hands, ReleaseError, Report, Scripts, Work};
use crate::files;
use crate::plan::{self, Action, Because, Observation, Plan, Step};
use crate::render::{self, Expected, Rendered};
use crate::run::journal::{Asked, Entry};
use crate::secrets::{self, Revealed};
use crate::supply::locked_chart;
use crate::surroundings::GUARD_SALT;
use crate::tools::Kubectl;
use crate::ui::failure::{self, Failures};

/// How a plan is to be carried out.
pub(super) struct How<'a> {
    /// The run.
    pub began: &'a Began,
    /// What its journal says that was asked for.
    pub asked: Asked,
    /// Begin nothing more after the first failure.
    pub fail_fast: bool,
    /// Releases and objects that may be made anew.
    pub recreate: &'a [String],
}

/// Does what the plan says: images first, then the cluster.
pub(super) async fn change(
    context: &Context,
    site: &Site<'_>,
    seen: Seen<'_>,
    how: How<'_>,
) -> Result<Report, Failures> {
    let Seen { plan, observed, at, foreseen } = seen;
    let Site { workspace, installation, kubectl, .. } = *site;
    let began = how.began;
    let environment = &installation.definition.environment;
    let changing: BTreeSet<&str> = plan.changes().map(|step| step.release.as_str()).collect();
    let releases: Vec<&Release> =
        installation.definition.releases.iter().filter(|r| changing.contains(r.name.as_str())).collect();
    let revealed = reveal::revealed(context, workspace, &installation.definition, &releases).await?;
    soundness::check(context, workspace)?;
    let foreseen = match foreseen {
        Some(foreseen) => foreseen?,
        None => installation.foreseen(context, workspace, &plan).await?,
    };
    let Foreseen { plan, rendered } = &foreseen;
    let pairs: Vec<(&Release, &Rendered)> = rendered.iter().map(|(release, render)| (*release, render)).collect();
    if let Some(saved) = site.saved {
        reviewed::check_renders(saved, installation, &pairs)?;
    }
    let salt = guard::salt()?;
    let (mut anew, mut expected) = {
        let upgrades = plan.upgrades();
        let is_compared = |release: &&Release| !release.guard.is_live() || upgrades.contains(&release.name);
        let secret = releases.iter().copied().filter(|release| !release.value_secrets.is_empty()).filter(is_compared);
        let secret: Vec<&Release> = secret.collect();
        let clear = guard::with_secrets(context, workspace, installation, &upgrades, &secret, &revealed).await?;
        let pairs: Vec<_> = pairs.iter().map(|(r, render)| (*r, clear.get(&r.name).unwrap_or(render))).collect();
        let anew = recreate::recreations(installation, plan, &observed, &pairs, kubectl, how.recreate).await?;
        anew.tell(&context.ui);
        (anew.allowed()?, guard::expected(installation, &pairs, &salt)?)
    };
    push_images(context, workspace, installation, &releases).await?;

    let mut helm = began.helm(context, workspace.helm(context, environment).await?)?;
    // On no disk: with it somebody could try short secrets on the hashes in the tasks.
    helm.variables.push((GUARD_SALT.into(), salt.to_string().into()));
    let mut work = BTreeMap::new();
    for (release, rendered) in pairs {
        let Some(step) = plan.steps().find(|step| step.release == release.name) else { continue };
        let what = (release, rendered, expected.remove(&release.name));
        let mut ready = prepare(context, site, plan, step, what, &revealed, began).await?;
        ready.recreate = anew.remove(&release.name).unwrap_or_default();
        work.insert(release.name.clone(), ready);
    }
    let tiers = tier_hooks(context, workspace, installation, kubectl, began.folder())?;
    let namespaces = installation.definition.namespaces();
    let entries = entries(&installation.definition, plan, &observed, &work);
    let recorded = began.undertaking.record(how.asked, entries, Some((at, observed))).await;
    recorded.map_err(|error| failure::not_recorded(&error))?;
    let budget = Budget::new(environment.concurrency.releases, environment.concurrency.waiting);
    let (run, budget) = (&began.undertaking, &budget);
    let hands = Hands { helm: &helm, kubectl, run, budget, fail_fast: how.fail_fast };
    let report = execute::run(plan, &namespaces, &work, &tiers, hands, &|event| draw(&context.ui, &event)).await;
    began.undertaking.failed(&codes(&installation.definition, &report)).await;
    Ok(report)
}

/// The programs around tiers.
fn tier_hooks(
    context: &Context,
    workspace: &Workspace,
    installation: &Installation,
    kubectl: &Kubectl,
    folder: &Path,
) -> Result<BTreeMap<String, Scripts>, Failures> {
    let environment = &installation.definition.environment;
    let ready = |tier: &Tier| {
        let about = [
            ("PLATCTL_PLATFORM", environment.platform.as_str()),
            ("PLATCTL_ENVIRONMENT", &environment.name),
            ("PLATCTL_TIER", &tier.name),
        ];
        let place = folder.join(format!("{}.tier-hooks", tier.name));
        Ok((tier.name.clone(), hooks::prepare(context, workspace, kubectl, &tier.hooks, &about, &place)?))
    };
    installation.definition.tiers.iter().map(ready).collect()
}

/// What the journal says before anything is begun.
fn entries(definition: &Definition, plan: &Plan, observed: &Observation, work: &BTreeMap<String, Work>) -> Vec<Entry> {
    let entry = |step: &Step| {
        let before = observed.get(&step.namespace, &step.release).map(|found| found.revision);
        // Whoever takes the lease over may read a journal in which it has not begun yet.
        let at_most_seconds = work.get(&step.release).map_or(0, |work| work.at_most.as_secs());
        Entry { at_most_seconds, ..Entry::waiting(&step.release, &step.namespace, verb(&step.action), before) }
    };
    plan.changes().map(entry).chain(backwards::entries(&plan.removals, &prune::work(definition, plan))).collect()
}

/// An action in one word.
fn verb(action: &Action) -> &'static str {
    match action {
        Action::Install => "install",
        Action::Upgrade { .. } => "upgrade",
        Action::Adopt { .. } => "adopt",
        Action::Unchanged | Action::Blocked { .. } => "none",
    }
}

/// The code of each failure, by release.
fn codes(definition: &Definition, report: &Report) -> Vec<(String, String)> {
    let code = |error: &ReleaseError| {
        let failure = failure::release(definition, error).into_iter().next()?;
        Some((error.release.clone(), failure.code.to_string()))
    };
    report.failed.iter().filter_map(code).collect()
}

/// Pushes the images of changing releases that the site's registry lacks.
async fn push_images(
    context: &Context,
    workspace: &Workspace,
    installation: &Installation,
    releases: &[&Release],
) -> Result<(), Failures> {
    let Some(bundle) = &workspace.bundle else {
        if installation.definition.environment.registry.is_some() {
            context.ui.warn("no bundle was named: the site's registry must have the images already");
        }
        return Ok(());
    };
    let images = push::needed_images(bundle, installation, releases)?;
    push::images_to_site(context, workspace, &installation.definition.environment, bundle, &images).await
}

async fn prepare(
    context: &Context,
    site: &Site<'_>,
    plan: &Plan,
    step: &Step,
    (release, rendered, expected): (&Release, &Rendered, Option<Expected>),
    revealed: &Revealed,
    began: &Began,
) -> Result<Work, Failures> {
    let Site { workspace, installation, kubectl, .. } = *site;
    let locked = locked_chart(&workspace.lock, &workspace.tree, &release.name, &release.chart)?;
    let folder = began.folder();
    let fence = began.undertaking.fence(&release.name);
    let crds = rendered.crds();
    let findings = folder.join(format!("{}.findings.json", release.name));
    let task = Task {
        rewriting: installation.rewritings[&release.name].clone(),
        namespace: release.namespace.clone(),
        definitions: crds.iter().flat_map(|(names, _)| names.clone()).collect(),
        expected,
        findings: findings.clone(),
        fence: Some(fence.clone()),
    };
    let task_path = folder.join(format!("{}.task.json", release.name));
    files::write_private(&task_path, &serde_json::to_vec(&task).unwrap_or_default())?;
    let run = began.undertaking.run();
    let tier = &installation.definition.tiers[release.tier];
    let environment = &installation.definition.environment;
    let about = [
        ("PLATCTL_PLATFORM", environment.platform.as_str()),
        ("PLATCTL_ENVIRONMENT", &environment.name),
        ("PLATCTL_TIER", &tier.name),
        ("PLATCTL_RELEASE", &release.name),
        ("PLATCTL_NAMESPACE", &release.namespace),
    ];
    let place = folder.join(format!("{}.hooks", release.name));
    let hooks = hooks::prepare(context, workspace, kubectl, &release.hooks, &about, &place)?;
    let finish_with_tier = !tier.hooks.after.is_empty();
    let follows = finish_with_tier || !hooks.after.is_empty();
    let (labels, finish) = plan::labels_until_done(plan::labels(plan, &tier.name, step, run), follows);
    let chart_hooks = rendered.stream.objects.iter().filter(|object| object.hook.is_some()).count();
    Ok(Work {
        chart: workspace.supply().chart(locked, &workspace.tree).await?,
        values: render::values_json(&secrets::values(release.values.to_json(), &release.value_secrets, revealed)?)
            .into(),
        secrets: secrets::objects(&release.secrets, &release.namespace, &plan::object_labels(plan, step), revealed)?,
        take_ownership: plan.taken.get(&release.name).is_some_and(|taken| taken.adopted),
        force_conflicts: plan.taken.get(&release.name).is_some_and(|taken| !taken.fields.is_empty()),
        labels,
        recreate: Vec::new(),
        finish,
        finish_with_tier,
        hooks,
        forget: matches!(step.action, Action::Install | Action::Upgrade { because: Because::InstallHooks, .. })
            && plan::has_install_hooks(&rendered.stream),
        wait: release.wait,
        timeout: release.timeout,
        at_most: execute::at_most(release.timeout, chart_hooks),
        fence,
        task: task_path,
        findings,
        runs: execute::workloads(&rendered.stream, &release.namespace),
        crds,
    })
}
