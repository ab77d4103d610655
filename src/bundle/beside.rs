//! The signed index beside a bundle, for whoever has no platctl that they trust: `minisign -V` needs files.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::{Error, Layout};
use crate::files::{FileError, write_atomic};

/// Lays index and signature beside a bundle that was signed. Beside one that was not, none of another one are left.
///
/// # Errors
/// [`Error::File`]; the bundle is whole all the same.
pub fn lay_beside(layout: &Layout, bundle: &Path) -> Result<(), Error> {
    let [index, signature] = [".index.json", ".index.json.minisig"].map(|end| named(bundle, end));
    let Some(bytes) = layout.signature() else {
        for path in [index, signature] {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(FileError::at("remove", path)(error).into());
                }
                _ => {}
            }
        }
        return Ok(());
    };
    write_atomic(&index, layout.index())?;
    Ok(write_atomic(&signature, bytes)?)
}

fn named(bundle: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(bundle);
    name.push(end);
    PathBuf::from(name)
}
