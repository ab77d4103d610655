//! Programs of the definition around a release or a tier, one after the other. Must not decide which.

use super::{Event, Hands};
use crate::tools::{Script, ScriptError};

/// Programs around something, ready to run.
#[derive(Debug, Clone, Default)]
pub struct Scripts {
    /// Before it begins.
    pub before: Vec<Script>,
    /// After it is done.
    pub after: Vec<Script>,
}

/// Runs them in order, up to the first that fails.
pub(super) async fn run(
    scripts: &[Script],
    hands: Hands<'_>,
    events: &(dyn Fn(Event<'_>) + Send + Sync),
) -> Result<(), ScriptError> {
    for script in scripts {
        let output = script.run(&hands.helm.interrupt).await?;
        events(Event::Ran(&script.name, output));
    }
    Ok(())
}
