//! `platctl template`: what would be applied, rewritten for the site.

use std::path::PathBuf;

use super::installation::Installation;
use super::workspace::Workspace;
use super::{Context, Rendering};
use crate::definition::Release;
use crate::files;
use crate::render::Rendered;
use crate::ui::failure::{self, Failures, exit};

/// Flags of `template`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    rendering: Rendering,
    /// Write a file for each release into a folder, as TIER/RELEASE.yaml
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`].
pub async fn run(context: &Context, args: Args) -> Result<u8, Failures> {
    let workspace = Workspace::open(context)?.rendering(&args.rendering);
    let installation = Installation::new(&workspace, workspace.definition(context)?)?;
    let desired = installation.desired(&workspace, &context.global.selector()?)?;
    let releases: Vec<&Release> = desired.iter().map(|d| d.release).collect();
    let rendered = installation.render(context, &workspace, &releases).await?;
    for (release, rendered) in releases.into_iter().zip(&rendered) {
        let text = rewritten(&installation, release, rendered)?;
        match &args.output_dir {
            None => context.ui.result(&text)?,
            Some(folder) => {
                let folder = folder.join(&installation.definition.tiers[release.tier].name);
                files::create_folder(&folder)?;
                files::write_atomic(&folder.join(format!("{}.yaml", release.name)), text.as_bytes())?;
            }
        }
    }
    Ok(0)
}

fn rewritten(installation: &Installation, release: &Release, rendered: &Rendered) -> Result<String, Failures> {
    let rewritten = installation.rewritings[&release.name].apply(&rendered.stream);
    rewritten.map_err(|violations| Failures::new(failure::closed_world(&violations)).exit(exit::REFUSED))
}
