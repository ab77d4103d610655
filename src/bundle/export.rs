//! Files of a bundle written out beside it: checked, and under their name only when whole.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::{Bundle, Error, ExtraInfo};
use crate::files::{FileError, sync_folder_of};

impl Bundle {
    /// Writes an extra file into a folder, under its name; what is there is replaced.
    ///
    /// # Errors
    /// [`Error::Damaged`], or that the disk refuses; nothing is there under the name then that was not before.
    pub fn write_extra(&self, extra: &ExtraInfo, folder: &Path) -> Result<(), Error> {
        let partial = folder.join(format!(".{}.partial", extra.name));
        let written = self.copy(extra, &partial, &folder.join(&extra.name));
        if written.is_err() {
            let _ = fs::remove_file(&partial);
        }
        written
    }

    fn copy(&self, extra: &ExtraInfo, partial: &Path, to: &Path) -> Result<(), Error> {
        let mut reader = self.reader(&extra.file)?;
        let mut file = File::create(partial).map_err(FileError::at("write", partial))?;
        io::copy(&mut reader, &mut file).map_err(|error| match error.get_ref() {
            Some(_) => Error::reading(self.path(), error),
            None => FileError { action: "write", path: to.to_owned(), source: error }.into(),
        })?;
        file.sync_all().map_err(FileError::at("write", partial))?;
        fs::rename(partial, to).map_err(FileError::at("write", to))?;
        Ok(sync_folder_of(to)?)
    }
}
