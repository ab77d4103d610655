//! Bundles that nobody's platctl would write: the parts of a good one, changed, with an index that is right about itself.

use std::collections::BTreeMap;
use std::path::Path;

use platctl::digest::Digest;
use serde_json::Value;
use tar::{EntryType, Header};

use super::BundleFile;

/// The parts of a bundle.
#[derive(Clone)]
pub struct Forged {
    platctl: Vec<u8>,
    pub blobs: BTreeMap<String, Vec<u8>>,
    link: String,
    pub index: Value,
    /// What stands between the last blob and the end, as it is.
    pub extra: Vec<u8>,
    /// What stands after the end.
    pub after: Vec<u8>,
}

impl Forged {
    /// The parts of a good bundle.
    pub fn of(path: &Path) -> Forged {
        let file = BundleFile::open(path);
        let platctl = file.read("platctl");
        let link = Digest::of(&platctl).hex();
        let mut blobs = BTreeMap::new();
        for entry in &file.entries {
            if let Some(hex) = entry.name.strip_prefix("blobs/sha256/").filter(|hex| **hex != *link) {
                blobs.insert(hex.to_owned(), file.read(&entry.name));
            }
        }
        let index = serde_json::from_slice(&file.read("index.json")).unwrap();
        Forged { platctl, blobs, link, index, extra: Vec::new(), after: Vec::new() }
    }

    /// A bundle that holds platctl and nothing else yet.
    pub fn new(platctl: Vec<u8>) -> Forged {
        let link = Digest::of(&platctl).hex();
        let index = serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [], "annotations": {}});
        Forged { platctl, blobs: BTreeMap::new(), link, index, extra: Vec::new(), after: Vec::new() }
    }

    /// Adds a blob; its descriptor.
    pub fn blob(&mut self, kind: &str, bytes: &[u8]) -> Value {
        let hex = Digest::of(bytes).hex();
        if hex != self.link {
            self.blobs.insert(hex.clone(), bytes.to_vec());
        }
        serde_json::json!({"mediaType": kind, "digest": format!("sha256:{hex}"), "size": bytes.len()})
    }

    /// Adds a manifest over layers, and names it in the index with annotations.
    pub fn artifact(&mut self, layers: Vec<Value>, annotations: Value) {
        let config = self.blob("application/vnd.oci.empty.v1+json", b"{}");
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers});
        let mut top = self.blob(kind, manifest.to_string().as_bytes());
        top["annotations"] = annotations;
        top["platform"] = serde_json::json!({"architecture": "amd64", "os": "linux"});
        self.index["manifests"].as_array_mut().unwrap().push(top);
    }

    /// The descriptor in the index of the first thing in whose text this stands.
    pub fn top(&mut self, part: &str) -> &mut Value {
        let all = self.index["manifests"].as_array_mut().unwrap();
        all.iter_mut().find(|descriptor| descriptor.to_string().contains(part)).unwrap()
    }

    /// Digest (hex) of the only layer of an artifact.
    pub fn layer(&mut self, part: &str) -> String {
        let manifest = hex(&self.top(part)["digest"]);
        let manifest: Value = serde_json::from_slice(&self.blobs[&manifest]).unwrap();
        hex(&manifest["layers"][0]["digest"])
    }

    /// Puts other bytes in the place of a blob: whatever names it names the new one.
    pub fn replace(&mut self, old: &str, bytes: Vec<u8>) {
        self.blobs.remove(old);
        let (new, size) = (Digest::of(&bytes).hex(), bytes.len());
        self.blobs.insert(new.clone(), bytes);
        rename(&mut self.index, old, &new, size);
        let documents: Vec<(String, Value)> = self
            .blobs
            .iter()
            .filter(|(_, bytes)| bytes.first() == Some(&b'{'))
            .filter(|(_, bytes)| String::from_utf8_lossy(bytes).contains(old))
            .filter_map(|(hex, bytes)| Some((hex.clone(), serde_json::from_slice(bytes).ok()?)))
            .collect();
        for (hex, mut document) in documents {
            rename(&mut document, old, &new, size);
            self.replace(&hex, document.to_string().into_bytes());
        }
    }

    /// As [`Forged::replace`] for something that the lock names, too: whoever forges a bundle forges its lock.
    pub fn replace_locked(&mut self, old: &str, bytes: Vec<u8>) {
        let new = Digest::of(&bytes).hex();
        let definition = self.layer("definition");
        // A digest is as long as any other, so the tar stays one.
        let tar = replaced(&self.blobs[&definition], old.as_bytes(), new.as_bytes());
        self.replace(&definition, tar);
        self.replace(old, bytes);
    }

    /// The document of a manifest, changed.
    pub fn change(&mut self, part: &str, change: impl FnOnce(&mut Value)) {
        let manifest = hex(&self.top(part)["digest"]);
        let mut document: Value = serde_json::from_slice(&self.blobs[&manifest]).unwrap();
        change(&mut document);
        self.replace(&manifest, document.to_string().into_bytes());
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes_with(|_| {})
    }

    /// The same with a chance to change the index once it is right about itself.
    pub fn bytes_with(&self, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut rest = Vec::new();
        for (hex, bytes) in &self.blobs {
            put(&mut rest, &format!("blobs/sha256/{hex}"), bytes);
        }
        rest.extend(header(format!("blobs/sha256/{}", self.link).as_bytes(), 0, EntryType::Link));
        rest.extend(&self.extra);
        let mut index = self.index_bytes(rest.len() + 1024);
        change(&mut index);
        let mut file = self.front();
        put(&mut file, "index.json", &index);
        file.extend(rest);
        file.extend([0; 1024]);
        file.extend(&self.after);
        file
    }

    /// What comes before the index.
    pub fn front(&self) -> Vec<u8> {
        let mut file = Vec::new();
        put(&mut file, "platctl", &self.platctl);
        put(&mut file, "oci-layout", b"{\"imageLayoutVersion\":\"1.0.0\"}");
        file
    }

    fn index_bytes(&self, rest: usize) -> Vec<u8> {
        let mut index = self.index.clone();
        let blank = format!("sha256:{}", "0".repeat(64));
        index["annotations"]["dev.platctl.bundle.rest"] = rest.to_string().into();
        index["annotations"]["dev.platctl.bundle.check"] = blank.clone().into();
        let text = index.to_string();
        text.replacen(&blank, &Digest::of(&text).to_string(), 1).into_bytes()
    }
}

/// An entry with its padding.
pub fn put(file: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    file.extend(header(name.as_bytes(), bytes.len() as u64, EntryType::Regular));
    file.extend(bytes);
    file.resize(file.len().next_multiple_of(512), 0);
}

/// A header as platctl writes it, for any name and kind.
pub fn header(name: &[u8], size: u64, kind: EntryType) -> [u8; 512] {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_size(size);
    header.set_entry_type(kind);
    header.set_mode(if name == b"platctl" { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    if kind == EntryType::Link {
        header.set_link_name_literal("platctl").unwrap();
    }
    header.set_cksum();
    *header.as_bytes()
}

pub fn hex(digest: &Value) -> String {
    digest.as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned()
}

/// Every descriptor of a blob, and every annotation that names it.
fn rename(value: &mut Value, old: &str, new: &str, size: usize) {
    match value {
        Value::Object(map) => {
            if map.get("digest").is_some_and(|digest| digest.as_str() == Some(&format!("sha256:{old}"))) {
                map["digest"] = format!("sha256:{new}").into();
                map["size"] = size.into();
            }
            map.values_mut().for_each(|value| rename(value, old, new, size));
        }
        Value::Array(all) => all.iter_mut().for_each(|value| rename(value, old, new, size)),
        _ => {}
    }
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> =
        bytes.windows(old.len()).enumerate().filter(|(_, w)| *w == old).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "the lock names it");
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
    bytes
}
