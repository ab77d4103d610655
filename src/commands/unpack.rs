//! `platctl unpack`: the definition of a bundle as files to edit, and its extra files.

use std::path::{Path, PathBuf};

use super::{Context, trust};
use crate::bundle::Bundle;
use crate::definition::{Tree, is_script};
use crate::files;
use crate::ui::failure::{Code, Failure, Failures, Kind};
use crate::ui::{self, count};

/// Flags of `unpack`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundle
    file: PathBuf,
    /// The folder to make
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Write the bundle's extra files into DIR/extras too
    #[arg(long)]
    extras: bool,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`].
pub fn run(context: &Context, args: &Args) -> Result<u8, Failures> {
    let bundle = trust::open(context, &args.file)?;
    let tree = Tree::from_tar(&bundle.definition()?)?;
    if args.folder.join("environments").exists() {
        let title = format!("{} holds a definition already", args.folder.display());
        return Err(Failure::new(Code::File, Kind::Yours, title).help("name a folder that is not there yet").into());
    }
    for (name, bytes) in tree.iter() {
        let path = args.folder.join(name);
        if let Some(folder) = path.parent() {
            files::create_folder(folder)?;
        }
        files::write_atomic(&path, bytes)?;
        if is_script(name) {
            files::make_executable(&path)?;
        }
    }
    context.ui.say("Unpacked", format!("{} into {}", count(tree.iter().count(), "file"), args.folder.display()));
    if args.extras {
        extras(context, &bundle, &args.folder.join("extras"))?;
    }
    Ok(0)
}

/// One after the other: a disk is the limit, and what is whole has its name.
fn extras(context: &Context, bundle: &Bundle, folder: &Path) -> Result<(), Failures> {
    files::create_folder(folder)?;
    for extra in bundle.extras() {
        bundle.write_extra(extra, folder)?;
        context.ui.say("Extra", format!("{}  {}", folder.join(&extra.name).display(), ui::bytes(extra.file.size)));
    }
    Ok(())
}
