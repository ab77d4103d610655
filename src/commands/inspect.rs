//! `platctl inspect`: what a bundle holds.

use std::path::PathBuf;

use super::{API_VERSION, Context, Format};
use crate::bundle::{Bundle, Event, ImageInfo};
use crate::ui::failure::{Code, Failure, Failures, Kind};
use crate::ui::{self, count, table};

/// Flags of `inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundle
    file: PathBuf,
    /// List every image
    #[arg(long)]
    images: bool,
    /// Hash every entry
    #[arg(long)]
    verify: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`].
pub fn run(context: &Context, args: &Args) -> Result<u8, Failures> {
    let bundle = Bundle::open(&args.file)?;
    let text = match args.output {
        Format::Text => text(&bundle, args.images),
        Format::Json => json(&bundle),
    };
    context.ui.result(&text)?;
    if args.verify {
        verify(context, &bundle)?;
    }
    Ok(0)
}

fn verify(context: &Context, bundle: &Bundle) -> Result<(), Failures> {
    let progress = context.ui.progress("Verifying", bundle.size());
    let verified = bundle.verify(&|event| {
        if let Event::Bytes { bytes, of } = &event {
            progress.advance(*bytes, of);
        }
    })?;
    progress.finish();
    if verified.damaged.is_empty() {
        context.ui.say(
            "Verified",
            format!("{}, {}", count(verified.entries, "entry").replace("entrys", "entries"), ui::bytes(verified.bytes)),
        );
        return Ok(());
    }
    let failures = verified.damaged.iter().map(|damage| {
        let failure = Failure::new(Code::BundleDamaged, Kind::Permanent, damage.to_string());
        failure.help("copy the bundle again, or make it again")
    });
    Err(Failures::new(failures.collect()))
}

fn text(bundle: &Bundle, images: bool) -> String {
    let totals = bundle.totals();
    let lines = [
        ("Environment", bundle.environment().to_owned()),
        ("Index", bundle.index_digest().to_string()),
        ("Size", ui::bytes(bundle.size())),
        ("Charts", bundle.charts().iter().map(|c| format!("{} {}", c.name, c.version)).collect::<Vec<_>>().join(", ")),
        (
            "Tools",
            bundle
                .tools()
                .iter()
                .map(|t| format!("{} {} {}", t.name, t.version.as_deref().unwrap_or(""), t.platform))
                .collect::<Vec<_>>()
                .join(", "),
        ),
        (
            "Images",
            format!(
                "{}, {} ({} shared)",
                count(totals.images, "image"),
                count(totals.layers, "layer"),
                ui::bytes(totals.shared)
            ),
        ),
    ];
    let extras = bundle.extras().iter().map(|extra| format!("{} {}", extra.name, ui::bytes(extra.file.size)));
    let extras = ("Extras", extras.collect::<Vec<_>>().join(", "));
    let lines = lines.into_iter().chain((!extras.1.is_empty()).then_some(extras));
    let mut text: String = lines.map(|(key, value)| format!("{key:<12} {value}\n")).collect();
    if images {
        let rows: Vec<Vec<String>> = bundle.images().iter().map(image_row).collect();
        text.push('\n');
        text.push_str(&table(&["IMAGE", "PLATFORM", "LAYERS", "SIZE", "DIGEST"], &rows));
    }
    text
}

fn image_row(image: &ImageInfo) -> Vec<String> {
    let platforms: Vec<String> = image.manifests.iter().map(|m| m.platform.to_string()).collect();
    let layers: usize = image.manifests.iter().map(|m| m.layers.len()).sum();
    vec![
        image.reference.to_string(),
        platforms.join(","),
        layers.to_string(),
        ui::bytes(image.total()),
        image.top.digest.to_string(),
    ]
}

fn json(bundle: &Bundle) -> String {
    let charts: Vec<_> = bundle.charts().iter().map(|c| serde_json::json!({"name": c.name, "version": c.version, "digest": c.package.digest, "size": c.package.size})).collect();
    let tools: Vec<_> = bundle.tools().iter().map(|t| serde_json::json!({"name": t.name, "version": t.version, "platform": t.platform.to_string(), "digest": t.file.digest, "size": t.file.size})).collect();
    let images: Vec<_> = bundle.images().iter().map(|i| serde_json::json!({
        "ref": i.reference.to_string(), "digest": i.top.digest, "sourceDigest": i.source_digest, "size": i.total(),
        "platforms": i.manifests.iter().map(|m| m.platform.to_string()).collect::<Vec<_>>(),
    })).collect();
    let extras: Vec<_> = bundle
        .extras()
        .iter()
        .map(|e| serde_json::json!({"name": e.name, "digest": e.file.digest, "size": e.file.size}))
        .collect();
    let json = serde_json::json!({
        "apiVersion": API_VERSION, "environment": bundle.environment(), "index": bundle.index_digest(), "size": bundle.size(),
        "charts": charts, "tools": tools, "images": images, "extras": extras,
    });
    format!("{json:#}\n")
}
