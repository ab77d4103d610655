//! The unfinished file: held by one process alone, with room for all of it on the disk.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::Error;
use super::assemble::{Content, Layout};
use super::entry::{BLOCK, END, padded};
use super::place::Place;
use crate::files::{FileError, sync_folder_of};

/// A run that was given up in this process lets go of the file as soon as its last writes are through.
const PATIENCE: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// The file beside the bundle to be, locked.
pub(super) struct Partial {
    pub file: Arc<File>,
    pub path: PathBuf,
    output: PathBuf,
}

impl Partial {
    /// Opens or makes it, and locks it.
    pub fn open(output: &Path) -> Result<Partial, Error> {
        let mut name = OsString::from(output);
        name.push(".partial");
        let path = PathBuf::from(name);
        loop {
            let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let file = opened.map_err(FileError::at("write", &path))?;
            lock(&file, &path)?;
            // Who held the lock before may have renamed the file to its final name in the meantime.
            if is_at(&file, &path) {
                return Ok(Partial { file: Arc::new(file), path, output: output.to_owned() });
            }
        }
    }

    /// Refuses what the disk has no room for, before anything is fetched.
    pub fn check_space(&self, size: u64) -> Result<(), Error> {
        let facts = self.file.metadata().map_err(FileError::at("read", &self.path))?;
        let disk =
            rustix::fs::fstatvfs(&*self.file).map_err(|errno| self.failed("look at the disk of", errno.into()))?;
        let needed = size.saturating_sub(facts.blocks().saturating_mul(512));
        let available = disk.f_bavail.saturating_mul(disk.f_frsize);
        if needed > available {
            return Err(Error::NoSpace { path: self.output.clone(), needed, available });
        }
        Ok(())
    }

    /// Makes the file as long as it will be, its room taken.
    pub fn reserve(&self, size: u64) -> Result<(), Error> {
        self.file.set_len(size).map_err(FileError::at("write", &self.path))?;
        match rustix::fs::fallocate(&*self.file, FallocateFlags::empty(), 0, size) {
            // Some file systems can't; the length is set, and the room was looked at.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(errno) => Err(self.failed("reserve room for", errno.into())),
        }
    }

    /// Makes a place zeros again, as where nothing was written. Where the file system can't, what lies there may later
    /// be taken for a beginning, and is found out by the blob's digest.
    pub fn clear(&self, place: Place) {
        let zeros = [FallocateFlags::ZERO_RANGE, FallocateFlags::PUNCH_HOLE];
        let clear = |how| rustix::fs::fallocate(&*self.file, how | FallocateFlags::KEEP_SIZE, place.offset, place.size);
        let _ = place.size == 0 || zeros.into_iter().any(|how| clear(how).is_ok());
    }

    /// Writes all that is known before anything is streamed: headers, metadata, padding and the end.
    pub fn write_known(&self, layout: &Layout) -> Result<(), Error> {
        let write = |bytes: &[u8], offset| self.file.write_all_at(bytes, offset);
        let all = || -> io::Result<()> {
            for entry in &layout.entries {
                write(&entry.header, entry.place.offset - BLOCK)?;
                if let Content::Bytes(bytes) = &entry.content {
                    write(bytes, entry.place.offset)?;
                }
                let end = entry.place.offset + entry.place.size;
                let room = padded(entry.place.size).unwrap_or(entry.place.size) - entry.place.size;
                write(&[0; BLOCK as usize][..room as usize], end)?;
            }
            write(&[0; END as usize], layout.size - END)
        };
        Ok(all().map_err(FileError::at("write", &self.path))?)
    }

    /// Puts the whole file on the disk and under its name.
    pub fn finish(self) -> Result<PathBuf, Error> {
        self.file.sync_all().map_err(FileError::at("write", &self.path))?;
        std::fs::rename(&self.path, &self.output).map_err(FileError::at("write", &self.output))?;
        sync_folder_of(&self.output)?;
        Ok(self.output)
    }

    fn failed(&self, action: &'static str, source: io::Error) -> Error {
        FileError { action, path: self.path.clone(), source }.into()
    }
}

fn lock(file: &File, path: &Path) -> Result<(), Error> {
    for _ in 0..PATIENCE {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(source)) => {
                return Err(FileError { action: "lock", path: path.to_owned(), source }.into());
            }
        }
    }
    Err(Error::Busy { path: path.to_owned() })
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(own), Ok(there)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    (own.dev(), own.ino()) == (there.dev(), there.ino())
}
