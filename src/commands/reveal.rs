//! Secrets in the clear, for `apply` when something is changed, and for `diff` and `plan` where there is a key: decrypted by
//! the locked sops, and from then on hidden in everything that is written.

use std::collections::BTreeSet;

use super::Context;
use super::workspace::Workspace;
use crate::definition::{Definition, Release};
use crate::secrets::{Masker, Revealed};
use crate::ui::failure::{self, Failures};

/// What these releases ask for; needs a key only when they ask for anything.
///
/// # Errors
/// [`Failures`] when a secret is not there yet, or without a key that fits.
pub async fn revealed(
    context: &Context,
    workspace: &Workspace,
    definition: &Definition,
    releases: &[&Release],
) -> Result<Revealed, Failures> {
    if releases.iter().all(|release| release.secret_uses().next().is_none()) {
        return Ok(Revealed::default());
    }
    let missing = definition.missing_secrets(releases.iter().copied());
    if !missing.is_empty() {
        return Err(failure::missing_secrets(&definition.environment.name, &missing));
    }
    let revealed = workspace.revealed(context, definition).await?;
    context.ui.mask(Masker::new(&revealed, &public(definition)));
    Ok(revealed)
}

/// Names that everybody sees anyway: a user called as its release is no secret, and hiding it would blank the screen.
pub fn public(definition: &Definition) -> BTreeSet<&str> {
    let releases = definition.releases.iter().flat_map(|release| [release.name.as_str(), release.namespace.as_str()]);
    let tiers = definition.tiers.iter().map(|tier| tier.name.as_str());
    let environment = [definition.environment.name.as_str(), definition.environment.platform.as_str()];
    releases.chain(tiers).chain(environment).collect()
}
