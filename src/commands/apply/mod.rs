//! `platctl apply`: makes the cluster what the definition says.

pub mod guard;
mod report;
mod reviewed;
mod work;

use std::path::PathBuf;
use std::time::Instant;

use super::Context;
use super::installation::{self, Installation};
use super::plan::summary;
use super::records;
use super::recover::{self, Recovery};
use super::workspace::Workspace;
use crate::plan::Plan;
use crate::tools::Kubectl;
use crate::ui::failure::{self, Failure, Failures, exit};

/// Flags of `apply`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do what a plan of `plan --save` says, and nothing else; refused when anything has moved since
    #[arg(long, value_name = "FILE", conflicts_with = "recover")]
    plan: Option<PathBuf>,
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
    let saved = args.plan.as_deref().map(|path| reviewed::read(context, path)).transpose()?;
    let workspace = Workspace::open(context)?;
    let (definition, selector) = match &saved {
        Some(saved) => (reviewed::definition(&workspace, saved)?, reviewed::selector(saved)?),
        None => (workspace.definition(context)?, context.global.selector()?),
    };
    let installation = Installation::new(&workspace, definition)?;
    let desired = installation.desired(&workspace, &selector)?;
    let kubectl = workspace.kubectl(context, &installation.definition.environment).await?;
    let mut observed = records::observe(context, &kubectl, &installation.definition).await?;
    let mut plan = Plan::build(&installation.definition, &desired, &observed);
    if let Some(saved) = &saved {
        reviewed::check(saved, &workspace, &installation, &plan, &observed, &kubectl).await?;
    }
    if !args.dry_run && recovered(context, &workspace, &installation, &plan, &kubectl, args.recover).await? {
        observed = records::observe(context, &kubectl, &installation.definition).await?;
        plan = Plan::build(&installation.definition, &desired, &observed);
    }
    context.ui.say("Plan", summary(&plan));
    for name in &plan.undeclared {
        context.ui.warn(format!("{name} is installed, but no longer declared; it is left alone"));
    }
    if args.dry_run {
        report::show(&context.ui, &plan);
        return Ok(0);
    }
    if plan.changes().next().is_none() {
        return Ok(0);
    }
    refuse_blocked(&plan)?;
    if !args.skip_needs {
        installation::check_needs(&installation, &plan, &observed)?;
    }
    let report = work::change(context, &workspace, &installation, &plan, &kubectl, saved.as_ref()).await?;
    report::conclude(context, &installation.definition, &plan, &report, begun.elapsed())
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
