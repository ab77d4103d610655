//! `platctl push`: a bundle's images into the site's registry.

use std::path::PathBuf;

use super::Context;
use super::workspace::Workspace;
use crate::bundle::{Bundle, ImageInfo};
use crate::definition::Environment;
use crate::registry::{self, Event, Pushed};
use crate::ui::failure::{Code, Failure, Failures, Kind, exit};
use crate::ui::{self, Progress, count};

/// Flags of `push`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundle
    file: PathBuf,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`].
pub async fn run(context: &Context, args: Args) -> Result<u8, Failures> {
    let workspace = Workspace::with_bundle(context, Some(&args.file))?;
    let definition = workspace.definition(context)?;
    let Some(bundle) = &workspace.bundle else { return Ok(0) };
    if definition.environment.registry.is_none() {
        let title = format!("environment {} has no registry", definition.environment.name);
        return Err(Failure::new(Code::Definition, Kind::Yours, title)
            .help("declare `registry` in its environment.yaml")
            .into());
    }
    let images: Vec<&ImageInfo> = bundle.images().iter().collect();
    images_to_site(context, &workspace, &definition.environment, bundle, &images).await?;
    Ok(0)
}

/// Pushes images that the site's registry lacks, and says what was done.
///
/// # Errors
/// [`Failures`].
pub async fn images_to_site(
    context: &Context,
    workspace: &Workspace,
    environment: &Environment,
    bundle: &Bundle,
    images: &[&ImageInfo],
) -> Result<(), Failures> {
    let Some(declared) = &environment.registry else { return Ok(()) };
    let client = workspace.site_client(context, environment)?;
    let progress = context.ui.progress("Pushing", images.iter().map(|image| image.total()).sum());
    let events = |event: Event| draw(&progress, &event);
    let pushing = registry::push(bundle, images, &declared.site, &client, environment.concurrency.uploads, &events);
    let pushed = tokio::select! {
        pushed = pushing => pushed?,
        () = context.interrupt.wait() => {
            let failure = Failure::new(Code::Interrupted, Kind::Transient, "interrupted while pushing images");
            return Err(Failures::from(failure.help("run the same command again: what is in the registry stays")).exit(exit::INTERRUPTED));
        }
    };
    progress.finish();
    context.ui.say("Push", said(&pushed));
    Ok(())
}

fn draw(progress: &Progress, event: &Event) {
    if let Event::Bytes { bytes, of } = event {
        progress.advance(*bytes, of);
    }
}

fn said(pushed: &Pushed) -> String {
    let all = pushed.images_new + pushed.images_present;
    match pushed.images_new {
        0 => format!("{} there already", count(all, "image")),
        new => format!("{new} of {} new, {}", count(all, "image"), ui::bytes(pushed.bytes_sent)),
    }
}
