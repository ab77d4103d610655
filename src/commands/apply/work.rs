//! Doing what the plan says: everything is rendered, checked and pushed before the cluster is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::report::draw;
use super::{guard, reviewed};
use crate::bundle::ImageInfo;
use crate::commands::installation::Installation;
use crate::commands::post_render::Task;
use crate::commands::workspace::Workspace;
use crate::commands::{Context, push, reveal};
use crate::definition::Release;
use crate::execute::{self, Hands, Report, Work};
use crate::files;
use crate::plan::{self, Plan, Saved, Step};
use crate::render::{self, Expected, Rendered};
use crate::secrets::{self, Revealed};
use crate::supply::locked_chart;
use crate::surroundings::GUARD_SALT;
use crate::tools::{self, Helm, Kubectl};
use crate::ui::failure::{Code, Failure, Failures, Kind, exit};

/// Does what the plan says: images first, then the cluster.
pub(super) async fn change(
    context: &Context,
    workspace: &Workspace,
    installation: &Installation,
    plan: &Plan,
    kubectl: &Kubectl,
    reviewed: Option<&Saved>,
) -> Result<Report, Failures> {
    let environment = &installation.definition.environment;
    let changing: BTreeSet<&str> = plan.changes().map(|step| step.release.as_str()).collect();
    let releases: Vec<&Release> =
        installation.definition.releases.iter().filter(|r| changing.contains(r.name.as_str())).collect();
    let revealed = reveal::revealed(context, workspace, &installation.definition, &releases).await?;
    check_tools(context, workspace).await?;
    let rendered = installation.render_as(context, workspace, &releases, &plan.upgrades()).await?;
    let pairs: Vec<(&Release, &Rendered)> = releases.iter().copied().zip(&rendered).collect();
    if let Some(saved) = reviewed {
        reviewed::check_renders(saved, installation, &pairs)?;
    }
    let salt = guard::salt()?;
    let mut expected = guard::expected(context, workspace, installation, plan, &pairs, &revealed, &salt).await?;
    push_images(context, workspace, installation, &releases).await?;

    let folder = run_folder(context)?;
    let mut helm = workspace.helm(context, environment).await?;
    helm.plugins = folder.path().join("plugins");
    // On no disk: with it somebody could try short secrets on the hashes in the tasks.
    helm.variables.push((GUARD_SALT.into(), salt.to_string().into()));
    tools::write_post_renderer(&helm.plugins, &context.surroundings.executable)?;
    let mut work = BTreeMap::new();
    for (release, rendered) in pairs {
        let Some(step) = plan.steps().find(|step| step.release == release.name) else { continue };
        work.insert(
            release.name.clone(),
            prepare(
                workspace,
                installation,
                plan,
                step,
                release,
                rendered,
                expected.remove(&release.name),
                &revealed,
                folder.path(),
            )
            .await?,
        );
    }
    let namespaces = installation.definition.namespaces();
    Ok(execute(context, plan, &namespaces, &work, &helm, kubectl, environment.concurrency.releases).await)
}

async fn execute(
    context: &Context,
    plan: &Plan,
    namespaces: &BTreeMap<String, BTreeMap<String, String>>,
    work: &BTreeMap<String, Work>,
    helm: &Helm,
    kubectl: &Kubectl,
    at_once: usize,
) -> Report {
    let hands = Hands { helm, kubectl, at_once };
    execute::run(plan, namespaces, work, hands, &|event| draw(&context.ui, &event)).await
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

/// A private folder for this run's tasks. A killed run leaves its own behind for the helms still at work; old ones go.
fn run_folder(context: &Context) -> Result<tempfile::TempDir, Failures> {
    let runs = context.surroundings.cache.join("runs");
    files::private_folder(&runs)?;
    files::remove_older(&runs, Duration::from_secs(24 * 3600));
    let prefix = format!("run-{}-", plan::run_stamp(SystemTime::now()));
    let made = tempfile::Builder::new().prefix(&prefix).rand_bytes(4).tempdir_in(&runs);
    Ok(made.map_err(files::FileError::at("make a folder in", &runs))?)
}

#[allow(clippy::too_many_arguments)]
async fn prepare(
    workspace: &Workspace,
    installation: &Installation,
    plan: &Plan,
    step: &Step,
    release: &Release,
    rendered: &Rendered,
    expected: Option<Expected>,
    revealed: &Revealed,
    folder: &Path,
) -> Result<Work, Failures> {
    let locked = locked_chart(&workspace.lock, &workspace.tree, &release.name, &release.chart)?;
    let findings = folder.join(format!("{}.findings.json", release.name));
    let (rewriting, namespace) = (installation.rewritings[&release.name].clone(), release.namespace.clone());
    let task = Task { rewriting, namespace, expected, findings: findings.clone() };
    let task_path = folder.join(format!("{}.task.json", release.name));
    files::write_private(&task_path, &serde_json::to_vec(&task).unwrap_or_default())?;
    let run = folder.file_name().unwrap_or_default().to_string_lossy().trim_start_matches("run-").to_owned();
    Ok(Work {
        chart: workspace.supply().chart(locked, &workspace.tree).await?,
        values: render::values_json(&secrets::values(release.values.to_json(), &release.value_secrets, revealed)?)
            .into(),
        secrets: secrets::objects(&release.secrets, &release.namespace, &plan::object_labels(plan, step), revealed)?,
        labels: plan::labels(plan, step, &run),
        wait: release.wait,
        timeout: release.timeout,
        task: task_path,
        findings,
        crds: rendered.crds(),
    })
}
