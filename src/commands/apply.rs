//! `platctl apply`: makes the cluster what the definition says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use super::installation::{self, Installation};
use super::plan::{action, summary};
use super::post_render::Task;
use super::recover::{self, Recovery};
use super::workspace::Workspace;
use super::{Context, push, reveal};
use crate::bundle::ImageInfo;
use crate::definition::{Definition, Release};
use crate::execute::{self, Event, Hands, Report, Work};
use crate::files;
use crate::plan::{self, Action, Plan, Step};
use crate::render::{self, Rendered};
use crate::secrets::{self, Revealed};
use crate::supply::locked_chart;
use crate::tools::{self, Helm, Kubectl};
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};
use crate::ui::{Ui, duration};

/// Flags of `apply`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not insist that what selected releases need is deployed
    #[arg(long)]
    skip_needs: bool,
    /// Put releases right that helm left in the middle of an operation
    #[arg(long, value_enum, value_name = "HOW")]
    recover: Option<Recovery>,
    /// Accepted for scripts: apply asks no question
    #[arg(short, long)]
    yes: bool,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`].
pub async fn run(context: &Context, args: Args) -> Result<u8, Failures> {
    let begun = Instant::now();
    let workspace = Workspace::open(context)?;
    let installation = Installation::new(&workspace, workspace.definition(context)?)?;
    let desired = installation.desired(&workspace, &context.global.selector()?)?;
    let kubectl = workspace.kubectl(context, &installation.definition.environment).await?;
    let mut observed = installation::observe(&kubectl, &installation.definition).await?;
    let mut plan = Plan::build(&installation.definition, &desired, &observed);
    if !args.dry_run && recovered(context, &workspace, &installation, &plan, &kubectl, args.recover).await? {
        observed = installation::observe(&kubectl, &installation.definition).await?;
        plan = Plan::build(&installation.definition, &desired, &observed);
    }
    context.ui.say("Plan", summary(&plan));
    for name in &plan.undeclared {
        context.ui.warn(format!("{name} is installed, but no longer declared; it is left alone"));
    }
    if args.dry_run {
        show(&context.ui, &plan);
        return Ok(0);
    }
    if plan.changes().next().is_none() {
        return Ok(0);
    }
    refuse_blocked(&plan)?;
    if !args.skip_needs {
        installation::check_needs(&installation, &plan, &observed)?;
    }
    let report = change(context, &workspace, &installation, &plan, &kubectl).await?;
    conclude(context, &installation.definition, &plan, &report, begun.elapsed())
}

/// What apply would do, a line each.
fn show(ui: &Ui, plan: &Plan) {
    for tier in &plan.tiers {
        let changes: Vec<&Step> = tier.steps.iter().filter(|step| step.action != Action::Unchanged).collect();
        if !changes.is_empty() {
            ui.line(format!("Would apply {}", tier.name));
            changes.iter().for_each(|step| ui.line(format!("    {:<24}  {}", step.release, action(step))));
        }
    }
}

fn refuse_blocked(plan: &Plan) -> Result<(), Failures> {
    let failures: Vec<Failure> = plan.steps().filter_map(failure::blocked).collect();
    if failures.is_empty() { Ok(()) } else { Err(Failures::new(failures).exit(exit::REFUSED)) }
}

/// Waits for what an earlier run left at work and puts right what was asked for; whether the cluster must be looked at again.
async fn recovered(
    context: &Context,
    workspace: &Workspace,
    installation: &Installation,
    plan: &Plan,
    kubectl: &Kubectl,
    how: Option<Recovery>,
) -> Result<bool, Failures> {
    if plan.changes().next().is_none() {
        return Ok(false);
    }
    let helm = workspace.helm(context, &installation.definition.environment).await?;
    recover::recover(context, plan, &helm, kubectl, how).await
}

/// Does what the plan says: images first, then the cluster.
async fn change(
    context: &Context,
    workspace: &Workspace,
    installation: &Installation,
    plan: &Plan,
    kubectl: &Kubectl,
) -> Result<Report, Failures> {
    let environment = &installation.definition.environment;
    let changing: BTreeSet<&str> = plan.changes().map(|step| step.release.as_str()).collect();
    let releases: Vec<&Release> =
        installation.definition.releases.iter().filter(|r| changing.contains(r.name.as_str())).collect();
    let revealed = reveal::revealed(context, workspace, &installation.definition, &releases).await?;
    check_tools(context, workspace).await?;
    let rendered = installation.render(context, workspace, &releases).await?;
    push_images(context, workspace, installation, &releases).await?;

    let folder = run_folder(context)?;
    let mut helm = workspace.helm(context, environment).await?;
    helm.plugins = folder.path().join("plugins");
    tools::write_post_renderer(&helm.plugins, &context.surroundings.executable)?;
    let mut work = BTreeMap::new();
    for (release, rendered) in releases.iter().zip(&rendered) {
        let Some(step) = plan.steps().find(|step| step.release == release.name) else { continue };
        work.insert(
            release.name.clone(),
            prepare(workspace, installation, plan, step, release, rendered, &revealed, folder.path()).await?,
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
    let made = tempfile::Builder::new().prefix("run-").tempdir_in(&runs);
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
    revealed: &Revealed,
    folder: &Path,
) -> Result<Work, Failures> {
    let locked = locked_chart(&workspace.lock, &workspace.tree, &release.name, &release.chart)?;
    let findings = folder.join(format!("{}.findings.json", release.name));
    let task = Task { rewriting: installation.rewritings[&release.name].clone(), findings: findings.clone() };
    let task_path = folder.join(format!("{}.task.json", release.name));
    files::write_private(&task_path, &serde_json::to_vec(&task).unwrap_or_default())?;
    let run = folder.file_name().unwrap_or_default().to_string_lossy().trim_start_matches('.').to_owned();
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

fn draw(ui: &Ui, event: &Event) {
    let line = |mark: String, step: &Step, elapsed: Option<Duration>| {
        let elapsed = elapsed.map(|e| format!("  {}", duration(e))).unwrap_or_default();
        ui.line(format!("  {mark} {:<22}  {}{elapsed}", step.release, action(step)));
    };
    match event {
        Event::Tier(name) => ui.line(format!("{} {name}", ui.style.heading("Applying"))),
        Event::Started(step) => ui.detail("Starting", &step.release),
        Event::Done(step, elapsed) => line(ui.style.good("✔"), step, Some(*elapsed)),
        Event::Failed(step, elapsed) => line(ui.style.bad("✘"), step, Some(*elapsed)),
        Event::Skipped(step, need) => ui.line(format!("  - {:<22}  skipped: it needs {need}", step.release)),
    }
}

/// Says how it ended.
fn conclude(
    context: &Context,
    definition: &Definition,
    plan: &Plan,
    report: &Report,
    elapsed: Duration,
) -> Result<u8, Failures> {
    let changes = plan.changes().count();
    let done = report.done.len();
    if report.failed.is_empty() && !report.interrupted && done == changes {
        context.ui.say("Applied", format!("{done} of {changes} in {}", duration(elapsed)));
        return Ok(0);
    }
    let mut failures: Vec<Failure> =
        report.failed.iter().flat_map(|error| failure::release(definition, error)).collect();
    if report.interrupted && failures.is_empty() {
        failures.push(Failure::new(Code::Interrupted, Kind::Transient, "interrupted"));
    }
    if let Some(last) = failures.last_mut() {
        if !report.skipped.is_empty() {
            last.help.push(format!("not begun: {}", report.skipped.join(", ")));
        }
        last.help.push(format!("{done} of {changes} done; go on with the same command: what is done stays as it is"));
    }
    let failures = Failures::new(failures);
    Err(if report.interrupted { failures.exit(exit::INTERRUPTED) } else { failures })
}
