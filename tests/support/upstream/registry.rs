//! Owns the pull side of the registry protocol: names, tags and digests, and what was made up under them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hyper::StatusCode;
use serde_json::{Value, json};

use super::Result;
use super::charts::Charts;
use super::config::Settings;
use super::hash::hex_digest;
use super::images::{Blob, Document, Made, Recipe};
use super::layers::{Layer, Layers};
use super::once::{Once, lock};
use super::reply::{Asked, Reply};
use super::repository::{Holding, holding};

/// What is known under one `HOST/REPO`. Nothing is ever forgotten: a digest stays good when its tag moves on.
#[derive(Default)]
struct Repo {
    tags: BTreeMap<String, String>,
    documents: HashMap<String, Document>,
    blobs: HashMap<String, Blob>,
    /// By the digest that they refer to.
    referrers: HashMap<String, Vec<Value>>,
}

impl Repo {
    fn publish(&mut self, tag: &str, made: &Made) {
        if self.tags.insert(tag.to_owned(), made.top.clone()).as_ref() == Some(&made.top) {
            return;
        }
        self.documents.extend(made.documents.iter().map(|document| (document.digest.clone(), document.clone())));
        self.blobs.extend(made.blobs.iter().cloned());
        self.tags.extend(made.tags.iter().cloned());
        self.referrers.insert(made.top.clone(), made.referrers.clone());
    }
}

/// What is asked for of a repository.
enum Part<'a> {
    Manifest(&'a str),
    Blob(&'a str),
    Referrers(&'a str),
    Tags,
}

pub struct Registry {
    layers: Layers,
    images: Once<Arc<Made>>,
    repos: Mutex<HashMap<String, Repo>>,
    /// Files with the tags that were made up, by repository: after a restart their digests are found again.
    memory: PathBuf,
}

impl Registry {
    pub fn new(cache: &Path) -> Result<Registry> {
        let memory = cache.join("tags");
        fs::create_dir_all(&memory).map_err(|e| format!("{}: {e}", memory.display()))?;
        Ok(Registry { layers: Layers::new(cache)?, images: Once::default(), repos: Mutex::default(), memory })
    }

    /// The answer to `/v2/…`.
    pub fn answer(&self, charts: &Charts, settings: &Settings, asked: &Asked) -> Result<Reply> {
        let rest = asked.path.strip_prefix("/v2/").unwrap_or_default();
        if rest.is_empty() {
            return Ok(versioned(Reply::json(&json!({}))));
        }
        let Some((name, part)) = split(rest) else { return Ok(Reply::not_found(asked)) };
        if let Some((code, message)) = wrong(name, &part) {
            return Ok(Reply::failure(asked, StatusCode::BAD_REQUEST, code, message));
        }
        let image = match holding(charts, settings, name)? {
            Holding::Nothing => return Ok(unknown(asked, "NAME_UNKNOWN")),
            Holding::Image => true,
            Holding::Chart(versions) => {
                let mut repos = lock(&self.repos);
                let repo = repos.entry(name.to_owned()).or_default();
                repo.tags.retain(|tag, _| versions.iter().any(|(version, _)| version == tag));
                versions.iter().for_each(|(tag, made)| repo.publish(tag, made));
                false
            }
        };
        self.part(name, &part, image, settings, asked).map(versioned)
    }

    fn part(&self, name: &str, part: &Part, image: bool, settings: &Settings, asked: &Asked) -> Result<Reply> {
        Ok(match *part {
            Part::Tags => self.tags(name, image, settings, asked),
            Part::Manifest(reference) => {
                let found = self.find(name, reference, image, settings, |repo| {
                    let digest = repo.tags.get(reference).map_or(reference, String::as_str);
                    repo.documents.get(digest).cloned()
                })?;
                found.map_or_else(|| unknown(asked, "MANIFEST_UNKNOWN"), manifest)
            }
            Part::Referrers(digest) => {
                let found = self.find(name, digest, image, settings, |repo| repo.referrers.get(digest).cloned())?;
                // A registry that has none of an image plays one that knows no such list.
                match found.filter(|found| !found.is_empty()) {
                    None => unknown(asked, "NOT_FOUND"),
                    Some(found) => {
                        let kind = "application/vnd.oci.image.index.v1+json";
                        let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": found});
                        Reply::bytes(kind, index.to_string().into())
                    }
                }
            }
            Part::Blob(digest) => {
                let found = self.find(name, digest, image, settings, |repo| repo.blobs.get(digest).cloned())?;
                let reply = found.map(|found| blob(digest, found)).transpose()?.flatten();
                reply.unwrap_or_else(|| unknown(asked, "BLOB_UNKNOWN"))
            }
        })
    }

    /// Looks something up, making up what it takes: the image of a tag, or all images whose digest it may be.
    fn find<T>(
        &self,
        name: &str,
        reference: &str,
        image: bool,
        settings: &Settings,
        look: impl Fn(&Repo) -> Option<T>,
    ) -> Result<Option<T>> {
        let by_digest = reference.contains(':');
        if image && !by_digest && !is_signature(reference) {
            self.make(name, reference, settings)?;
        }
        let found = lock(&self.repos).get(name).and_then(&look);
        if found.is_some() || !by_digest || !image {
            return Ok(found);
        }
        for tag in self.known_tags(name, settings) {
            self.make(name, &tag, settings)?;
        }
        Ok(lock(&self.repos).get(name).and_then(look))
    }

    fn make(&self, name: &str, tag: &str, settings: &Settings) -> Result<()> {
        let recipe = Recipe::new(name, tag, settings);
        let made = self.images.get(&format!("{recipe:?}"), || {
            self.remember(name, tag)?;
            recipe.make(&self.layers).map(Arc::new)
        })?;
        lock(&self.repos).entry(name.to_owned()).or_default().publish(tag, &made);
        Ok(())
    }

    fn tags(&self, name: &str, image: bool, settings: &Settings, asked: &Asked) -> Reply {
        let mut tags: BTreeSet<String> = BTreeSet::new();
        if image {
            tags = self.known_tags(name, settings);
        } else if let Some(repo) = lock(&self.repos).get(name) {
            tags.extend(repo.tags.keys().cloned());
        }
        if tags.is_empty() {
            return unknown(asked, "NAME_UNKNOWN");
        }
        Reply::json(&json!({"name": name, "tags": tags}))
    }

    /// The tags of an image that were asked for, now or by an earlier run on this cache, or that the settings name.
    fn known_tags(&self, name: &str, settings: &Settings) -> BTreeSet<String> {
        let mut tags = self.remembered(name);
        let tag = |reference: &str| Some(reference.strip_prefix(name)?.strip_prefix(':')?.to_owned());
        tags.extend(settings.images.iter().filter_map(|image| tag(&image.reference)));
        tags
    }

    fn remembered(&self, name: &str) -> BTreeSet<String> {
        let text = fs::read_to_string(self.notes(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn remember(&self, name: &str, tag: &str) -> Result<()> {
        if self.remembered(name).contains(tag) {
            return Ok(());
        }
        // Appended, for another tag of this repository may be made up at the same time.
        let mut notes = OpenOptions::new().create(true).append(true).open(self.notes(name))?;
        Ok(notes.write_all(format!("{tag}\n").as_bytes())?)
    }

    fn notes(&self, name: &str) -> PathBuf {
        self.memory.join(hex_digest(name.as_bytes()))
    }
}

/// `HOST/REPO` and what is asked for of it.
fn split(rest: &str) -> Option<(&str, Part<'_>)> {
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return Some((name, Part::Tags));
    }
    if let Some((name, reference)) = rest.rsplit_once("/manifests/") {
        return Some((name, Part::Manifest(reference)));
    }
    if let Some((name, digest)) = rest.rsplit_once("/referrers/") {
        return Some((name, Part::Referrers(digest)));
    }
    let (name, digest) = rest.rsplit_once("/blobs/")?;
    Some((name, Part::Blob(digest)))
}

/// What the protocol does not allow, in its words.
fn wrong(name: &str, part: &Part) -> Option<(&'static str, &'static str)> {
    let simple = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    // The host comes first and may have a port.
    let (host, repo) = name.split_once('/').unwrap_or((name, ""));
    let host_good = !host.is_empty() && host.chars().all(|c| simple(c) || c == ':');
    if !host_good || repo.split('/').any(|word| word.is_empty() || !word.chars().all(simple)) {
        return Some(("NAME_INVALID", "the name is to be a host and a repository in lower case"));
    }
    match *part {
        Part::Blob(digest) | Part::Referrers(digest) if !is_digest(digest) => {
            Some(("DIGEST_INVALID", "this is no sha256 digest"))
        }
        Part::Manifest(digest) if digest.contains(':') && !is_digest(digest) => {
            Some(("DIGEST_INVALID", "this is no sha256 digest"))
        }
        Part::Manifest(tag) if !tag.contains(':') && !is_tag(tag) => Some(("TAG_INVALID", "this is no tag")),
        _ => None,
    }
}

fn is_digest(text: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.strip_prefix("sha256:").is_some_and(|rest| rest.len() == 64 && rest.chars().all(hex))
}

fn is_tag(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=128).contains(&text.len()) && !text.starts_with(['.', '-']) && text.chars().all(good)
}

/// The tags under which clients look for signatures and the like (`sha256-<digest>.sig`): nothing here is signed.
fn is_signature(tag: &str) -> bool {
    tag.starts_with("sha256-")
}

fn manifest(document: Document) -> Reply {
    let reply = Reply::bytes(&document.media_type, document.bytes);
    reply.header("Docker-Content-Digest", &document.digest).tagged(&document.digest)
}

fn blob(digest: &str, blob: Blob) -> Result<Option<Reply>> {
    let kind = "application/octet-stream";
    let reply = match blob {
        Blob::Bytes(bytes) => Some(Reply::bytes(kind, bytes)),
        Blob::Layer(Layer { noise: Some(seed), size, .. }) => Some(Reply::noise(kind, seed, size)),
        Blob::Layer(layer) => Reply::file(kind, &layer.path)?,
    };
    Ok(reply.map(|reply| reply.header("Docker-Content-Digest", digest).tagged(digest).in_ranges()))
}

fn versioned(reply: Reply) -> Reply {
    reply.header("Docker-Distribution-API-Version", "registry/2.0")
}

fn unknown(asked: &Asked, code: &str) -> Reply {
    Reply::failure(asked, StatusCode::NOT_FOUND, code, "unknown to this registry")
}
