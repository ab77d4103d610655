//! Doing what the plan says: everything is rendered, checked and pushed before the cluster is touched.

use std::collections::{BTreeMap, BTreeSet};

use super::report::draw;
use crate::bundle::ImageInfo;
use crate::commands::installation::Installation;
use crate::commands::post_render::Task;
use crate::commands::undertake::Began;
use crate::commands::workspace::Workspace;
use crate::commands::{Context, push, reveal};
use crate::definition::{Definition, Release};
use crate::execute::journal::{Asked, Entry};
use crate::execute::{self, Hands, ReleaseError, Report, Work};
use crate::files;
use crate::plan::{self, Action, Observation, Plan, Step};
use crate::render::{self, Rendered};
use crate::secrets::{self, Revealed};
use crate::supply::locked_chart;
use crate::tools::Kubectl;
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};

/// How a run goes about it.
pub(super) struct How {
    /// What was asked for.
    pub asked: Asked,
    /// Begin nothing more after the first failure.
    pub fail_fast: bool,
}

/// Does what the plan says: images first, then the cluster.
#[allow(clippy::too_many_arguments)]
pub(super) async fn change(
    context: &Context,
    workspace: &Workspace,
    installation: &Installation,
    plan: &Plan,
    observed: &Observation,
    kubectl: &Kubectl,
    began: &Began,
    how: How,
) -> Result<Report, Failures> {
    let environment = &installation.definition.environment;
    let changing: BTreeSet<&str> = plan.changes().map(|step| step.release.as_str()).collect();
    let releases: Vec<&Release> =
        installation.definition.releases.iter().filter(|r| changing.contains(r.name.as_str())).collect();
    let revealed = reveal::revealed(context, workspace, &installation.definition, &releases).await?;
    check_tools(context, workspace).await?;
    let rendered = installation.render(context, workspace, &releases).await?;
    push_images(context, workspace, installation, &releases).await?;

    let helm = began.helm(context, workspace.helm(context, environment).await?)?;
    let mut work = BTreeMap::new();
    for (release, rendered) in releases.iter().zip(&rendered) {
        let Some(step) = plan.steps().find(|step| step.release == release.name) else { continue };
        work.insert(
            release.name.clone(),
            prepare(workspace, installation, plan, step, release, rendered, &revealed, began).await?,
        );
    }
    let namespaces = installation.definition.namespaces();
    began
        .undertaking
        .record(how.asked, entries(plan, observed))
        .await
        .map_err(|error| failure::not_recorded(&error))?;
    let hands = Hands {
        helm: &helm,
        kubectl,
        run: &began.undertaking,
        at_once: environment.concurrency.releases,
        fail_fast: how.fail_fast,
    };
    let report = execute::run(plan, &namespaces, &work, hands, &|event| draw(&context.ui, &event)).await;
    began.undertaking.failed(&codes(&installation.definition, &report)).await;
    Ok(report)
}

/// What the journal says before anything is begun.
fn entries(plan: &Plan, observed: &Observation) -> Vec<Entry> {
    let entry = |step: &Step| {
        let before = observed.get(&step.namespace, &step.release).map(|found| found.revision);
        Entry::waiting(&step.release, &step.namespace, verb(&step.action), before)
    };
    plan.changes().map(entry).collect()
}

/// An action in one word.
fn verb(action: &Action) -> &'static str {
    match action {
        Action::Install => "install",
        Action::Upgrade { .. } => "upgrade",
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

/// All charts and tools of the bundle are what the lock says, before anything is changed.
async fn check_tools(context: &Context, workspace: &Workspace) -> Result<(), Failures> {
    let Some(bundle) = &workspace.bundle else { return Ok(()) };
    let tools = bundle.tools().iter().chain([bundle.platctl()]).map(|tool| &tool.file);
    for blob in bundle.charts().iter().map(|chart| &chart.package).chain(tools) {
        let mut reader = bundle.reader(blob)?;
        std::io::copy(&mut reader, &mut std::io::sink()).map_err(|e| {
            let failure =
                Failure::new(Code::BundleDamaged, Kind::Permanent, format!("{}: {e}", bundle.path().display()));
            Failures::from(failure.help("copy the bundle again, or make it again")).exit(exit::REFUSED)
        })?;
    }
    context.ui.detail("Verified", format!("charts and tools of {}", bundle.path().display()));
    Ok(())
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
    let wanted: BTreeSet<&String> =
        releases.iter().flat_map(|r| installation.rewritings[&r.name].images.keys()).collect();
    let mut images: Vec<&ImageInfo> = Vec::new();
    for name in wanted {
        match bundle.images().iter().find(|image| image.reference.to_string() == *name) {
            Some(image) => images.push(image),
            None => {
                let title = format!("image {name} is locked, but not in {}", bundle.path().display());
                let failure = Failure::new(Code::NotInBundle, Kind::Yours, title)
                    .help("make the bundle again from this definition");
                return Err(Failures::from(failure).exit(exit::REFUSED));
            }
        }
    }
    push::images_to_site(context, workspace, &installation.definition.environment, bundle, &images).await
}

#[allow(clippy::too_many_arguments)]
async fn prepare(
    workspace: &Workspace,
    installation: &Installation,
    plan: &Plan,
    step: &Step,
    release: &Release,
    rendered: &Rendered,
    revealed: &Revealed,
    began: &Began,
) -> Result<Work, Failures> {
    let locked = locked_chart(&workspace.lock, &workspace.tree, &release.name, &release.chart)?;
    let folder = began.folder();
    let fence = began.undertaking.fence(&release.name);
    let findings = folder.join(format!("{}.findings.json", release.name));
    let task = Task {
        rewriting: installation.rewritings[&release.name].clone(),
        findings: findings.clone(),
        fence: Some(fence.clone()),
    };
    let task_path = folder.join(format!("{}.task.json", release.name));
    files::write_private(&task_path, &serde_json::to_vec(&task).unwrap_or_default())?;
    let hooks = rendered.stream.objects.iter().filter(|object| object.hook.is_some()).count();
    Ok(Work {
        chart: workspace.supply().chart(locked, &workspace.tree).await?,
        values: render::values_json(&secrets::values(release.values.to_json(), &release.value_secrets, revealed)?)
            .into(),
        secrets: secrets::objects(&release.secrets, &release.namespace, &plan::object_labels(plan, step), revealed)?,
        labels: plan::labels(plan, step, began.undertaking.run()),
        wait: release.wait,
        timeout: release.timeout,
        at_most: execute::at_most(release.timeout, hooks),
        fence,
        task: task_path,
        findings,
        runs: execute::workloads(&rendered.stream, &release.namespace),
        crds: rendered.crds(),
    })
}
