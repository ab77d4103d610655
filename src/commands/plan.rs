//! `platctl plan`: what apply would do, and a file of it that `apply --plan` takes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::claim::{self, Claiming, Looking};
use super::foresight::{Foresight, Given};
use super::installation::{Foreseen, Installation};
use super::records;
use super::workspace::Workspace;
use super::{API_VERSION, Context, Format, Rendering, backwards};
use crate::bundle::Bundle;
use crate::definition::Definition;
use crate::files;
use crate::plan::{Action, Because, Blocked, Desired, Observation, Place, Plan, Saved, Seen, Step};
use crate::tools::Kubectl;
use crate::ui::Style;
use crate::ui::failure::{self, Failures};

/// Flags of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show what `apply --prune` would do
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    rendering: Rendering,
    #[command(flatten)]
    claiming: Claiming,
    /// Output format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    /// Write the plan into a file for `apply --plan`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`].
pub async fn run(context: &Context, args: Args) -> Result<u8, Failures> {
    backwards::check_prune(context, args.prune)?;
    let workspace = Workspace::open(context)?.rendering(&args.rendering);
    let installation = Installation::new(&workspace, workspace.definition(context)?)?;
    let desired = installation.desired(&workspace, &context.global.selector()?)?;
    let kubectl = workspace.kubectl(context, &installation.definition.environment).await?;
    let observed = records::observe(context, &kubectl, &installation.definition).await?;
    let plan = planned(&installation.definition, &desired, &observed, args.prune);
    let (workspace, installation, kubectl) = (&workspace, &installation, &kubectl);
    let looking = Looking { context, workspace, installation, kubectl, observed: &observed };
    let plan = looking.claimed(plan, &args.claiming).await?;
    let show = |plan: &Plan, foresight: Option<&Foresight>| {
        let text = match args.output {
            Format::Text => text(plan, foresight, &context.ui.style),
            Format::Json => json(plan, foresight),
        };
        context.ui.result(&text)
    };
    let (foreseen, foresight) = match Foresight::of(&looking, &plan, Given::default()).await {
        Ok(found) => found,
        Err(failures) => {
            show(&plan, None)?;
            return Err(failures);
        }
    };
    if let Some(path) = &args.save {
        let saved = saved(&looking, &foreseen).await?;
        files::write_private(path, saved.to_json(PLATCTL).as_bytes())?;
        context.ui.say("Saved", path.display().to_string());
    }
    show(&foreseen.plan, Some(&foresight))?;
    Ok(0)
}

/// The plan, with what `--prune` removes.
pub fn planned(definition: &Definition, desired: &[Desired<'_>], observed: &Observation, prune: bool) -> Plan {
    let plan = Plan::build(definition, desired, observed);
    if prune { plan.pruning(definition, observed) } else { plan }
}

/// What a plan says of who saved it.
pub const PLATCTL: &str = env!("CARGO_PKG_VERSION");

/// The plan with what has to hold when it is applied.
async fn saved(looking: &Looking<'_>, foreseen: &Foreseen<'_>) -> Result<Saved, Failures> {
    let Looking { context, workspace, installation, kubectl, observed } = *looking;
    let Foreseen { plan, rendered } = foreseen;
    let salt = super::guard::salt()?;
    let mut expected = BTreeMap::new();
    for (release, rendered) in rendered.iter().filter(|(release, _)| !release.guard.is_live()) {
        expected.insert(release.name.clone(), installation.expected(release, rendered, &salt)?);
    }
    let seen = plan.steps().map(|step| Seen::of(step, observed)).collect();
    let place = place(workspace, &installation.definition, kubectl).await?;
    Ok(Saved { plan: plan.clone(), selector: context.global.selector.clone(), place, seen, salt, expected })
}

/// What a plan of this definition for this cluster is made from.
///
/// # Errors
/// [`Failures`] when the cluster can't be asked.
pub async fn place(workspace: &Workspace, definition: &Definition, kubectl: &Kubectl) -> Result<Place, Failures> {
    let uid = kubectl.cluster_uid().await.map_err(|e| failure::cluster("cannot ask which cluster this is", &e))?;
    let bundle = workspace.bundle.as_ref().map(Bundle::index_digest);
    Ok(Place::new(uid, bundle, &workspace.tree, definition))
}

/// One line: how much is done.
pub fn summary(plan: &Plan) -> String {
    let (install, upgrade, unchanged) = plan.counts();
    let adopt = plan.adopted();
    let blocked = plan.changes().count() - install - upgrade - adopt;
    let remove = plan.removed().count();
    let parts = [
        (install, "install"),
        (upgrade, "upgrade"),
        (adopt, "adopt"),
        (remove, "remove"),
        (blocked, "blocked"),
        (unchanged, "unchanged"),
    ];
    let said: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if said.is_empty() { "nothing declared".to_owned() } else { said.join(", ") }
}

/// What a step does, with its versions.
pub fn action(step: &Step) -> String {
    let version = &step.version;
    match &step.action {
        Action::Unchanged => format!("unchanged  {version}"),
        Action::Install => format!("install  {version}"),
        Action::Upgrade { from: Some(from), .. } if from != version => format!("upgrade  {from} → {version}"),
        Action::Upgrade { because: Because::InstallHooks, .. } => {
            format!("install again  {version}, its first installation failed")
        }
        Action::Upgrade { because: Because::Failed | Because::NeverDeployed, .. } => {
            format!("upgrade  {version}, its last run failed")
        }
        Action::Upgrade { because: Because::ByHand, .. } => {
            format!("upgrade  {version}, somebody's helm changed it since")
        }
        Action::Upgrade { because: Because::Drifted, .. } => format!("upgrade  {version}, live objects differ"),
        Action::Upgrade { because: Because::Adopted, .. } => format!("adopt, upgrade  {version}"),
        Action::Upgrade { .. } => format!("upgrade  {version}"),
        Action::Adopt { .. } => format!("adopt  {version}"),
        Action::Blocked { reason: Blocked::Pending { status, .. } } => format!("blocked  helm left it in `{status}`"),
        Action::Blocked { reason: Blocked::Foreign { .. } } => "blocked  it belongs to somebody else".to_owned(),
    }
}

/// Why something is done with a release, and what comes with it, a line each.
fn about(step: &Step) -> Vec<String> {
    let mut lines = Vec::new();
    if let Action::Upgrade { from, because: Because::Inputs } = &step.action {
        let same = from.as_ref().is_none_or(|from| *from == step.version);
        lines.push(if same { "what decides it has changed" } else { "another version of its chart" }.to_owned());
    }
    if !step.secrets.is_empty() {
        lines.push(format!("Secrets: {}", step.secrets.join(", ")));
    }
    lines.extend(step.live.iter().map(|reason| format!("renders live: {reason}")));
    lines
}

fn text(plan: &Plan, foresight: Option<&Foresight>, style: &Style) -> String {
    let mut text = String::new();
    for tier in &plan.tiers {
        text.push_str(&format!("{}\n", tier.name));
        for step in &tier.steps {
            text.push_str(&format!("  {:<24}  {}\n", step.release, action(step)));
            let more = foresight.map(|foresight| foresight.lines(&step.release)).unwrap_or_default();
            for line in about(step).into_iter().chain(claim::lines(plan, step)).chain(more) {
                text.push_str(&format!("  {:<24}    {line}\n", ""));
            }
        }
    }
    for name in &plan.undeclared {
        text.push_str(&format!("no longer declared, left alone: {name}\n"));
    }
    for name in &plan.switched_off {
        text.push_str(&format!("switched off, left alone: {name}\n"));
    }
    if !plan.removals.is_empty() {
        text.push_str(&format!("removed at the end\n{}", backwards::list(&plan.removals)));
    }
    text.push_str(&foresight.map(|foresight| foresight.end(style)).unwrap_or_default());
    format!("{text}{}\n", summary(plan))
}

fn json(plan: &Plan, foresight: Option<&Foresight>) -> String {
    let mut json = serde_json::to_value(plan).unwrap_or_default();
    if let Some(map) = json.as_object_mut() {
        map.insert("apiVersion".to_owned(), API_VERSION.into());
        map.extend(foresight.map(|foresight| ("foreseen".to_owned(), foresight.json())));
    }
    format!("{json:#}\n")
}
