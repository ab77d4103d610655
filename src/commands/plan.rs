//! `platctl plan`: what apply would do.

use super::installation::Installation;
use super::records;
use super::workspace::Workspace;
use super::{API_VERSION, Context, Format, apply, backwards};
use crate::definition::Definition;
use crate::plan::{Action, Because, Blocked, Desired, Observation, Plan, Step};
use crate::ui::failure::Failures;

/// Flags of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show what `apply --prune` would do
    #[arg(long)]
    prune: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`].
pub async fn run(context: &Context, args: Args) -> Result<u8, Failures> {
    apply::check_prune(context, args.prune)?;
    let workspace = Workspace::open(context)?;
    let installation = Installation::new(&workspace, workspace.definition(context)?)?;
    let desired = installation.desired(&workspace, &context.global.selector()?)?;
    let kubectl = workspace.kubectl(context, &installation.definition.environment).await?;
    let observed = records::observe(context, &kubectl, &installation.definition).await?;
    let plan = planned(&installation.definition, &desired, &observed, args.prune);
    let text = match args.output {
        Format::Text => text(&plan),
        Format::Json => json(&plan),
    };
    context.ui.result(&text)?;
    Ok(0)
}

/// The plan, with what `--prune` removes.
pub fn planned(definition: &Definition, desired: &[Desired<'_>], observed: &Observation, prune: bool) -> Plan {
    let plan = Plan::build(definition, desired, observed);
    if prune { plan.pruning(definition, observed) } else { plan }
}

/// One line: how much is done.
pub fn summary(plan: &Plan) -> String {
    let (install, upgrade, unchanged) = plan.counts();
    let blocked = plan.changes().count() - install - upgrade;
    let remove = plan.removed().count();
    let parts = [
        (install, "install"),
        (upgrade, "upgrade"),
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
        Action::Upgrade { because: Because::Failed, .. } => format!("upgrade  {version}, its last run failed"),
        Action::Upgrade { .. } => format!("upgrade  {version}"),
        Action::Blocked { reason: Blocked::Pending { status, .. } } => format!("blocked  helm left it in `{status}`"),
        Action::Blocked { reason: Blocked::Foreign { .. } } => "blocked  it belongs to somebody else".to_owned(),
    }
}

fn text(plan: &Plan) -> String {
    let mut text = String::new();
    for tier in &plan.tiers {
        text.push_str(&format!("{}\n", tier.name));
        for step in &tier.steps {
            text.push_str(&format!("  {:<24}  {}\n", step.release, action(step)));
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
    format!("{text}{}\n", summary(plan))
}

fn json(plan: &Plan) -> String {
    let mut json = serde_json::to_value(plan).unwrap_or_default();
    if let Some(map) = json.as_object_mut() {
        map.insert("apiVersion".to_owned(), API_VERSION.into());
    }
    format!("{json:#}\n")
}
