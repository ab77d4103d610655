//! `platctl push`: a bundle's images into the site's registry.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use serde::Serialize;

use super::Context;
use super::installation::Installation;
use super::workspace::Workspace;
use crate::bundle::{Bundle, ImageInfo};
use crate::definition::{Environment, Release};
use crate::digest::Digest;
use crate::net::{Client, Settings};
use crate::registry::{self, Event, Outlook, Pushed};
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

/// How long a registry that nothing would be pushed to is waited for.
const BRIEFLY: Duration = Duration::from_secs(5);

/// What the site's registry has of the images that releases need.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    /// The registry's address.
    registry: String,
    /// How many are needed.
    needed: usize,
    /// Those that are pushed, each with its place there.
    push: BTreeMap<String, String>,
    /// Those whose tag alone is set.
    tag: BTreeMap<String, String>,
    /// Bytes that are sent.
    bytes: u64,
    /// Those that it lacks, and that nothing would push: no bundle was named.
    lacking: Vec<String>,
    /// Why that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_asked: Option<String>,
}

impl Images {
    /// For people, a line each.
    pub fn text(&self) -> String {
        let Images { registry, needed, push, tag, bytes, lacking, not_asked } = self;
        let all = count(*needed, "image");
        let heading = match (push.len(), lacking.len(), not_asked) {
            (_, _, Some(why)) => {
                format!("{registry} must have {all}: no bundle was named, and it can't be asked: {why}")
            }
            (0, 0, _) => format!("{registry} has {all} already"),
            (0, n, _) => format!("{registry} lacks {n} of {all}, and no bundle was named to push from"),
            (n, _, _) => format!("to push to {registry}: {n} of {all}, {}", ui::bytes(*bytes)),
        };
        let push = push.iter().map(|(image, place)| format!("  push {image} to {place}\n"));
        let tag = tag.iter().map(|(image, place)| format!("  tag {image} as {place}\n"));
        let lacking = lacking.iter().map(|image| format!("  lacks {image}\n"));
        std::iter::once(format!("{heading}\n")).chain(push).chain(tag).chain(lacking).collect()
    }
}

/// What the site's registry has of the images of releases; nothing without a registry. Only asks. Without a bundle
/// nothing is pushed, and a registry that does not answer at once is no failure.
///
/// # Errors
/// As [`needed_images`], and [`Failures`] when a registry that would be pushed to can't be asked.
pub async fn foreseen(
    context: &Context,
    workspace: &Workspace,
    installation: &Installation,
    releases: &[&Release],
) -> Result<Option<Images>, Failures> {
    let environment = &installation.definition.environment;
    let Some(declared) = &environment.registry else { return Ok(None) };
    let client = workspace.site_client(context, environment)?;
    let asking = async {
        let Some(bundle) = &workspace.bundle else { return Ok(lacking(installation, releases, &client).await) };
        let images = needed_images(bundle, installation, releases)?;
        let outlook = registry::outlook(bundle, &images, &declared.site, &client).await?;
        let Outlook { images_new, images_tagged, bytes, .. } = outlook;
        let (push, tag) = (images_new.into_iter().collect(), images_tagged.into_iter().collect());
        Ok(Images { push, tag, bytes, ..nothing(&declared.site.address, images.len()) })
    };
    tokio::select! {
        images = asking => images.map(Some),
        () = context.interrupt.wait() => {
            let failure = Failure::new(Code::Interrupted, Kind::Transient, "interrupted while asking the registry");
            Err(Failures::from(failure).exit(exit::INTERRUPTED))
        }
    }
}

fn nothing(registry: &str, needed: usize) -> Images {
    let (push, tag, lacking) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    Images { registry: registry.to_owned(), needed, push, tag, bytes: 0, lacking, not_asked: None }
}

/// What it lacks of what releases need, as far as it answers.
async fn lacking(installation: &Installation, releases: &[&Release], client: &Client) -> Images {
    let wanted = wanted(installation, releases);
    let Some(declared) = &installation.definition.environment.registry else { return nothing("", wanted.len()) };
    let client = Client::new(Settings { tries: 1, ..client.settings().clone() });
    let asked = tokio::time::timeout(BRIEFLY, registry::lacking(&wanted, &declared.site, &client)).await;
    let (lacking, not_asked) = match asked {
        Ok(Ok(lacking)) => (lacking, None),
        Ok(Err(registry::Error::Registry { refusal, .. })) => (Vec::new(), Some(refusal.to_string())),
        Ok(Err(error)) => (Vec::new(), Some(error.to_string())),
        Err(_) => (Vec::new(), Some("it does not answer".to_owned())),
    };
    Images { lacking, not_asked, ..nothing(&declared.site.address, wanted.len()) }
}

/// The images that releases are given, with what their pods refer to.
fn wanted(installation: &Installation, releases: &[&Release]) -> BTreeMap<String, Digest> {
    releases.iter().flat_map(|release| installation.rewritings[&release.name].images.clone()).collect()
}

/// The images that releases need, as the bundle has them.
///
/// # Errors
/// [`Failures`] when it lacks one.
pub fn needed_images<'b>(
    bundle: &'b Bundle,
    installation: &Installation,
    releases: &[&Release],
) -> Result<Vec<&'b ImageInfo>, Failures> {
    let find = |name: &String| {
        let found = bundle.images().iter().find(|image| image.reference.to_string() == *name);
        found.ok_or_else(|| {
            let title = format!("image {name} is locked, but not in {}", bundle.path().display());
            let failure = Failure::new(Code::NotInBundle, Kind::Yours, title);
            Failures::from(failure.help("make the bundle again from this definition")).exit(exit::REFUSED)
        })
    };
    wanted(installation, releases).keys().map(find).collect()
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
