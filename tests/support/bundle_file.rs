//! A bundle's bytes, for tests that damage them: entries by name with their place, read without the program's help.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// An entry: its name and where its bytes lie.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    pub bytes: Range<u64>,
}

/// A bundle on the disk.
pub struct BundleFile {
    path: PathBuf,
    pub entries: Vec<Entry>,
}

impl BundleFile {
    pub fn open(path: &Path) -> BundleFile {
        let mut archive = tar::Archive::new(File::open(path).unwrap());
        let entries = archive.entries_with_seek().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let start = entry.raw_file_position();
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            Entry { name, bytes: start..start + entry.size() }
        });
        BundleFile { path: path.to_owned(), entries: entries.collect() }
    }

    pub fn entry(&self, name: &str) -> &Entry {
        self.entries.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("no entry {name}"))
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        let range = &self.entry(name).bytes;
        let mut file = File::open(&self.path).unwrap();
        file.seek(SeekFrom::Start(range.start)).unwrap();
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
        file.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    /// The entry of the blob with a digest.
    pub fn blob(&self, digest: &Value) -> String {
        format!("blobs/sha256/{}", digest.as_str().unwrap().strip_prefix("sha256:").unwrap())
    }

    /// The manifest of the first descriptor of the index in whose text this stands, as entry and document.
    pub fn manifest(&self, part: &str) -> (String, Value) {
        let index = self.json("index.json");
        let all = index["manifests"].as_array().unwrap();
        let found = all.iter().find(|descriptor| descriptor.to_string().contains(part));
        let entry = self.blob(&found.unwrap_or_else(|| panic!("no {part} in {index:#}"))["digest"]);
        let document = self.json(&entry);
        match document["manifests"][0]["digest"].clone() {
            Value::Null => (entry, document),
            child => (self.blob(&child), self.json(&self.blob(&child))),
        }
    }

    /// The entry of the first layer of [`BundleFile::manifest`].
    pub fn layer(&self, part: &str) -> String {
        let (_, document) = self.manifest(part);
        self.blob(&document["layers"][0]["digest"])
    }

    /// A copy with one byte inverted, in the middle of an entry.
    pub fn altered(&self, name: &str, to: &Path) {
        let range = &self.entry(name).bytes;
        fs::copy(&self.path, to).unwrap();
        invert(to, u64::midpoint(range.start, range.end));
    }

    /// A copy that ends after so many bytes.
    pub fn cut(&self, length: u64, to: &Path) {
        fs::copy(&self.path, to).unwrap();
        OpenOptions::new().write(true).open(to).unwrap().set_len(length).unwrap();
    }

    pub fn size(&self) -> u64 {
        fs::metadata(&self.path).unwrap().len()
    }
}

fn invert(path: &Path, at: u64) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[!byte[0]]).unwrap();
}
