//! `platctl bundle`: everything an environment needs, in one file.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::image_list::needed_at;
use super::workspace::Workspace;
use super::{API_VERSION, Context, Format, installation, trust};
use crate::bundle::{self, Contents, Event, Proof, Referrers, Written};
use crate::definition::{Definition, Environment, Extra};
use crate::image::Platform;
use crate::lock::LockedChart;
use crate::resolve::Needs;
use crate::supply::locked_chart;
use crate::ui::failure::{Code, Failure, Failures, Kind};
use crate::ui::{self, Progress, count};

/// Flags of `bundle`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The platctl to carry [default: this one]
    #[arg(long, value_name = "FILE")]
    platctl: Option<PathBuf>,
    /// Format of what is said at the end
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Sign it with the minisign secret key in this file; its password is PLATCTL_SIGN_PASSWORD, or asked for
    #[arg(long, value_name = "KEYFILE")]
    sign: Option<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`].
pub async fn run(context: &Context, args: Args) -> Result<u8, Failures> {
    let begun = std::time::Instant::now();
    let mut workspace = Workspace::open(context)?;
    let definition = workspace.definition(context)?;
    workspace.upstream = workspace.upstream.patient(definition.environment.timeouts.request);
    let executable = args.platctl.unwrap_or_else(|| context.surroundings.executable.clone());
    check_executable(&executable)?;
    check_output(&args.output)?;
    let key = args.sign.as_deref().map(|file| trust::signing_key(context, file)).transpose()?;
    installation::check_charts_are_locked(&workspace, &definition)?;
    check_platforms(&workspace, &definition.environment)?;
    let needs = installation::check_closed_world(context, &workspace, &definition).await?;
    let contents = contents(&workspace, &definition, executable, &needs).await?;
    context.ui.say("Charts", format!("{} verified", contents.charts.len()));

    let downloads = definition.environment.concurrency.downloads;
    let images = contents.images.clone();
    let layout = bundle::gather(contents, &workspace.upstream, downloads, &|_| {}).await?;
    let layout = match &key {
        Some(key) => layout.signed(key, &definition.environment.name),
        None => layout,
    };
    let totals = layout.totals();
    let platforms: Vec<String> = definition.environment.platforms.iter().map(Platform::to_string).collect();
    let (all_images, layers) = (count(totals.images, "image"), count(totals.layers, "layer"));
    let (size, shared) = (ui::bytes(totals.bytes), ui::bytes(totals.shared));
    context.ui.say("Images", format!("{all_images}, {layers}, {size} ({shared} shared), {}", platforms.join(", ")));

    let progress = context.ui.progress("Fetching", totals.bytes);
    let events = |event: Event| draw(&progress, &event);
    let writing = bundle::write(&layout, &args.output, &workspace.upstream, downloads, &events);
    // In the time that the layers take anyway.
    let looking = bundle::referrers(&images, &workspace.upstream, downloads);
    let (written, referrers) = tokio::select! {
        (written, referrers) = async { tokio::join!(writing, looking) } => (written?, referrers),
        () = context.interrupt.wait() => return Err(interrupted(&args.output)),
    };
    progress.finish();
    bundle::lay_beside(&layout, &args.output)?;
    if written.resumed > 0 {
        context.ui.say("Resumed", format!("{} were there from an earlier run", ui::bytes(written.resumed)));
    }
    let elapsed = ui::duration(begun.elapsed());
    context.ui.say("Bundled", format!("{}  {}  in {elapsed}", args.output.display(), ui::bytes(written.bytes)));
    context.ui.say("", format!("index {}", written.index_digest));
    if let Some(key) = key {
        context.ui.say(
            "Signed",
            format!("by key {}; check it with `minisign -Vm {}.index.json`", key.id(), args.output.display()),
        );
    }
    if let Some(left) = left_out(&referrers) {
        context.ui.say("Left out", left);
    }
    if let Format::Json = args.format {
        context.ui.result(&json(&written, &referrers))?;
    }
    Ok(0)
}

/// What registries have beside the images and the bundle has not, counted.
fn left_out(all: &[Referrers]) -> Option<String> {
    let of = |proof: Proof| all.iter().flat_map(|image| &image.found).filter(|one| one.proof == proof).count();
    let counts = KINDS.iter().filter_map(|(proof, name)| Some(of(*proof)).filter(|n| *n > 0).map(|n| count(n, name)));
    let counts: Vec<String> = counts.collect();
    let with = all.iter().filter(|image| !image.found.is_empty()).count();
    let unknown = all.iter().filter(|image| image.unknown.is_some()).count();
    let found =
        (with > 0).then(|| format!("{} of {}, which --format json names", counts.join(", "), count(with, "image")));
    let unknown = (unknown > 0).then(|| format!("what belongs to {} could not be looked up", count(unknown, "image")));
    let said: Vec<String> = found.into_iter().chain(unknown).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

const KINDS: [(Proof, &str); 4] = [
    (Proof::Signature, "signature"),
    (Proof::Sbom, "SBOM"),
    (Proof::Attestation, "attestation"),
    (Proof::Other, "other artifact"),
];

fn json(written: &Written, referrers: &[Referrers]) -> String {
    let kind = |proof: Proof| KINDS.iter().find(|(one, _)| *one == proof).map_or("", |(_, name)| *name);
    let images: Vec<_> = referrers
        .iter()
        .map(|image| {
            let left_out: Vec<_> = image.found.iter().map(|one| {
            serde_json::json!({"kind": kind(one.proof).to_lowercase(), "name": one.named, "digest": one.digest})
        }).collect();
            let unknown = image.unknown.as_ref().map(ToString::to_string);
            serde_json::json!({"ref": image.image.to_string(), "leftOut": left_out, "unknown": unknown})
        })
        .collect();
    let json = serde_json::json!({
        "apiVersion": API_VERSION, "file": written.path, "index": written.index_digest, "size": written.bytes,
        "fetched": written.fetched, "resumed": written.resumed, "images": images,
    });
    format!("{json:#}\n")
}

fn draw(progress: &Progress, event: &Event) {
    match event {
        Event::Bytes { bytes, of } => progress.advance(*bytes, of),
        Event::Resumed { bytes } => progress.advance(*bytes, ""),
        _ => {}
    }
}

fn interrupted(output: &Path) -> Failures {
    let failure = Failure::new(Code::Interrupted, Kind::Transient, "interrupted");
    let failure = failure.detail(format!("what was fetched is kept in {}.partial", output.display()));
    Failures::from(failure.help("run the same command again to go on")).exit(ui::failure::exit::INTERRUPTED)
}

/// No image is left out for a platform that came into the environment after it was locked.
fn check_platforms(workspace: &Workspace, environment: &Environment) -> Result<(), Failures> {
    for (image, locked) in workspace.lock.images_for(&environment.name) {
        if let Some(platform) = environment.platforms.iter().find(|p| !locked.platforms.contains_key(p)) {
            let failure = Failure::new(Code::NotLocked, Kind::Yours, format!("{image} is not locked for {platform}"));
            return Err(failure.help(format!("run `platctl lock -e {}`", environment.name)).into());
        }
    }
    Ok(())
}

async fn contents(
    workspace: &Workspace,
    definition: &Definition,
    platctl: PathBuf,
    needs: &Needs,
) -> Result<Contents, Failures> {
    let environment = &definition.environment;
    let supply = workspace.supply();
    let mut charts = Vec::new();
    let mut seen = BTreeSet::new();
    for release in &definition.releases {
        let locked = locked_chart(&workspace.lock, &workspace.tree, &release.name, &release.chart)?;
        if seen.insert(locked.digest) {
            let file = supply.chart(locked, &workspace.tree).await?;
            let config_json = chart_config(locked, &file)?;
            let LockedChart { name, version, digest, .. } = locked.clone();
            charts.push(bundle::Chart { name, version, digest, file, config_json });
        }
    }
    let mut tools = Vec::new();
    for (name, version) in &environment.tools.0 {
        for platform in &environment.platforms {
            let Some(locked) = workspace.lock.tool(name, version, platform) else {
                let title = format!("{name} {version} for {platform} is not in the lock");
                return Err(Failure::new(Code::NotLocked, Kind::Yours, title).help("run `platctl lock`").into());
            };
            let file = supply.tool_file(locked).await?;
            let title = locked.url.rsplit('/').next().unwrap_or(name).to_owned();
            let (name, version, platform) = (name.clone(), version.clone(), platform.clone());
            tools.push(bundle::Tool { name, version, platform, digest: locked.digest, file, title });
        }
    }
    let images = workspace.lock.images_for(&environment.name).map(|(reference, locked)| bundle::Image {
        reference: reference.clone(),
        digest: locked.digest,
        platforms: locked
            .platforms
            .iter()
            .filter(|(p, _)| environment.platforms.contains(p))
            .map(|(p, d)| (p.clone(), *d))
            .collect(),
    });
    Ok(Contents {
        environment: environment.name.clone(),
        definition: workspace.tree.for_environments(&environment.layers).to_tar()?,
        platctl,
        platctl_platform: environment.platforms.first().cloned().unwrap_or_else(Platform::host),
        charts,
        tools,
        images: images.collect(),
        extras: environment.extras.iter().map(extra).collect(),
        places: needs.iter().map(|(image, places)| (image.to_string(), needed_at(places))).collect(),
    })
}

fn extra(declared: &Extra) -> bundle::Extra {
    let Extra { name, url, digest } = declared.clone();
    bundle::Extra { name, url, digest }
}

/// The configuration of a chart as an OCI artifact: its Chart.yaml as JSON, as helm pushes it.
fn chart_config(locked: &LockedChart, file: &Path) -> Result<Vec<u8>, Failures> {
    let unreadable = |reason: String| {
        let title = format!("{} {}: the archive can't be read: {reason}", locked.name, locked.version);
        Failures::from(Failure::new(Code::Changed, Kind::Permanent, title))
    };
    let text = crate::definition::chart_yaml(file).map_err(|e| unreadable(e.to_string()))?;
    let node = crate::yaml::parse_generated("Chart.yaml", &text).map_err(|p| unreadable(p.to_string()))?;
    Ok(node.to_json().to_string().into_bytes())
}

/// The file can be made, before anything is fetched for it.
fn check_output(output: &Path) -> Result<(), Failures> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let problem = match (output.is_dir(), folder.is_dir()) {
        (true, _) => format!("{} is a folder", output.display()),
        (_, false) => format!("there is no folder {}", folder.display()),
        _ => return Ok(()),
    };
    Err(Failure::new(Code::File, Kind::Yours, problem).help("name a file with -o, in a folder that is there").into())
}

/// Only a static Linux executable starts on any host of the site.
fn check_executable(path: &Path) -> Result<(), Failures> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|f| f.take(64 * 1024).read_to_end(&mut head));
    read.map_err(crate::files::FileError::at("read", path))?;
    match elf_interpreter(&head) {
        Some(false) => Ok(()),
        Some(true) => {
            let title = format!("{} is dynamically linked", path.display());
            let failure = Failure::new(Code::BundleNotMade, Kind::Yours, title);
            Err(failure.help("carry a static one with --platctl FILE: the site's hosts may lack its libraries").into())
        }
        None => {
            let title = format!("{} is no Linux executable", path.display());
            Err(Failure::new(Code::BundleNotMade, Kind::Yours, title).help("name one with --platctl FILE").into())
        }
    }
}

/// Whether a 64-bit ELF file asks for a dynamic loader (program header PT_INTERP); `None` when it is no such file.
fn elf_interpreter(head: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let at = |offset: usize, n: usize| head.get(offset..offset + n);
    if at(0, 5)? != b"\x7fELF\x02" {
        return None;
    }
    let table = u64::from_le_bytes(at(32, 8)?.try_into().ok()?) as usize;
    let size = u16::from_le_bytes(at(54, 2)?.try_into().ok()?) as usize;
    let number = u16::from_le_bytes(at(56, 2)?.try_into().ok()?) as usize;
    let kind = |i: usize| Some(u32::from_le_bytes(at(table + i * size, 4)?.try_into().ok()?));
    Some((0..number).any(|i| kind(i) == Some(PT_INTERP)))
}
