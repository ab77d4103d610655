//! Files on disk: reading with the path in every error, atomic writing, private folders, and the
//! content-addressed store. Must not know what the files mean.

mod beside;
mod store;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use beside::Beside;
pub use store::{Store, StoreError};

/// Something the file system refused: what was being done, to which path, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    /// A verb phrase that follows "cannot", such as `read`.
    pub action: &'static str,
    /// The path as it was given.
    pub path: PathBuf,
    /// The operating system's own word.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// Turns an I/O error into one that names action and path.
    pub fn at(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> FileError {
        let path = path.into();
        move |source| FileError { action, path, source }
    }
}

/// Reads a whole file.
///
/// # Errors
/// [`FileError`] naming the path.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(FileError::at("read", path))
}

/// Writes a file whole or not at all: beside it, synced, then renamed over it.
///
/// # Errors
/// [`FileError`] naming the path; the file is then as it was before.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_with_mode(path, bytes, 0o666)
}

/// As [`write_atomic`], readable by the owner alone.
///
/// # Errors
/// [`FileError`] naming the path.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_with_mode(path, bytes, 0o600)
}

/// Writes a file that can be made again at any time: whole, readable by the owner alone, but not synced, so that it
/// costs nothing. After a power cut it may be empty.
///
/// # Errors
/// [`FileError`] naming the path.
pub fn write_unsynced(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let beside = beside(path);
    let written = open_new(&beside, 0o600).and_then(|mut file| file.write_all(bytes));
    written.and_then(|()| fs::rename(&beside, path)).map_err(|source| {
        let _ = fs::remove_file(&beside);
        FileError { action: "write", path: path.to_owned(), source }
    })
}

/// A name beside a file that no other process takes.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

fn open_new(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)
}

fn write_with_mode(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let beside = beside(path);
    let written = write_synced(&beside, bytes, mode).and_then(|()| fs::rename(&beside, path));
    if let Err(source) = written {
        let _ = fs::remove_file(&beside);
        return Err(FileError { action: "write", path: path.to_owned(), source });
    }
    sync_folder_of(path)
}

fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = open_new(path, mode)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a rename in the folder of `path` durable.
///
/// # Errors
/// [`FileError`] naming the folder.
pub fn sync_folder_of(path: &Path) -> Result<(), FileError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|f| f.sync_all()).map_err(FileError::at("sync", folder))
}

/// Makes a folder with everything above it.
///
/// # Errors
/// [`FileError`] naming the folder.
pub fn create_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(FileError::at("create folder", path))
}

/// Makes a folder that its owner alone can enter (0700), with everything above it, and refuses one that is
/// somebody else's or open to others.
///
/// # Errors
/// [`FileError`] naming the folder.
pub fn private_folder(path: &Path) -> Result<(), FileError> {
    let make = || -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let found = fs::metadata(path)?;
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
        }
        if found.mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    };
    make().map_err(FileError::at("make a private folder", path))
}

/// Lets whoever may read a file also run it.
///
/// # Errors
/// [`FileError`] naming the path.
pub fn make_executable(path: &Path) -> Result<(), FileError> {
    let change = || -> io::Result<()> {
        let mode = fs::metadata(path)?.mode();
        fs::set_permissions(path, fs::Permissions::from_mode(mode | (mode & 0o444) >> 2))
    };
    change().map_err(FileError::at("make executable", path))
}

/// Removes what lies in a folder and was not touched for so long. What can't be removed stays: it is in nobody's way.
pub fn remove_older(folder: &Path, than: Duration) {
    let old = |entry: &fs::DirEntry| {
        let modified = entry.metadata().and_then(|found| found.modified()).ok();
        modified.and_then(|modified| modified.elapsed().ok()).is_some_and(|age| age > than)
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(old) {
        let _ = fs::remove_dir_all(entry.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atomic_write_replaces_and_leaves_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_atomic(&path, b"one").unwrap();
        write_unsynced(&path, b"two").unwrap();
        write_private(&path, b"three").unwrap();
        assert_eq!(read(&path).unwrap(), b"three");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn errors_name_the_path() {
        let error = read(Path::new("/nonexistent/x")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nonexistent/x");
    }

    #[test]
    fn a_private_folder_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        private_folder(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    }
}
