//! A file that another program rewrites step by step, made atomic: it works on a copy beside, which then takes the
//! file's place. Killed at any moment, the file is as it was.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::{FileError, sync_folder_of};

/// A copy of a file, or an empty one where there is none yet. Dropped, it goes away and changes nothing. One process
/// at a time has it: the folder is locked meanwhile.
#[derive(Debug)]
pub struct Beside {
    file: PathBuf,
    copy: PathBuf,
    existed: bool,
    _folder: File,
}

impl Beside {
    /// Copies a file, and clears away what a killed process left. The copy's name is this process's own: a program
    /// that the killed one started may still write to the other.
    ///
    /// # Errors
    /// [`FileError`] naming the path; of kind `WouldBlock` when another process has it.
    pub fn of(file: &Path) -> Result<Beside, FileError> {
        let folder = file.parent().unwrap_or(Path::new("."));
        let lock = File::open(folder).map_err(FileError::at("open", folder))?;
        // A file system without locks, such as some of a network, is no reason to refuse.
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            let busy = io::Error::new(io::ErrorKind::WouldBlock, "another process is changing it");
            return Err(FileError::at("change", file)(busy));
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        remove_left(folder, &name);
        let copy = file.with_file_name(format!("{LEFT}{}.{name}", std::process::id()));
        let existed = file.is_file();
        let made = if existed { fs::copy(file, &copy).map(|_| ()) } else { File::create(&copy).map(|_| ()) };
        let beside = Beside { file: file.to_owned(), copy, existed, _folder: lock };
        made.map_err(FileError::at("write", &beside.copy))?;
        Ok(beside)
    }

    /// The copy's path.
    pub fn path(&self) -> &Path {
        &self.copy
    }

    /// The path of the file it is a copy of.
    pub fn original(&self) -> &Path {
        &self.file
    }

    /// Whether there was a file.
    pub fn existed(&self) -> bool {
        self.existed
    }

    /// Puts the copy in the file's place.
    ///
    /// # Errors
    /// [`FileError`] naming the path; the file is then as it was before.
    pub fn keep(self) -> Result<(), FileError> {
        let replace = || File::open(&self.copy)?.sync_all().and_then(|()| fs::rename(&self.copy, &self.file));
        replace().map_err(FileError::at("write", &self.file))?;
        sync_folder_of(&self.file)
    }
}

/// How a copy's name begins; a definition leaves such files out.
const LEFT: &str = ".new.";

fn remove_left(folder: &Path, name: &str) {
    let left = |entry: &fs::DirEntry| {
        let found = entry.file_name().to_string_lossy().into_owned();
        found.starts_with(LEFT) && found.ends_with(name)
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(left) {
        let _ = fs::remove_file(entry.path());
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // After `keep` there is none any more.
        let _ = fs::remove_file(&self.copy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_kept_takes_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f.yaml");
        fs::write(dir.path().join(".new.1.f.yaml"), "left by a killed run").unwrap();
        let beside = Beside::of(&file).unwrap();
        assert!(!beside.existed() && !file.exists());
        fs::write(beside.path(), "one").unwrap();
        let error = Beside::of(&file).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::WouldBlock);
        beside.keep().unwrap();
        let dropped = Beside::of(&file).unwrap();
        assert_eq!(fs::read_to_string(dropped.path()).unwrap(), "one");
        fs::write(dropped.path(), "two").unwrap();
        drop(dropped);
        assert_eq!(fs::read_to_string(&file).unwrap(), "one");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
