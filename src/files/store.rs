//! The private content-addressed store: charts and tools that were fetched or read from a bundle, by digest.
//! What is in it was hashed on the way in; must not fetch anything itself.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{FileError, private_folder, sync_folder_of};
use crate::digest::{Digest, Hasher};

/// A folder of files named by the digest of their bytes, readable by the owner alone.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// Why something could not be put into the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The bytes are not the ones that were promised; nothing was kept.
    #[error("{name}: expected {expected}, got {actual}")]
    Mismatch {
        /// What the bytes were meant to be, for people.
        name: String,
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// The source of the bytes failed.
    #[error("cannot read {name}")]
    Source {
        /// What was being read, for people.
        name: String,
        /// The reader's own word.
        #[source]
        source: io::Error,
    },
}

impl Store {
    /// Opens the store in a folder, making it private when it is new.
    ///
    /// # Errors
    /// [`FileError`] when the folder can't be made or belongs to somebody else.
    pub fn open(root: &Path) -> Result<Store, FileError> {
        private_folder(root)?;
        Ok(Store { root: root.to_owned() })
    }

    /// The folder itself, for files that others derive from what is stored.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the bytes with this digest lie, if they are here.
    pub fn get(&self, digest: &Digest) -> Option<PathBuf> {
        let path = self.path(digest);
        path.is_file().then_some(path)
    }

    /// Hashes the stored bytes again; a file that was damaged is removed and counts as absent.
    ///
    /// # Errors
    /// [`FileError`] when it can't be read.
    pub fn get_checked(&self, digest: &Digest) -> Result<Option<PathBuf>, FileError> {
        let Some(path) = self.get(digest) else { return Ok(None) };
        let (actual, _) = fs::File::open(&path).and_then(Digest::of_reader).map_err(FileError::at("read", &path))?;
        if actual == *digest {
            return Ok(Some(path));
        }
        fs::remove_file(&path).map_err(FileError::at("remove", &path))?;
        Ok(None)
    }

    /// Keeps what `reader` gives, if its digest is the one expected (any, when none is); `name` is for errors.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is kept then.
    pub fn put(
        &self,
        name: &str,
        expected: Option<&Digest>,
        reader: impl Read,
    ) -> Result<(Digest, PathBuf), StoreError> {
        let partial = self.root.join(format!(".{}.{}", std::process::id(), partial_number()));
        let result = self.put_through(&partial, name, expected, reader);
        if result.is_err() {
            let _ = fs::remove_file(&partial);
        }
        result
    }

    fn put_through(
        &self,
        partial: &Path,
        name: &str,
        expected: Option<&Digest>,
        reader: impl Read,
    ) -> Result<(Digest, PathBuf), StoreError> {
        let actual = copy_hashed(partial, name, reader)?;
        if let Some(expected) = expected.filter(|e| **e != actual) {
            return Err(StoreError::Mismatch { name: name.to_owned(), expected: *expected, actual });
        }
        let path = self.path(&actual);
        fs::rename(partial, &path).map_err(FileError::at("write", &path))?;
        sync_folder_of(&path)?;
        Ok((actual, path))
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(format!("sha256-{}", digest.hex()))
    }
}

fn copy_hashed(partial: &Path, name: &str, mut reader: impl Read) -> Result<Digest, StoreError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(partial);
    let mut file = file.map_err(FileError::at("write", partial))?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let n = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(StoreError::Source { name: name.to_owned(), source }),
        };
        hasher.update(&buffer[..n]);
        file.write_all(&buffer[..n]).map_err(FileError::at("write", partial))?;
    }
    file.sync_all().map_err(FileError::at("write", partial))?;
    Ok(hasher.finish())
}

fn partial_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_matches_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let (digest, path) = store.put("a", None, &b"hello"[..]).unwrap();
        assert_eq!(fs::read(path).unwrap(), b"hello");
        assert!(store.get(&digest).is_some());

        let wanted = Digest::of("other");
        let error = store.put("chart x", Some(&wanted), &b"hello"[..]).unwrap_err();
        assert!(matches!(error, StoreError::Mismatch { .. }));
        assert!(store.get(&wanted).is_none());
        assert_eq!(fs::read_dir(store.root()).unwrap().count(), 1);
    }

    #[test]
    fn damaged_bytes_count_as_absent() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (digest, path) = store.put("a", None, &b"hello"[..]).unwrap();
        fs::write(&path, "hellO").unwrap();
        assert_eq!(store.get_checked(&digest).unwrap(), None);
        assert!(store.get(&digest).is_none());
    }
}
