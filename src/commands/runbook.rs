//! `platctl runbook`: what the codes of failures mean, where no document is at hand.

use super::Context;
use crate::ui::failure::{Code, Failure, Failures, Kind, exit, runbook};

/// Flags of `runbook`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A code as a failure shows it, such as E0412; all of them, if none is named
    code: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`] when there is no such code.
pub fn run(context: &Context, args: &Args) -> Result<u8, Failures> {
    let text = match &args.code {
        None => runbook::list(),
        Some(code) => runbook::page(code).ok_or_else(|| {
            let failure = Failure::new(Code::Usage, Kind::Yours, format!("there is no code `{code}`"));
            Failures::from(failure.help("`platctl runbook` lists them")).exit(exit::USAGE)
        })?,
    };
    context.ui.result(&text)?;
    Ok(0)
}
