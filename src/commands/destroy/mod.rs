//! `platctl destroy`: removes everything of an environment, or what is selected, from the last tier to the first.

mod confirm;
mod definitions;
mod outlived;

use std::collections::BTreeMap;
use std::time::Instant;

use super::backwards::{self, Site, gather::Gathered};
use super::undertake::{self, Began};
use super::workspace::Workspace;
use super::{API_VERSION, Context, Format, records};
use crate::definition::Definition;
use crate::execute::BackWork;
use crate::plan::{BackStep, Claim, Destruction};
use crate::run::journal::Asked;
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};
use crate::ui::{count, duration};

/// Flags of `destroy`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The environment's name: confirms it where nobody can be asked
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Show what would go and what would stay, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove what releases that stay need
    #[arg(long)]
    skip_needs: bool,
    /// Delete the PersistentVolumeClaims of these releases too, with their data; `all` for every release that is removed
    #[arg(long, value_name = "RELEASE", value_delimiter = ',')]
    delete_pvcs: Vec<String>,
    /// Delete these custom resource definitions too, once no object of theirs is left
    #[arg(long, value_name = "CRD", value_delimiter = ',')]
    delete_crds: Vec<String>,
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
    let observed = records::observe(context, &kubectl, &definition).await?;
    let plan = Destruction::build(&definition, &selector, &observed);
    let steps: Vec<&BackStep> = plan.steps().collect();
    check(context, &definition, &plan, &args)?;
    if steps.is_empty() {
        if !selector.is_all() {
            return Err(failure::nothing_selected(&definition));
        }
        context.ui.say("Plan", format!("nothing of environment {} is installed", definition.environment.name));
        return outlived::delete(context, &kubectl, &definition, &plan, &args).await;
    }
    let gathered = backwards::gather::removal(&kubectl, &definition, &steps, &plan.staying).await?;
    definitions::check(context, &kubectl, &args.delete_crds, &steps).await?;
    if args.dry_run {
        context.ui.result(&shown(&plan, &gathered, &args))?;
        return Ok(0);
    }
    context.ui.line(shown(&plan, &gathered, &args).trim_end());
    let what = count(steps.len(), "release");
    confirm::confirmed(context, &definition, args.confirm.as_deref(), &what).await?;

    let began = undertake::begin(context, &kubectl, &definition, "destroy").await?;
    let site = Site { workspace: &workspace, definition: &definition, kubectl: &kubectl };
    let result = remove(context, &args, &site, &began, &plan, &gathered, begun).await;
    began.end(undertake::outcome(&result)).await;
    result
}

/// Removes, now that nobody else changes anything. A release that somebody else changed since it was looked at is left.
async fn remove(
    context: &Context,
    args: &Args,
    site: &Site<'_>,
    began: &Began,
    plan: &Destruction,
    gathered: &Gathered,
    begun: Instant,
) -> Result<u8, Failures> {
    let asked = Asked { selector: context.global.selector.clone(), flags: Vec::new() };
    let steps = plan.steps().count();
    let work = with_claims(gathered, args);
    backwards::record(began, asked, &plan.stages, &work).await?;
    backwards::mark_kept(context, site, &gathered.keeps).await;
    let report = backwards::carry_out(context, site, began, &plan.stages, &work).await?;
    if let Some(failures) = backwards::conclude(&report, steps) {
        return Err(failures);
    }
    definitions::delete(context, site.kubectl, &args.delete_crds).await?;
    context.ui.say("Removed", format!("{steps} of {steps} in {}", duration(begun.elapsed())));
    conclude(context, site.definition, gathered, args);
    Ok(0)
}

/// What the flags name is there, and nothing that stays needs what goes. A release that is gone already is no error: who
/// goes on with the same command names it again.
fn check(context: &Context, definition: &Definition, plan: &Destruction, args: &Args) -> Result<(), Failures> {
    let going = |name: &str| plan.steps().any(|step| step.release == name);
    let stays = |name: &str| plan.staying.iter().any(|(_, release)| release == name);
    for name in args.delete_pvcs.iter().filter(|name| *name != "all" && !going(name)) {
        let declared = definition.releases.iter().find(|release| release.name == *name);
        let Some(release) = declared.filter(|_| !stays(name)) else {
            let title = format!("--delete-pvcs {name}: no release of that name is removed");
            return Err(Failures::from(Failure::new(Code::Usage, Kind::Yours, title)).exit(exit::USAGE));
        };
        context.ui.warn(format!(
            "--delete-pvcs {name}: it is not installed, and its claims are not looked for: \
             kubectl get persistentvolumeclaims --namespace {}",
            release.namespace
        ));
    }
    if args.skip_needs || plan.needed.is_empty() {
        return Ok(());
    }
    let failures = plan.needed.iter().map(|(release, by)| {
        Failure::new(Code::StillNeeded, Kind::Yours, format!("{release}: {by}, which stays, needs it"))
            .help(format!("remove {by} too, or insist with --skip-needs"))
    });
    Err(Failures::new(failures.collect()).exit(exit::REFUSED))
}

fn is_deleted(claim: &Claim, args: &Args) -> bool {
    args.delete_pvcs.iter().any(|name| name == "all" || *name == claim.release)
}

fn with_claims(gathered: &Gathered, args: &Args) -> BTreeMap<String, BackWork> {
    let mut work = gathered.work.clone();
    for claim in gathered.keeps.claims.iter().filter(|claim| is_deleted(claim, args)) {
        if let Some(work) = work.get_mut(&format!("{}/{}", claim.namespace, claim.release)) {
            work.claims.push(claim.name.clone());
        }
    }
    work
}

fn shown(plan: &Destruction, gathered: &Gathered, args: &Args) -> String {
    let mut keeps = gathered.keeps.clone();
    keeps.definitions.retain(|name| !args.delete_crds.contains(name));
    if args.output == Format::Json {
        let (deleted, kept): (Vec<Claim>, Vec<Claim>) = keeps.claims.drain(..).partition(|c| is_deleted(c, args));
        keeps.claims = kept;
        let delete = serde_json::json!({"claims": deleted, "definitions": args.delete_crds});
        let mut json = serde_json::json!({"apiVersion": API_VERSION, "keeps": keeps, "deletes": delete});
        json["plan"] = serde_json::to_value(plan).unwrap_or_default();
        return format!("{json:#}\n");
    }
    let mut text = backwards::list(&plan.stages);
    for line in backwards::fates(&keeps, &|claim| is_deleted(claim, args)) {
        text.push_str(&format!("{line}\n"));
    }
    args.delete_crds.iter().for_each(|name| text.push_str(&format!("goes   CustomResourceDefinition {name}\n")));
    text
}

/// What is left and how it is deleted.
fn conclude(context: &Context, definition: &Definition, gathered: &Gathered, args: &Args) {
    let mut keeps = gathered.keeps.clone();
    keeps.definitions.retain(|name| !args.delete_crds.contains(name));
    for line in backwards::cleanup(&keeps, &|claim| is_deleted(claim, args)) {
        context.ui.say("Kept", line);
    }
    let namespaces: Vec<&str> = keeps.namespaces.iter().map(String::as_str).collect();
    context.ui.say("Kept", format!("namespaces {}", namespaces.join(", ")));
    let apply = format!("platctl apply -e {}", definition.environment.name);
    context.ui.say("Back", format!("`{apply}` installs it again; claims that were kept are found again"));
}
