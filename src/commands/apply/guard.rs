//! What the post-renderer holds helm to: every changing release as it renders offline, with its real secrets.

use std::collections::BTreeMap;

use crate::commands::Context;
use crate::commands::installation::Installation;
use crate::commands::workspace::Workspace;
use crate::definition::Release;
use crate::files::FileError;
use crate::plan::Plan;
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

/// What each release will be, hashed; those that may render otherwise live are left out. Charts were shown tokens where
/// they get secrets; those that get some are rendered once more with the secrets themselves, in memory alone.
pub(super) async fn expected(
    context: &Context,
    workspace: &Workspace,
    installation: &Installation,
    plan: &Plan,
    rendered: &[(&Release, &Rendered)],
    revealed: &Revealed,
    salt: &Salt,
) -> Result<BTreeMap<String, Expected>, Failures> {
    let guarded: Vec<_> = rendered.iter().filter(|(release, _)| !release.guard.is_live()).collect();
    let (secret, plain): (Vec<_>, Vec<_>) =
        guarded.into_iter().partition(|(release, _)| !release.value_secrets.is_empty());
    let mut all = BTreeMap::new();
    for (release, rendered) in plain {
        all.insert(release.name.clone(), installation.expected(release, rendered, salt)?);
    }
    if !secret.is_empty() {
        let releases: Vec<&Release> = secret.iter().map(|(release, _)| *release).collect();
        let kitchen = workspace.kitchen(context, &installation.definition, &workspace.lock).await?;
        let renderer = kitchen.renderer(&installation.definition, &installation.capabilities);
        let rendered = renderer.upgrading(&plan.upgrades()).render_revealed(&releases, revealed).await?;
        for (release, rendered) in releases.iter().zip(&rendered) {
            all.insert(release.name.clone(), installation.expected(release, rendered, salt)?);
        }
    }
    Ok(all)
}
