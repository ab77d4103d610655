//! helm's record of a release: what it installed last, and with what. Texts in, texts out; must not ask the cluster for one,
//! nor write one anywhere: a record holds secrets in the clear.

mod keep;
mod remarks;
mod unlock;

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::object::{InvalidObject, Stream};

pub use keep::{Lasting, keeping};
pub use remarks::Remarks;
pub use unlock::{remembered, unlocked};

/// The most that a record may come to, unpacked. The API server takes 1 MiB of it, packed.
const MOST_UNPACKED: u64 = 128 * 1024 * 1024;

/// A release as helm recorded it. It can't be printed: secrets are in it.
#[derive(Clone)]
pub struct Record {
    /// The release.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its revision.
    pub revision: u64,
    /// helm's status.
    pub status: String,
    /// Name of its chart.
    pub chart: String,
    /// Version of its chart.
    pub chart_version: String,
    /// The values it was given; secrets stand in them in the clear.
    pub config: serde_json::Value,
    /// Everything it installed, hooks included, tests too; the files of `crds/` are not in it.
    pub stream: Stream,
}

/// Something that is no record of helm's.
#[derive(Debug, thiserror::Error)]
#[error("helm's record of {release} can't be read: {reason}")]
pub struct UnreadableRecord {
    /// The release, as far as known.
    pub release: String,
    /// What is wrong.
    pub reason: String,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Secret>,
}

#[derive(Deserialize)]
struct Secret {
    metadata: Named,
    data: Data,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Data {
    release: String,
}

#[derive(Deserialize)]
struct Stored {
    name: String,
    namespace: String,
    version: u64,
    info: Info,
    chart: Chart,
    #[serde(default)]
    config: serde_json::Value,
    #[serde(default)]
    manifest: String,
    #[serde(default)]
    hooks: Option<Vec<StoredHook>>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    status: String,
}

#[derive(Deserialize)]
struct Chart {
    metadata: ChartMetadata,
}

#[derive(Deserialize)]
struct ChartMetadata {
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct StoredHook {
    #[serde(default)]
    path: String,
    manifest: String,
}

impl Record {
    /// Reads the JSON of a Secret of type `helm.sh/release.v1`.
    ///
    /// # Errors
    /// [`UnreadableRecord`] when it is none.
    pub fn read(secret: &str) -> Result<Record, UnreadableRecord> {
        Record::of(serde_json::from_str(secret).map_err(|e| unknown(&e))?)
    }

    /// Reads the JSON of a list of such Secrets.
    ///
    /// # Errors
    /// [`UnreadableRecord`] for the first that is none.
    pub fn read_list(list: &str) -> Result<Vec<Record>, UnreadableRecord> {
        let list: List = serde_json::from_str(list).map_err(|e| unknown(&e))?;
        list.items.into_iter().map(Record::of).collect()
    }

    fn of(secret: Secret) -> Result<Record, UnreadableRecord> {
        let broken = |reason: String| UnreadableRecord { release: secret.metadata.name.clone(), reason };
        let json = unpacked(&secret.data.release).map_err(broken)?;
        let stored: Stored = serde_json::from_slice(&json).map_err(|e| broken(e.to_string()))?;
        let stream = stream(&stored).map_err(|e| broken(e.to_string()))?;
        Ok(Record {
            name: stored.name,
            namespace: stored.namespace,
            revision: stored.version,
            status: stored.info.status,
            chart: stored.chart.metadata.name,
            chart_version: stored.chart.metadata.version,
            config: stored.config,
            stream,
        })
    }
}

fn unknown(error: &serde_json::Error) -> UnreadableRecord {
    UnreadableRecord { release: "a release".to_owned(), reason: error.to_string() }
}

/// The hooks stand apart in a record; here they follow the manifest, each after the line that names its template, as
/// `helm template` prints them.
fn stream(stored: &Stored) -> Result<Stream, InvalidObject> {
    let mut text = stored.manifest.clone();
    for hook in stored.hooks.iter().flatten() {
        text.push_str(&format!("\n---\n# Source: {}\n{}", hook.path, hook.manifest));
    }
    Stream::parse(text)
}

/// What is in the Secret: base64 (the API's), base64 (helm's), gzip but for records of long ago, JSON.
fn unpacked(text: &str) -> Result<Vec<u8>, String> {
    let packed = STANDARD.decode(text).and_then(|inner| STANDARD.decode(inner)).map_err(|e| e.to_string())?;
    if !packed.starts_with(&[0x1f, 0x8b, 0x08]) {
        return Ok(packed);
    }
    let mut json = Vec::new();
    let read = MultiGzDecoder::new(packed.as_slice()).take(MOST_UNPACKED + 1).read_to_end(&mut json);
    read.map_err(|e| e.to_string())?;
    if json.len() as u64 > MOST_UNPACKED {
        return Err(format!("it comes to more than {} MiB", MOST_UNPACKED >> 20));
    }
    Ok(json)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const JSON: &str = r##"{"name":"web","namespace":"ns","version":3,"info":{"status":"deployed"},
        "chart":{"metadata":{"name":"tiny","version":"0.1.0"}},
        "manifest":"---\n# Source: tiny/templates/a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
        "hooks":[{"path":"tiny/templates/h.yaml","manifest":"apiVersion: batch/v1\nkind: Job\nmetadata: {name: h, annotations: {helm.sh/hook: pre-install}}"}]}"##;

    fn secret(inner: &[u8]) -> String {
        let release = STANDARD.encode(STANDARD.encode(inner));
        serde_json::json!({"metadata": {"name": "sh.helm.release.v1.web.v3"}, "data": {"release": release}}).to_string()
    }

    #[test]
    fn packed_and_plain_records_read_alike() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(JSON.as_bytes()).unwrap();
        for inner in [packer.finish().unwrap(), JSON.as_bytes().to_vec()] {
            let record = Record::read(&secret(&inner)).ok().unwrap();
            let titles: Vec<String> = record.stream.objects.iter().map(|object| object.title()).collect();
            assert_eq!((record.name.as_str(), record.revision, record.chart_version.as_str()), ("web", 3, "0.1.0"));
            assert_eq!(titles, ["ConfigMap a", "Job h"]);
            assert_eq!(record.stream.objects[1].origin.as_deref(), Some("tiny/templates/h.yaml"));
            assert!(record.stream.objects[1].hook.is_some());
        }
    }

    #[test]
    fn what_is_no_record_is_told_by_name() {
        for (inner, reason) in [(&b"{}"[..], "missing field"), (b"\x1f\x8b\x08\x00", "unexpected end of file")] {
            let error = Record::read(&secret(inner)).err().unwrap().to_string();
            assert!(error.contains("sh.helm.release.v1.web.v3") && error.contains(reason), "{error}");
        }
        assert!(Record::read("{").is_err());
    }
}
