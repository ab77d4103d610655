//! What `destroy`, `rollback` and `apply --prune` have in common: doing what stages say, telling what happens, and what
//! stays.

pub mod gather;
mod tell;

use std::collections::BTreeMap;
use std::time::Duration;

use super::Context;
use super::undertake::Began;
use super::workspace::Workspace;
use crate::definition::Definition;
use crate::execute::{self, BackError, BackReport, BackWork, Budget, Hands};
use crate::plan::{BackStep, Deed, Keeps, Stage};
use crate::run::journal::{Asked, Entry};
use crate::tools::{self, Helm, Kubectl};
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};

pub use tell::{cleanup, conclude, fates, list, waits};

use tell::draw;

/// How often it is looked whether a helm has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Refuses a selection: what is not selected would count as not wanted.
///
/// # Errors
/// [`Failures`] when there is one.
pub fn check_prune(context: &Context, prune: bool) -> Result<(), Failures> {
    if !prune || context.global.selector.is_none() {
        return Ok(());
    }
    let failure = Failure::new(Code::Usage, Kind::Yours, "--prune looks at everything, and -l does not")
        .help("leave out -l, or remove single releases with `platctl destroy -l name=NAME`");
    Err(Failures::from(failure).exit(exit::USAGE))
}

/// Where something is taken away or back.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// Where tools come from.
    pub workspace: &'a Workspace,
    /// The definition.
    pub definition: &'a Definition,
    /// The cluster.
    pub kubectl: &'a Kubectl,
}

/// Does what stages say, as a part of a run that holds the lease.
///
/// # Errors
/// [`Failures`] before anything is changed.
pub async fn carry_out(
    context: &Context,
    site: &Site<'_>,
    began: &Began,
    stages: &[Stage],
    work: &BTreeMap<String, BackWork>,
) -> Result<BackReport, Failures> {
    let Site { workspace, definition, kubectl } = site;
    let helm = began.helm(context, workspace.helm(context, &definition.environment).await?)?;
    wait_for_others(context, &helm, stages).await;
    let concurrency = definition.environment.concurrency;
    let budget = Budget::new(concurrency.releases, concurrency.waiting);
    let hands = Hands { helm: &helm, kubectl, run: &began.undertaking, budget: &budget, fail_fast: false };
    let report = execute::backwards(stages, work, hands, &|event| draw(&context.ui, &event)).await;
    let code = |error: &BackError| (error.release.clone(), failure::backwards(error).code.to_string());
    began.undertaking.failed(&report.failed.iter().map(code).collect::<Vec<_>>()).await;
    Ok(report)
}

/// Begins the journal of a run that does nothing but what stages say.
///
/// # Errors
/// [`Failures`] when it can't be written.
pub async fn record(
    began: &Began,
    asked: Asked,
    stages: &[Stage],
    work: &BTreeMap<String, BackWork>,
) -> Result<(), Failures> {
    began.undertaking.record(asked, entries(stages, work), None).await.map_err(|error| failure::not_recorded(&error))
}

/// Marks the definitions that outlive their releases as this environment's: once helm's records are gone nothing else says
/// whose they are. Nothing depends on it but a later `destroy --delete-crds`.
pub async fn mark_kept(context: &Context, site: &Site<'_>, keeps: &Keeps) {
    if keeps.definitions.is_empty() {
        return;
    }
    let environment = &site.definition.environment;
    let [platform, name] = gather::MARKS;
    let labels = [(platform, environment.platform.as_str()), (name, environment.name.as_str())];
    if let Err(error) = site.kubectl.mark_definitions(&keeps.definitions, &labels).await {
        let names = keeps.definitions.join(", ");
        context.ui.warn(format!("{names}: cannot be marked as this environment's ({error}); once its releases are gone, platctl will not delete them"));
    }
}

/// What the journal says of stages before anything is begun.
pub fn entries(stages: &[Stage], work: &BTreeMap<String, BackWork>) -> Vec<Entry> {
    let steps = stages.iter().flat_map(|stage| &stage.steps);
    let entry = |step: &BackStep| {
        let action = match step.deed {
            Deed::Remove { .. } => "remove",
            Deed::RollBack { .. } => "rollback",
            Deed::Unchanged => return None,
        };
        // Whoever takes the lease over may read a journal in which it has not begun yet.
        let at_most_seconds = work.get(&step.id()).map_or(0, |work| work.at_most.as_secs());
        let waiting = Entry::waiting(&step.release, &step.namespace, action, Some(step.revision));
        Some(Entry { at_most_seconds, ..waiting })
    };
    steps.filter_map(entry).collect()
}

/// Waits for helms that a killed run left at work on this host.
async fn wait_for_others(context: &Context, helm: &Helm, stages: &[Stage]) {
    for step in stages.iter().flat_map(|stage| &stage.steps) {
        let is_at_work = || tools::at_work(&helm.program).contains(&(step.release.clone(), step.namespace.clone()));
        if is_at_work() {
            context.ui.say("Waiting", format!("for the helm that an earlier run left at work on {}", step.release));
            while is_at_work() && !context.interrupt.said() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }
}
