//! What helm rendered before, by everything that decides it: many processes may use one folder at once. What is kept may
//! be deleted at any time; an entry that is not whole is none. Holds no secret: values are hashed with tokens in them, and
//! what charts make of them holds tokens. Must not know who asks.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::digest::{Digest, Hasher};
use crate::files;
use crate::tools::{Helm, TemplateRequest};

/// The version of keys and entries: raise it when either changes, or when helm is called with other flags.
const FORMAT: &str = "platctl-render 1";
/// The most that all entries may come to, in bytes.
const LARGEST: u64 = 256 * 1024 * 1024;
/// The longest that an entry is kept without being used.
const OLDEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// How old the time of the last use may be without being written anew: a write for each use would be one too many.
const USED_LATELY: Duration = Duration::from_secs(600);
/// How names of entries begin that are being written.
const BEGUN: &str = ".new-";
/// The longest that writing an entry may take; after that whoever wrote it is gone.
const LONGEST_WRITE: Duration = Duration::from_secs(3600);

/// The renders of before; off where they are not wanted, or where there is no place for them.
#[derive(Debug, Clone)]
pub struct Cache(Option<PathBuf>);

/// The name of a render: everything that decides what helm prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(Digest);

impl Cache {
    /// The renders in a folder, which is made where it is missing. Where that fails nothing is remembered: that costs
    /// time, and nothing else.
    pub fn open(folder: PathBuf) -> Cache {
        Cache(files::private_folder(&folder).is_ok().then_some(folder))
    }

    /// One that remembers nothing.
    pub fn off() -> Cache {
        Cache(None)
    }

    /// What was rendered, if it is here and whole.
    pub(super) fn get(&self, key: Key) -> Option<String> {
        let path = self.path(key)?;
        let entry = fs::read(&path).ok()?;
        let text = whole(entry);
        match &text {
            Some(_) => used(&path),
            // It would be written again anyway; until then nobody needs to hash it.
            None => _ = fs::remove_file(&path),
        }
        text
    }

    /// Keeps what was rendered. A full or closed disk keeps nothing, which is no failure.
    pub(super) fn put(&self, key: Key, text: &str) {
        let Some(path) = self.path(key) else { return };
        let _ = written(&path, text);
    }

    /// Takes out what was not used for long, and then what was used least lately until the rest has room. Other
    /// processes may do the same at the same time.
    pub(super) fn prune(&self) {
        self.prune_to(LARGEST, OLDEST);
    }

    fn prune_to(&self, largest: u64, oldest: Duration) {
        let now = SystemTime::now();
        let mut entries = self.entries();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        let mut kept = 0;
        for entry in entries {
            let age = now.duration_since(entry.used).unwrap_or_default();
            let begun = entry.path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(BEGUN));
            if begun && age <= LONGEST_WRITE {
                continue;
            }
            if begun || age > oldest || kept + entry.size > largest {
                let _ = fs::remove_file(&entry.path);
            } else {
                kept += entry.size;
            }
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let entry = |found: fs::DirEntry| {
            let about = found.metadata().ok().filter(fs::Metadata::is_file)?;
            Some(Entry { path: found.path(), size: about.len(), used: about.modified().ok()? })
        };
        let folder = self.0.iter().filter_map(|folder| fs::read_dir(folder).ok());
        folder.flatten().flatten().filter_map(entry).collect()
    }

    fn path(&self, Key(digest): Key) -> Option<PathBuf> {
        Some(self.0.as_ref()?.join(digest.hex()))
    }
}

/// A file of the folder.
struct Entry {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

impl Key {
    /// The key of a render; none when the chart is no file of the store, which alone is named by its content.
    pub(super) fn of(helm: &Helm, request: &TemplateRequest<'_>, offer: &Digest) -> Option<Key> {
        let chart = request.chart.file_name()?.to_str()?.strip_prefix("sha256-")?;
        let mut hasher = Hasher::default();
        let flag = if request.is_upgrade { "upgrade" } else { "install" };
        let identity = identity(&helm.program)?;
        let (offer, values) = (offer.hex(), Digest::of(request.values).hex());
        let parts = [FORMAT, &identity, chart, &values, request.release, request.namespace, request.kube_version, flag];
        for part in parts.into_iter().chain([offer.as_str()]) {
            // With its length: two lists of parts are never one text.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Some(Key(hasher.finish()))
    }
}

/// What tells one helm from another: the digest of the archive it was installed from, which its folder is named by, and
/// whether it is still the same file.
fn identity(program: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let about = fs::metadata(program).ok()?;
    let folder = program.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    Some(format!("{folder} {} {}.{}", about.size(), about.mtime(), about.mtime_nsec()))
}

/// The text of an entry, if every byte of it is there: it begins with the digest of what follows.
fn whole(mut entry: Vec<u8>) -> Option<String> {
    let end = entry.iter().position(|byte| *byte == b'\n')? + 1;
    let digest = std::str::from_utf8(&entry[..end]).ok()?.trim_end().parse::<Digest>().ok()?;
    if Digest::of(&entry[end..]) != digest {
        return None;
    }
    entry.drain(..end);
    String::from_utf8(entry).ok()
}

fn written(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    // A name that no other process has, also where process numbers repeat because the folder is shared.
    let mut file = tempfile::Builder::new().prefix(BEGUN).tempfile_in(folder)?;
    file.write_all(format!("{}\n", Digest::of(text)).as_bytes())?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map(drop).map_err(|e| e.error)
}

/// Remembers that an entry was used.
fn used(path: &Path) {
    let lately = |file: &File| {
        let age = file.metadata().and_then(|about| about.modified()).map(|at| at.elapsed().unwrap_or_default());
        age.is_ok_and(|age| age < USED_LATELY)
    };
    if let Ok(file) = File::options().append(true).open(path)
        && !lately(&file)
    {
        let _ = file.set_modified(SystemTime::now());
    }
}

#[cfg(test)]
mod tests;
