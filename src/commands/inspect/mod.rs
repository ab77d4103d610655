//! `platctl inspect`: what a bundle holds, who needs it, what is new in it, and whether it is whole. Leaves nothing
//! behind.

mod by_release;
mod describe;
mod since;

use std::path::PathBuf;

use serde_json::{Value, json};

use super::image_list::{Needed, images_text};
use super::{API_VERSION, Context, Format, trust};
use crate::bundle::{Bundle, Damage, Event, Verified};
use crate::ui::failure::{Code, Failure, Failures, Kind};
use crate::ui::{self, count};

/// Flags of `inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundle
    file: PathBuf,
    /// List every image: size, digest, and where it is needed
    #[arg(long)]
    images: bool,
    /// List every release: its chart, its images, and what it takes alone and together with others
    #[arg(long)]
    releases: bool,
    /// List the layers that several images share
    #[arg(long)]
    shared: bool,
    /// Show what is new since an older bundle
    #[arg(long, value_name = "OLD")]
    diff: Option<PathBuf>,
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
    let bundle = trust::open(context, &args.file)?;
    let parts = Parts::of(context, args, &bundle)?;
    match args.output {
        Format::Text => {
            context.ui.result(&parts.text(&bundle))?;
            if args.verify {
                told(context, &verify(context, &bundle)?)?;
            }
        }
        Format::Json => {
            let verified = if args.verify { Some(verify(context, &bundle)?) } else { None };
            let mut json = parts.json(&bundle);
            if let Some(verified) = &verified {
                json["verified"] = describe::verified(verified);
            }
            context.ui.result(&format!("{json:#}\n"))?;
            verified.iter().try_for_each(whole)?;
        }
    }
    Ok(0)
}

/// What was asked for, found before anything is printed.
struct Parts {
    images: Option<Vec<Needed>>,
    releases: Option<Vec<by_release::ByRelease>>,
    shared: bool,
    diff: Option<since::Since>,
}

impl Parts {
    fn of(context: &Context, args: &Args, bundle: &Bundle) -> Result<Parts, Failures> {
        let old = args.diff.as_deref().map(|old| trust::open(context, old)).transpose()?;
        let needs = if args.images || args.releases { Some(by_release::Needs::read(bundle)?) } else { None };
        Ok(Parts {
            images: needs.as_ref().filter(|_| args.images).map(|needs| needs.images(bundle)).transpose()?,
            releases: needs.as_ref().filter(|_| args.releases).map(|needs| needs.releases(bundle)).transpose()?,
            shared: args.shared,
            diff: old.map(|old| since::Since::between(&old, bundle)).transpose()?,
        })
    }

    fn text(&self, bundle: &Bundle) -> String {
        let mut parts = vec![describe::summary(bundle)];
        parts.extend(self.releases.as_deref().map(by_release::releases_text));
        parts.extend(self.images.as_deref().map(images_text));
        parts.extend(self.shared.then(|| describe::shared_text(bundle)));
        parts.extend(self.diff.as_ref().map(since::Since::text));
        parts.join("\n")
    }

    fn json(&self, bundle: &Bundle) -> Value {
        let mut json = json!({"apiVersion": API_VERSION});
        describe::add_summary(bundle, &mut json);
        if let Some(images) = &self.images {
            by_release::add_places(images, &mut json);
        }
        if let Some(releases) = &self.releases {
            json["releases"] = releases.iter().map(by_release::ByRelease::json).collect();
        }
        if self.shared {
            json["shared"] = describe::shared_json(bundle);
        }
        if let Some(diff) = &self.diff {
            json["diff"] = diff.json();
        }
        json
    }
}

fn verify(context: &Context, bundle: &Bundle) -> Result<Verified, Failures> {
    let progress = context.ui.progress("Verifying", bundle.size());
    let verified = bundle.verify(&|event| {
        if let Event::Bytes { bytes, of } = &event {
            progress.advance(*bytes, of);
        }
    })?;
    progress.finish();
    Ok(verified)
}

fn told(context: &Context, verified: &Verified) -> Result<(), Failures> {
    whole(verified)?;
    let entries = count(verified.entries, "entry").replace("entrys", "entries");
    context.ui.say("Verified", format!("{entries}, {}", ui::bytes(verified.bytes)));
    Ok(())
}

fn whole(verified: &Verified) -> Result<(), Failures> {
    if verified.damaged.is_empty() {
        return Ok(());
    }
    Err(Failures::new(verified.damaged.iter().map(damaged).collect()))
}

/// A damaged entry, with all who need it.
fn damaged(damage: &Damage) -> Failure {
    let failure = Failure::new(Code::BundleDamaged, Kind::Permanent, damage.to_string());
    let failure = match &damage.needed_by[..] {
        [] | [_] => failure,
        several => several.iter().fold(failure, |failure, who| failure.detail(format!("needed by {who}"))),
    };
    failure.help("copy the bundle again, or make it again")
}
