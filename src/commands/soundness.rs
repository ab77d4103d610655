//! Whether what a bundle brings for a change is whole: its charts and tools. Images are read and hashed when they are pushed,
//! before the cluster is touched.

use super::Context;
use super::workspace::Workspace;
use crate::ui::failure::{Code, Failure, Failures, Kind, exit};

/// All charts and tools of the bundle are what its index says.
///
/// # Errors
/// [`Failures`] naming the first that is not.
pub fn check(context: &Context, workspace: &Workspace) -> Result<(), Failures> {
    let Some(bundle) = &workspace.bundle else { return Ok(()) };
    let tools = bundle.tools().iter().chain([bundle.platctl()]).map(|tool| &tool.file);
    for blob in bundle.charts().iter().map(|chart| &chart.package).chain(tools) {
        let mut reader = bundle.reader(blob)?;
        std::io::copy(&mut reader, &mut std::io::sink()).map_err(|e| {
            let failure =
                Failure::new(Code::BundleDamaged, Kind::Permanent, format!("{}: {e}", bundle.path().display()));
            Failures::from(failure.help("copy the bundle again, or make it again")).exit(exit::REFUSED)
        })?;
    }
    context.ui.detail("Verified", format!("charts and tools of {}", bundle.path().display()));
    Ok(())
}
