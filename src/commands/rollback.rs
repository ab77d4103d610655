//! `platctl rollback --to RUN`: gives releases what they had when a run was over, from the last tier to the first, as far
//! as helm's history reaches.

use std::collections::BTreeSet;
use std::time::Instant;

use super::backwards::{self, Site};
use super::undertake::{self, Began};
use super::workspace::Workspace;
use super::{API_VERSION, Context, Format, records};
use crate::definition::Definition;
use crate::plan::{BackStep, Observation, Revisions, Rollback};
use crate::run::journal::{Asked, Journal, Outcome, State};
use crate::ui::duration;
use crate::ui::failure::{self, Failures};

/// Flags of `rollback`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run whose end is restored, as `platctl history` names it
    #[arg(long, value_name = "RUN")]
    to: String,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// How --dry-run shows it
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT", requires = "dry_run")]
    output: Format,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`].
pub async fn run(context: &Context, args: Args) -> Result<u8, Failures> {
    let begun = Instant::now();
    let workspace = Workspace::open(context)?;
    let definition = workspace.definition_without_secrets(context)?;
    let selector = context.global.selector()?;
    let kubectl = workspace.kubectl(context, &definition.environment).await?;
    let table = records::table(context, &kubectl, &definition).await?;
    let journals = records::journals(context, &kubectl, &definition).await?;
    let (observed, revisions) = (Observation::parse(&table), Revisions::parse(&table, &definition));
    check_run(&revisions, &journals, &args.to)?;
    let plan = Rollback::build(&definition, &selector, &observed, &revisions, &args.to);
    if plan.stages.is_empty() && plan.later.is_empty() && plan.beyond.is_empty() && !selector.is_all() {
        return Err(failure::nothing_selected(&definition));
    }
    if !plan.beyond.is_empty() {
        return Err(failure::history_too_short(&plan));
    }
    let removed = removed_since(&journals, &observed, &args.to);
    if args.dry_run {
        let text = if args.output == Format::Json { json(&plan, &removed) } else { backwards::list(&plan.stages) };
        context.ui.result(&text)?;
        tell_limits(context, &plan, &removed);
        return Ok(0);
    }
    context.ui.say("Plan", summary(&plan));
    tell_limits(context, &plan, &removed);
    if plan.changes().next().is_none() {
        return Ok(0);
    }
    let began = undertake::begin(context, &kubectl, &definition, "rollback").await?;
    if began.followed {
        // What the run before this one did while it was waited for is looked at again.
        began.end(Outcome::Done).await;
        return Box::pin(run(context, args)).await;
    }
    let site = Site { workspace: &workspace, definition: &definition, kubectl: &kubectl };
    let result = roll_back(context, &site, &began, &plan, begun).await;
    began.end(undertake::outcome(&result)).await;
    result
}

/// Rolls back, now that nobody else changes anything. A release that somebody else changed since it was looked at is left.
async fn roll_back(
    context: &Context,
    site: &Site<'_>,
    began: &Began,
    plan: &Rollback,
    begun: Instant,
) -> Result<u8, Failures> {
    let flags = vec![format!("--to={}", plan.to)];
    let asked = Asked { selector: context.global.selector.clone(), flags };
    let steps: Vec<&BackStep> = plan.changes().collect();
    let work = backwards::gather::rollback(site.kubectl, site.definition, &steps).await?;
    backwards::record(began, asked, &plan.stages, &work).await?;
    let steps = steps.len();
    let report = backwards::carry_out(context, site, began, &plan.stages, &work).await?;
    if let Some(failures) = backwards::conclude(&report, steps) {
        return Err(failures);
    }
    context.ui.say("Rolled back", format!("{steps} of {steps} to run {} in {}", plan.to, duration(begun.elapsed())));
    context.ui.say("Next", next(site.definition));
    Ok(0)
}

fn next(definition: &Definition) -> String {
    let apply = format!("platctl apply -e {}", definition.environment.name);
    format!("the definition still says what it said: `{apply}` goes forward again, once it is mended")
}

/// The run is one of this environment's.
fn check_run(revisions: &Revisions, journals: &[Journal], run: &str) -> Result<(), Failures> {
    let by_record = revisions.runs();
    let known: BTreeSet<&str> =
        by_record.keys().map(String::as_str).chain(journals.iter().map(|journal| journal.run.as_str())).collect();
    if known.contains(run) { Ok(()) } else { Err(failure::no_such_run(run, &known)) }
}

/// Releases that a later run removed and that are not there.
fn removed_since(journals: &[Journal], observed: &Observation, run: &str) -> Vec<String> {
    let later = journals.iter().filter(|journal| journal.run.as_str() > run);
    let removed =
        later.flat_map(|journal| &journal.releases).filter(|e| e.action == "remove" && e.state == State::Done);
    let gone = removed.filter(|entry| observed.get(&entry.namespace, &entry.release).is_none());
    let names: BTreeSet<String> = gone.map(|entry| format!("{}/{}", entry.namespace, entry.release)).collect();
    names.into_iter().collect()
}

fn summary(plan: &Rollback) -> String {
    let (back, all) = (plan.changes().count(), plan.steps().count());
    let parts = [(back, "rollback"), (all - back, "unchanged"), (plan.later.len(), "came later")];
    let said: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if said.is_empty() { "nothing is installed".to_owned() } else { said.join(", ") }
}

/// What does not go back.
fn tell_limits(context: &Context, plan: &Rollback, removed: &[String]) {
    let ui = &context.ui;
    for name in &plan.later {
        ui.warn(format!("{name} came after run {}; it is left as it is", plan.to));
    }
    for name in removed {
        ui.warn(format!("{name} was removed since; helm has nothing to put back, `platctl apply` installs it"));
    }
    if plan.changes().next().is_some() {
        ui.warn(
            "custom resource definitions of crds/, Secrets that platctl makes and data in volumes do not go back; objects \
             that came later are deleted, claims of templates too",
        );
    }
}

fn json(plan: &Rollback, removed: &[String]) -> String {
    let mut json = serde_json::to_value(plan).unwrap_or_default();
    json["apiVersion"] = API_VERSION.into();
    json["removedSince"] = removed.into();
    format!("{json:#}\n")
}
