//! `apply --plan FILE`: a plan that was saved and looked at. It is applied as it is, or not at all.

use std::path::Path;

use crate::commands::installation::Installation;
use crate::commands::workspace::Workspace;
use crate::commands::{Context, plan};
use crate::definition::{Definition, Release};
use crate::files;
use crate::plan::{Moved, Observation, Plan, Saved, Selector};
use crate::render::Rendered;
use crate::tools::Kubectl;
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};

/// Reads the file.
///
/// # Errors
/// [`Failures`] when it is no plan of this platctl, or when flags ask for something else than what it says.
pub(super) fn read(context: &Context, path: &Path) -> Result<Saved, Failures> {
    let saved = Saved::read(&files::read(path)?, plan::PLATCTL).map_err(|error| Failures::from((path, error)))?;
    if context.global.selector.is_some() {
        let failure = Failure::new(Code::Usage, Kind::Yours, "a saved plan says itself which releases are meant");
        return Err(Failures::from(failure.help("leave -l out, or save another plan with it")).exit(exit::USAGE));
    }
    let asked = context.global.environment.as_ref().filter(|asked| **asked != saved.plan.environment);
    match asked {
        Some(asked) => Err(other("environment", &saved.plan.environment, asked)),
        None => Ok(saved),
    }
}

fn other(what: &'static str, then: &str, now: &str) -> Failures {
    failure::planned(&[Moved::Place { what, then: then.to_owned(), now: now.to_owned() }])
}

/// The definition that the plan is for.
///
/// # Errors
/// [`Failures`] when the bundle is another environment's, or the definition is wrong.
pub(super) fn definition(workspace: &Workspace, saved: &Saved) -> Result<Definition, Failures> {
    let name = &saved.plan.environment;
    let bundled = workspace.bundle.as_ref().filter(|_| workspace.folder.is_none()).map(|bundle| bundle.environment());
    match bundled.filter(|bundled| bundled != name) {
        Some(bundled) => Err(other("environment", name, bundled)),
        None if !Definition::environments(&workspace.tree).contains(name) => {
            Err(other("environment", name, "a definition that has none of that name"))
        }
        None => Ok(Definition::load(&workspace.tree, name)?),
    }
}

/// The releases that the plan is about.
///
/// # Errors
/// [`Failures`] for a text that is no selector.
pub(super) fn selector(saved: &Saved) -> Result<Selector, Failures> {
    Ok(saved.selector.as_deref().map(str::parse).transpose()?.unwrap_or_default())
}

/// Refuses a plan when anything that it says is no longer so.
///
/// # Errors
/// [`Failures`] naming what moved.
pub(super) async fn check(
    saved: &Saved,
    workspace: &Workspace,
    installation: &Installation,
    now: &Plan,
    observed: &Observation,
    kubectl: &Kubectl,
) -> Result<(), Failures> {
    if now.platform != saved.plan.platform {
        return Err(other("platform", &saved.plan.platform, &now.platform));
    }
    let place = plan::place(workspace, &installation.definition, kubectl).await?;
    let moved = saved.moved(&place, now, observed);
    if moved.is_empty() { Ok(()) } else { Err(failure::planned(&moved)) }
}

/// Refuses a plan when a release renders otherwise than when it was saved.
///
/// # Errors
/// [`Failures`], one for each release.
pub(super) fn check_renders(
    saved: &Saved,
    installation: &Installation,
    rendered: &[(&Release, &Rendered)],
) -> Result<(), Failures> {
    let mut failures = Vec::new();
    for (release, rendered) in rendered {
        let Some(expected) = saved.expected.get(&release.name) else { continue };
        let found = installation.expected(release, rendered, &saved.salt)?;
        let differences = expected.differences(&release.name, &found);
        if !differences.is_empty() {
            failures.push(failure::rendered_since(&release.name, &differences));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(Failures::new(failures).exit(exit::REFUSED)) }
}
