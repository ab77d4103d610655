//! What the post-renderer holds helm to: every changing release as it renders offline, with its real secrets.

use std::collections::{BTreeMap, BTreeSet};

use crate::commands::Context;
use crate::commands::installation::Installation;
use crate::commands::workspace::Workspace;
use crate::definition::Release;
use crate::files::FileError;
use crate::render::{Expected, Rendered, Salt};
use crate::secrets::{self, Revealed};
use crate::ui::failure::Failures;

/// A salt for one run or one plan.
///
/// # Errors
/// [`Failures`] when the system has no randomness.
pub fn salt() -> Result<Salt, Failures> {
    Ok(Salt::new(secrets::salt().map_err(FileError::at("read", "/dev/urandom"))?))
}

/// Releases as they are installed, with the secrets that their charts are given: in memory alone, and to be dropped as
/// soon as they were compared. Charts were shown tokens before.
///
/// # Errors
/// [`Failures`] when one does not render.
pub async fn with_secrets(
    context: &Context,
    workspace: &Workspace,
    installation: &Installation,
    upgrades: &BTreeSet<String>,
    releases: &[&Release],
    revealed: &Revealed,
) -> Result<BTreeMap<String, Rendered>, Failures> {
    if releases.is_empty() {
        return Ok(BTreeMap::new());
    }
    let kitchen = workspace.kitchen(context, &installation.definition, &workspace.lock).await?;
    let renderer = kitchen.renderer(&installation.definition, &installation.capabilities).upgrading(upgrades);
    let rendered = renderer.render_revealed(releases, revealed).await?;
    Ok(releases.iter().map(|release| release.name.clone()).zip(rendered).collect())
}

/// What each release will be, hashed, from what it renders with its secrets; those that may render otherwise live are
/// left out.
pub(super) fn expected(
    installation: &Installation,
    rendered: &[(&Release, &Rendered)],
    salt: &Salt,
) -> Result<BTreeMap<String, Expected>, Failures> {
    let guarded = rendered.iter().filter(|(release, _)| !release.guard.is_live());
    let hashed =
        guarded.map(|(release, rendered)| Ok((release.name.clone(), installation.expected(release, rendered, salt)?)));
    hashed.collect()
}
