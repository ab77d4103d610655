//! `platctl secrets edit`: sops opens the file in the user's editor; the result is checked before it takes the file's
//! place.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::Desk;
use crate::commands::Context;
use crate::files::{self, FileError};
use crate::secrets::Wanted;
use crate::tools::sops_exit;
use crate::ui::failure::{Code, Failure, Failures, Kind};
use crate::yaml::nearest;

/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";

/// Runs the verb.
pub(super) async fn run(context: &Context, desk: &Desk) -> Result<u8, Failures> {
    let wanted = desk.wanted(desk.definition.releases.iter());
    let sops = desk.sops(context).await?;
    let draft = desk.draft(&sops)?;
    if !draft.existed() {
        draft.create(&to_fill_in(desk, &wanted)).await?;
    }
    let before = draft.read()?;
    let scratch = scratch(context)?;
    match draft.edit(scratch.path()).await {
        Ok(()) => {}
        Err(error) if error.code() == Some(sops_exit::UNCHANGED) => {
            context.ui.say("Unchanged", desk.path());
            return Ok(0);
        }
        Err(error) if error.code() == Some(sops_exit::EDITOR) => {
            let failure = Failure::new(Code::Tool, Kind::Yours, "the editor can't be run, or failed");
            return Err(failure.help("name one that waits in EDITOR, such as `vim` or `code --wait`").into());
        }
        Err(error) => return Err(draft.failed(&before, error).into()),
    }
    let names = draft.read()?.names();
    draft.keep(&[])?;
    context.ui.say("Wrote", desk.path());
    let known: Vec<&str> = wanted.names().into_iter().collect();
    for name in names.iter().filter(|name| !wanted.knows(name)) {
        let near = nearest(name, &known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        context.ui.warn(format!("no release asks for `{name}`{near}"));
    }
    Ok(0)
}

/// A new file begins with the names that somebody has to fill in.
fn to_fill_in(desk: &Desk, wanted: &Wanted) -> Json {
    let mut tree = json!({});
    for name in wanted.by_hand(&desk.layers).into_keys() {
        let mut at = &mut tree;
        for part in name.split('.') {
            if !at.is_object() {
                *at = json!({});
            }
            at = &mut at[part];
        }
        if at.is_null() {
            *at = json!("");
        }
    }
    tree
}

/// A private folder for what the editor sees: in memory, where there is such a place.
fn scratch(context: &Context) -> Result<tempfile::TempDir, Failures> {
    if let Ok(folder) = tempfile::Builder::new().prefix("platctl-").tempdir_in(MEMORY) {
        return Ok(folder);
    }
    context.ui.warn(format!("{MEMORY} can't be used: the editor sees a file on the disk, which is removed after it"));
    let cache: &Path = &context.surroundings.cache;
    files::private_folder(cache)?;
    let made = tempfile::Builder::new().prefix("edit-").tempdir_in(cache);
    Ok(made.map_err(FileError::at("make a folder in", cache))?)
}
