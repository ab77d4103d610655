//! `platctl unpack`: the definition of a bundle as files to edit.

use std::path::PathBuf;

use super::{Context, trust};
use crate::definition::Tree;
use crate::files;
use crate::ui::count;
use crate::ui::failure::{Code, Failure, Failures, Kind};

/// Flags of `unpack`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundle
    file: PathBuf,
    /// The folder to make
    #[arg(value_name = "DIR")]
    folder: PathBuf,
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
    for (path, bytes) in tree.iter() {
        let path = args.folder.join(path);
        if let Some(folder) = path.parent() {
            files::create_folder(folder)?;
        }
        files::write_atomic(&path, bytes)?;
    }
    context.ui.say("Unpacked", format!("{} into {}", count(tree.iter().count(), "file"), args.folder.display()));
    Ok(0)
}
