//! `apply --prune`: removes what the plan says is no longer wanted, after everything else went well.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::commands::Context;
use crate::commands::backwards::{self, Site};
use crate::commands::undertake::Began;
use crate::definition::Definition;
use crate::execute::BackWork;
use crate::plan::{BackStep, Plan};
use crate::ui::duration;
use crate::ui::failure::Failures;

/// Removes what the plan says. The run's journal has it already.
///
/// # Errors
/// [`Failures`], one for each release that was not removed.
pub async fn prune(context: &Context, site: &Site<'_>, began: &Began, plan: &Plan) -> Result<(), Failures> {
    let steps: Vec<&BackStep> = plan.removed().collect();
    if steps.is_empty() {
        return Ok(());
    }
    let begun = Instant::now();
    let gathered =
        backwards::gather::removal(site.kubectl, site.definition, &steps, &declared(site.definition)).await?;
    backwards::mark_kept(context, site, &gathered.keeps).await;
    let report = backwards::carry_out(context, site, began, &plan.removals, &gathered.work).await?;
    if let Some(failures) = backwards::conclude(&report, steps.len()) {
        return Err(failures);
    }
    context.ui.say("Pruned", format!("{0} of {0} in {1}", steps.len(), duration(begun.elapsed())));
    for line in backwards::cleanup(&gathered.keeps, &|_| false) {
        context.ui.say("Kept", line);
    }
    Ok(())
}

/// How long the removals may take, as far as the definition tells: what their records tell is read when their turn comes.
pub(super) fn work(definition: &Definition, plan: &Plan) -> BTreeMap<String, BackWork> {
    backwards::gather::work(definition, &plan.removed().collect::<Vec<_>>(), &BTreeMap::new())
}

/// What stays: everything that is declared.
fn declared(definition: &Definition) -> Vec<(String, String)> {
    definition.releases.iter().map(|release| (release.namespace.clone(), release.name.clone())).collect()
}
