//! `platctl push`: a bundle's images into the site's registry.

use std::path::PathBuf;
use std::sync::OnceLock;

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
    /// Show what the registry lacks, and send nothing
    #[arg(long)]
    dry_run: bool,
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
    if args.dry_run {
        show(context, &workspace, &definition.environment, bundle, &images).await?;
        return Ok(0);
    }
    images_to_site(context, &workspace, &definition.environment, bundle, &images).await?;
    Ok(0)
}

/// What a push would do, a line each.
async fn show(
    context: &Context,
    workspace: &Workspace,
    environment: &Environment,
    bundle: &Bundle,
    images: &[&ImageInfo],
) -> Result<(), Failures> {
    let Some(declared) = &environment.registry else { return Ok(()) };
    let client = workspace.site_client(context, environment)?;
    let outlook = registry::outlook(bundle, images, &declared.site, &client).await?;
    let new = outlook.images_new.iter().map(|(image, place)| format!("push {image} to {place}\n"));
    let tagged = outlook.images_tagged.iter().map(|(image, place)| format!("tag {image} as {place}\n"));
    context.ui.result(&new.chain(tagged).collect::<String>())?;
    let (new, all) = (outlook.images_new.len(), images.len());
    let sizes = format!("{new} of {} would be new, {}", count(all, "image"), ui::bytes(outlook.bytes));
    context.ui.say("Push", if new > 0 { sizes } else { format!("{} there already", count(all, "image")) });
    Ok(())
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
    let progress = OnceLock::new();
    let events = |event: Event| draw(context, &progress, &event);
    let pushing = registry::push(bundle, images, &declared.site, &client, environment.concurrency.uploads, &events);
    let pushed = tokio::select! {
        pushed = pushing => pushed?,
        () = context.interrupt.wait() => {
            let failure = Failure::new(Code::Interrupted, Kind::Transient, "interrupted while pushing images");
            return Err(Failures::from(failure.help("run the same command again: what is in the registry stays")).exit(exit::INTERRUPTED));
        }
    };
    drop(progress);
    context.ui.say("Push", said(&pushed));
    Ok(())
}

fn draw(context: &Context, progress: &OnceLock<Progress>, event: &Event) {
    match event {
        Event::Planned { bytes, .. } if *bytes > 0 => _ = progress.set(context.ui.progress("Pushing", *bytes)),
        Event::Bytes { bytes, of } => _ = progress.get().map(|progress| progress.advance(*bytes, of)),
        Event::Moved { tag, from, to } => context.ui.warn(format!("{tag} was {from} and is now {to}")),
        Event::Planned { .. } | Event::ImageDone { .. } => {}
    }
}

fn said(pushed: &Pushed) -> String {
    let all = pushed.images_new + pushed.images_tagged + pushed.images_present;
    match (pushed.images_new, pushed.images_tagged) {
        (0, 0) => format!("{} there already", count(all, "image")),
        (0, tagged) => format!("{} there already, {tagged} tagged anew", count(all, "image")),
        (new, _) => format!("{new} of {} new, {}", count(all, "image"), ui::bytes(pushed.bytes_sent)),
    }
}
