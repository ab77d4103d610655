//! `apply --dry-run`: what would be done and what would be refused. Changes nothing.

use super::{Args, Site, report, reviewed};
use crate::commands::Context;
use crate::commands::claim::Looking;
use crate::commands::foresight::{Foresight, Given};
use crate::definition::Release;
use crate::plan::{Observation, Plan};
use crate::render::Rendered;
use crate::ui::failure::Failures;

/// Shows it. Where it can't be known, the steps are shown all the same.
///
/// # Errors
/// [`Failures`] when something does not render or may not run, or renders otherwise than the saved plan says.
pub(super) async fn show(
    context: &Context,
    args: &Args,
    site: &Site<'_>,
    plan: &Plan,
    observed: &Observation,
) -> Result<(), Failures> {
    let Site { workspace, installation, kubectl, saved, .. } = *site;
    let looking = Looking { context, workspace, installation, kubectl, observed };
    let given = Given { recreate: &args.recreate, skip_needs: args.skip_needs };
    let (foreseen, foresight) = match Foresight::of(&looking, plan, given).await {
        Ok(found) => found,
        Err(failures) => {
            report::show(&context.ui, plan, &Foresight::default());
            return Err(failures);
        }
    };
    report::show(&context.ui, &foreseen.plan, &foresight);
    let Some(saved) = saved else { return Ok(()) };
    let pairs: Vec<(&Release, &Rendered)> = foreseen.rendered.iter().map(|(release, r)| (*release, r)).collect();
    reviewed::check_renders(saved, installation, &pairs)
}
