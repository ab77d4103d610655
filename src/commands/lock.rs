//! `platctl lock`: pins charts, images and tools by content.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::image_list::{Needed, images_text, needed_at};
use super::workspace::Workspace;
use super::{API_VERSION, Context, Format};
use crate::capabilities;
use crate::definition::{ChartSource, Definition, LOCK_PATH};
use crate::digest::Digest;
use crate::files;
use crate::image::{Platform, Reference};
use crate::lock::{Lock, LockedChart, LockedImage};
use crate::resolve::{self, Charts, Event, Events, Need, Needs};
use crate::ui::count;
use crate::ui::failure::{Code, Failure, Failures, Kind};

/// Flags of `lock`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Fail if the lock would change, and change nothing
    #[arg(long)]
    check: bool,
    /// List every image: its size, its digest, and each place that needs it
    #[arg(long)]
    images: bool,
    /// Output format of --images
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT", requires = "images")]
    output: Format,
    /// Lay the charts out in a folder, as NAME-VERSION.tgz
    #[arg(long, value_name = "DIR")]
    vendor: Option<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`].
pub async fn run(context: &Context, args: Args) -> Result<u8, Failures> {
    let workspace = Workspace::open(context)?;
    let Some(folder) = workspace.folder.clone() else {
        let failure = Failure::new(Code::Usage, Kind::Yours, "a bundle's lock can't be changed");
        return Err(failure.help("lock in the definition's folder").into());
    };
    let events = |event: Event| match event {
        Event::Pinned { kind, name } => context.ui.say("Pinned", format!("{kind} {name}")),
        Event::Rendered { place, images } => {
            context.ui.detail("Rendered", format!("{place}: {}", count(images, "image")))
        }
    };
    let (lock, needs) = resolve(context, &workspace, &events).await?;
    let path = folder.join(LOCK_PATH);
    let (old, new) = (workspace.tree.get(LOCK_PATH).unwrap_or_default(), lock.to_yaml());
    let changed = old != new.as_bytes();
    if args.check && changed {
        return Err(stale(&String::from_utf8_lossy(old), &new));
    }
    if changed {
        files::write_atomic(&path, new.as_bytes())?;
    }
    if args.images {
        context.ui.result(&listed(&lock, &needs, args.output))?;
    }
    if let Some(vendor) = &args.vendor {
        lay_out(&workspace, &lock, vendor).await?;
    }
    let (charts, images, tools) = (lock.charts.len(), lock.images.len(), lock.tools.len());
    let state = if changed { "" } else { ", unchanged" };
    context.ui.say(
        "Locked",
        format!("{}, {}, {}{state}", count(charts, "chart"), count(images, "image"), count(tools, "tool")),
    );
    Ok(0)
}

/// The images with the places that need them, as `inspect` lists those of a bundle.
fn listed(lock: &Lock, needs: &Needs, format: Format) -> String {
    let locked = needs.iter().filter_map(|(image, places)| Some((image, lock.images.get(image)?, places)));
    match format {
        Format::Text => {
            images_text(&locked.map(|(image, locked, places)| needed(image, locked, places)).collect::<Vec<_>>())
        }
        Format::Json => {
            let images: Vec<_> = locked.map(|(image, locked, places)| json(image, locked, places)).collect();
            format!("{:#}\n", serde_json::json!({"apiVersion": API_VERSION, "images": images}))
        }
    }
}

fn needed(image: &Reference, locked: &LockedImage, places: &BTreeSet<Need>) -> Needed {
    let platforms: Vec<String> = locked.platforms.keys().map(ToString::to_string).collect();
    let about = format!("{}  {}  {}", platforms.join(","), crate::ui::bytes(locked.size), locked.digest);
    let places = needed_at(places);
    Needed { lines: [image.to_string(), about], releases: Vec::new(), places }
}

fn json(image: &Reference, locked: &LockedImage, places: &BTreeSet<Need>) -> serde_json::Value {
    let platforms: BTreeMap<String, &Digest> =
        locked.platforms.iter().map(|(platform, digest)| (platform.to_string(), digest)).collect();
    serde_json::json!({
        "ref": image.to_string(), "digest": locked.digest, "size": locked.size, "platforms": platforms,
        "releases": locked.from, "places": needed_at(places),
    })
}

/// What the lock should say, and where the images of the environments that were rendered for it are needed.
async fn resolve(context: &Context, workspace: &Workspace, events: Events<'_>) -> Result<(Lock, Needs), Failures> {
    let Workspace { tree, lock: old, store, upstream, .. } = workspace;
    let all = Definition::environments(tree);
    // The sops that puts secrets there has to be locked first.
    let definitions =
        all.iter().map(|name| Definition::load_without_secrets(tree, name)).collect::<Result<Vec<_>, _>>()?;
    let named: Vec<&Definition> = match &context.global.environment {
        None => definitions.iter().collect(),
        Some(name) => {
            workspace.definition_without_secrets(context)?;
            definitions.iter().filter(|d| d.environment.name == *name).collect()
        }
    };
    let mut lock = Lock { charts: charts(workspace, &definitions, events).await?, ..Lock::default() };
    lock.tools = resolve::lock_tools(old, &definitions, upstream, store, events).await?;
    let mut wanted: BTreeMap<Reference, (BTreeSet<Platform>, BTreeSet<String>)> = BTreeMap::new();
    let mut needs = Needs::new();
    for definition in &named {
        let capabilities = capabilities::of(tree, &definition.environment)?;
        let kitchen = workspace.kitchen(context, definition, &lock).await?;
        let renderer = kitchen.renderer(definition, &capabilities);
        for (image, places) in resolve::wanted_images(&renderer, events).await? {
            let entry = wanted.entry(image.clone()).or_default();
            entry.0.extend(definition.environment.platforms.iter().cloned());
            entry.1.extend(places.iter().map(|need| need.release.clone()));
            needs.entry(image).or_default().extend(places);
        }
    }
    keep_others(old, &definitions, &named, &mut wanted);
    let at_once = definitions.first().map_or(8, |d| d.environment.concurrency.downloads);
    lock.images = resolve::lock_images(old, wanted, upstream, at_once, events).await?;
    Ok((lock, needs))
}

/// Every chart any environment wants.
async fn charts(
    workspace: &Workspace,
    definitions: &[Definition],
    events: Events<'_>,
) -> Result<Vec<LockedChart>, Failures> {
    let sources: BTreeSet<&ChartSource> = definitions.iter().flat_map(|d| &d.releases).map(|r| &r.chart).collect();
    let mut charts = Charts::new(&workspace.upstream, &workspace.store);
    let mut locked = Vec::new();
    for source in sources {
        locked.push(charts.lock(&workspace.lock, &workspace.tree, source, events).await?);
    }
    locked.sort();
    Ok(locked)
}

/// What is pinned for environments that were not asked for stays.
fn keep_others(
    old: &Lock,
    all: &[Definition],
    named: &[&Definition],
    wanted: &mut BTreeMap<Reference, (BTreeSet<Platform>, BTreeSet<String>)>,
) {
    let kept = |place: &String| {
        let environment = place.split('/').next().unwrap_or_default();
        let exists = all.iter().any(|d| d.environment.name == environment);
        exists && !named.iter().any(|d| d.environment.name == environment)
    };
    for (image, locked) in &old.images {
        let places: BTreeSet<String> = locked.from.iter().filter(|place| kept(place)).cloned().collect();
        if !places.is_empty() {
            let entry = wanted.entry(image.clone()).or_default();
            entry.0.extend(locked.platforms.keys().cloned());
            entry.1.extend(places);
        }
    }
}

async fn lay_out(workspace: &Workspace, lock: &Lock, folder: &Path) -> Result<(), Failures> {
    files::create_folder(folder)?;
    for chart in &lock.charts {
        let path = workspace.supply().chart(chart, &workspace.tree).await?;
        files::write_atomic(&folder.join(format!("{}-{}.tgz", chart.name, chart.version)), &files::read(&path)?)?;
    }
    Ok(())
}

/// The lock differs: the first lines that do.
fn stale(old: &str, new: &str) -> Failures {
    let (before, after): (BTreeSet<&str>, BTreeSet<&str>) = (old.lines().collect(), new.lines().collect());
    let gone = before.difference(&after).map(|line| format!("- {line}"));
    let come = after.difference(&before).map(|line| format!("+ {line}"));
    let lines: Vec<String> = gone.chain(come).take(20).collect();
    let failure = Failure::new(Code::LockStale, Kind::Yours, format!("{LOCK_PATH} is stale")).word(&lines.join("\n"));
    failure.help("run `platctl lock` and commit the file").into()
}
