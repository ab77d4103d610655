//! What `destroy`, `rollback` and `apply --prune` have in common: doing what stages say, telling what happens, and what
//! stays.

pub mod gather;
mod tell;

use std::collections::BTreeMap;

use super::Context;
use super::workspace::Workspace;
use crate::definition::Definition;
use crate::execute::{self, BackReport, BackWork, Hands};
use crate::plan::Stage;
use crate::tools::Kubectl;
use crate::ui::failure::Failures;

pub use tell::{cleanup, conclude, deed, fates, list};

use tell::draw;

/// Does what stages say.
///
/// # Errors
/// [`Failures`] before anything is changed.
pub async fn carry_out(
    context: &Context,
    workspace: &Workspace,
    definition: &Definition,
    kubectl: &Kubectl,
    verb: &str,
    stages: &[Stage],
    work: &BTreeMap<String, BackWork>,
) -> Result<BackReport, Failures> {
    let (_, run) = (verb, String::new()); // TODO
    let helm = workspace.helm(context, &definition.environment).await?;
    let hands = Hands { helm: &helm, kubectl, at_once: definition.environment.concurrency.releases };
    Ok(execute::backwards(stages, work, &run, hands, &|event| draw(&context.ui, &event)).await)
}
