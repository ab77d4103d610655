//! The question that `destroy` asks, and nothing else does: the environment's own name.

use crate::commands::Context;
use crate::definition::Definition;
use crate::ui::failure::{Code, Failure, Failures, Kind, exit};
use crate::ui::read_line;

/// Goes on only when the environment's name was given, by flag or at the terminal.
///
/// # Errors
/// [`Failures`] when it was not; nothing was changed.
pub async fn confirmed(
    context: &Context,
    definition: &Definition,
    given: Option<&str>,
    what: &str,
) -> Result<(), Failures> {
    let name = &definition.environment.name;
    let given = match given {
        Some(given) => given.to_owned(),
        None if context.ui.can_ask() => asked(context, name, what).await?,
        None => {
            let title = format!("removing {what} of environment {name} wants to be confirmed");
            let failure = Failure::new(Code::NotConfirmed, Kind::Yours, title)
                .detail("there is no terminal to ask at")
                .help(format!("look at it with --dry-run, then add --confirm {name}"));
            return Err(Failures::from(failure).exit(exit::REFUSED));
        }
    };
    if given == *name {
        return Ok(());
    }
    let title = format!("`{given}` is not the name of the environment, {name}: nothing was removed");
    Err(Failures::from(Failure::new(Code::NotConfirmed, Kind::Yours, title)).exit(exit::REFUSED))
}

async fn asked(context: &Context, name: &str, what: &str) -> Result<String, Failures> {
    context.ui.ask(&format!("Type the environment's name, {name}, to remove {what}: "));
    let (sender, line) = tokio::sync::oneshot::channel();
    // A thread of its own: whoever waits for a line waits for ever, and an interrupt must not.
    std::thread::spawn(move || sender.send(read_line()));
    let given = tokio::select! {
        line = line => line.ok().and_then(Result::ok).unwrap_or_default(),
        () = context.interrupt.wait() => {
            let failure = Failure::new(Code::Interrupted, Kind::Transient, "interrupted; nothing was removed");
            return Err(Failures::from(failure).exit(exit::INTERRUPTED));
        }
    };
    Ok(given.trim().to_owned())
}
