//! `platctl apply`: makes the cluster what the definition says.

mod hooks;
mod outlook;
mod prune;
mod report;
mod resume;
mod reviewed;
mod work;

use std::path::PathBuf;
use std::time::Instant;

use super::Context;
use super::backwards;
use super::claim::{Claiming, Looking};
use super::installation::{self, Foreseen, Installation};
use super::plan::{planned, summary};
use super::records;
use super::recover::{self, Recovery, Wanted};
use super::recreate;
use super::undertake::{self, Began};
use super::workspace::Workspace;
use crate::plan::{Desired, Observation, Plan, Saved};
use crate::tools::Kubectl;
use crate::ui::failure::{self, Failure, Failures, exit};

/// Flags of `apply`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do what a plan of `plan --save` says, and nothing else; refused when anything has moved since
    #[arg(long, value_name = "FILE", conflicts_with_all = ["recover", "resume", "prune", "check_drift", "adopt"])]
    plan: Option<PathBuf>,
    #[command(flatten)]
    claiming: Claiming,
    /// Do not insist that what selected releases need is deployed
    #[arg(long)]
    skip_needs: bool,
    /// Begin nothing more after the first failure
    #[arg(long)]
    fail_fast: bool,
    /// Delete what has fields that can't be changed in place, and make it anew: of a release, or one object; may be repeated
    #[arg(long, value_name = "RELEASE|KIND/NAME")]
    recreate: Vec<String>,
    /// Remove releases that are no longer declared, or switched off, after everything else went well
    #[arg(long)]
    prune: bool,
    /// Go on with the last run that did not end well: what it selected, what it left in the middle of an operation included
    #[arg(long)]
    resume: bool,
    /// The run that is gone on with
    #[arg(skip)]
    resumes: Option<String>,
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
    if args.resume {
        return match resume::resumed(context, args).await? {
            Some((context, args)) => Box::pin(run(&context, args)).await,
            None => Ok(0),
        };
    }
    backwards::check_prune(context, args.prune)?;
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
    let (workspace, installation, kubectl, desired) = (&workspace, &installation, &kubectl, &desired);
    let prune = saved.as_ref().map_or(args.prune, |saved| !saved.plan.removals.is_empty());
    let claiming = saved.as_ref().map_or_else(|| args.claiming.clone(), Claiming::of);
    let claiming = Claiming { recreate: args.recreate.clone(), ..claiming };
    let site = Site { workspace, installation, kubectl, desired, saved: saved.as_ref(), prune, claiming };
    let mut seen = site.look(context).await?;
    let Seen { plan, observed, .. } = &seen;
    // What is put right first may be upgraded then.
    if args.recover.is_none() {
        recreate::check(&context.ui, installation, plan, &args.recreate)?;
    }
    // A run that is gone on with is ended, even where its helms have done all of it meanwhile.
    if args.dry_run || (plan.is_nothing() && args.resumes.is_none()) {
        tell(context, plan);
        if args.dry_run {
            Box::pin(outlook::show(context, &args, &site, plan, observed)).await?;
        }
        return Ok(0);
    }
    // On the heap, as other parts of a run: together they are too much for a thread's stack.
    let beginning = Box::pin(undertake::begin(context, kubectl, &installation.definition, "apply"));
    // The lease is a matter of waiting for the API server, rendering one of computing here.
    let rendering = Box::pin(async { Ok(installation.foreseen(context, workspace, plan).await) });
    let (began, foreseen) = tokio::try_join!(beginning, rendering)?;
    seen.foreseen = Some(foreseen);
    let result = Box::pin(apply(context, &args, &site, seen, &began, begun)).await;
    began.end(undertake::outcome(&result)).await;
    result
}

/// What an apply works on.
struct Site<'a> {
    workspace: &'a Workspace,
    installation: &'a Installation,
    kubectl: &'a Kubectl,
    desired: &'a [Desired<'a>],
    /// The plan that was reviewed.
    saved: Option<&'a Saved>,
    prune: bool,
    claiming: Claiming,
}

/// What the cluster has, and what is to be done by that.
struct Seen<'a> {
    plan: Plan,
    observed: Observation,
    /// When it was looked at.
    at: Instant,
    /// What that renders, if it was rendered already.
    foreseen: Option<Result<Foreseen<'a>, Failures>>,
}

impl<'a> Site<'a> {
    /// What is to be done by what the cluster has now; refused when a saved plan says otherwise.
    async fn look(&self, context: &Context) -> Result<Seen<'a>, Failures> {
        let Site { workspace, installation, kubectl, desired, saved, prune, claiming } = self;
        let at = Instant::now();
        let observed = records::observe(context, kubectl, &installation.definition).await?;
        let plan = planned(&installation.definition, desired, &observed, *prune);
        let looking = Looking { context, workspace, installation, kubectl, observed: &observed };
        let plan = looking.claimed(plan, claiming).await?;
        if let Some(saved) = saved {
            reviewed::check(saved, workspace, installation, &plan, &observed, kubectl).await?;
        }
        Ok(Seen { plan, observed, at, foreseen: None })
    }
}

/// Applies, now that nobody else does.
async fn apply(
    context: &Context,
    args: &Args,
    site: &Site<'_>,
    seen: Seen<'_>,
    began: &Began,
    begun: Instant,
) -> Result<u8, Failures> {
    let Site { workspace, installation, kubectl, .. } = site;
    let mut seen = if began.followed { site.look(context).await? } else { seen };
    if Box::pin(recovered(context, args, site, &seen.plan, &seen.observed, began)).await? {
        seen = site.look(context).await?;
    }
    let plan = &seen.plan.clone();
    tell(context, plan);
    report::taken(&context.ui, plan);
    if plan.is_nothing() {
        let asked = resume::asked(context, args, site.saved);
        began.undertaking.record(asked, Vec::new(), None).await.map_err(|error| failure::not_recorded(&error))?;
        return Ok(0);
    }
    refuse_blocked(plan)?;
    if !args.skip_needs {
        installation::check_needs(installation, plan, &seen.observed)?;
    }
    let asked = resume::asked(context, args, site.saved);
    if plan.changes().next().is_some() {
        let how = work::How { began, asked, fail_fast: args.fail_fast, recreate: &args.recreate };
        let report = Box::pin(work::change(context, site, seen, how)).await?;
        report::conclude(context, &installation.definition, plan, &report, begun.elapsed())?;
    } else {
        backwards::record(began, asked, &plan.removals, &prune::work(&installation.definition, plan)).await?;
    }
    let site = backwards::Site { workspace, definition: &installation.definition, kubectl };
    Box::pin(prune::prune(context, &site, began, plan)).await?;
    Ok(0)
}

fn tell(context: &Context, plan: &Plan) {
    context.ui.say("Plan", summary(plan));
    for name in &plan.undeclared {
        context.ui.warn(format!("{name} is installed, but no longer declared; it is left alone (--prune removes it)"));
    }
    for name in &plan.switched_off {
        context.ui.warn(format!("{name} is installed, but switched off; it is left alone (--prune removes it)"));
    }
}

fn refuse_blocked(plan: &Plan) -> Result<(), Failures> {
    let failures: Vec<Failure> = plan.steps().filter_map(failure::blocked).collect();
    if failures.is_empty() { Ok(()) } else { Err(Failures::new(failures).exit(exit::REFUSED)) }
}

/// Waits for what an earlier run left at work and puts right what was asked for; whether the cluster must be looked at again.
async fn recovered(
    context: &Context,
    args: &Args,
    site: &Site<'_>,
    plan: &Plan,
    observed: &Observation,
    began: &Began,
) -> Result<bool, Failures> {
    let helm = site.workspace.helm(context, &site.installation.definition.environment).await?;
    let helm = began.helm(context, helm)?;
    let wanted = Wanted { how: args.recover, resumed: args.resumes.as_deref(), run: began.undertaking.run() };
    recover::recover(context, plan, observed, &helm, site.kubectl, wanted).await
}
