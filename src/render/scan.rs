//! What a chart's archive mentions: whether it may bring resource definitions, and whether it asks what the cluster
//! offers. Answers are about bytes, so they may say yes too often, never no too often. Must not render.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::definition::visit_chart;
use crate::files;

/// What whoever brings a definition must have written somewhere.
const DEFINITION: &str = "CustomResourceDefinition";
/// What whoever asks must have written somewhere.
const ASKS: &str = "APIVersions";
/// The most bytes that are looked at, archives in archives included; helm's own limit is for each of them alone.
const MAX_UNPACKED: u64 = 1024 * 1024 * 1024;
/// How deep archives in archives are opened.
const MAX_DEPTH: usize = 4;
/// The version of these answers on the disk.
const VERSION: u32 = 1;

/// What a chart's archive mentions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scan {
    version: u32,
    /// It may bring resource definitions.
    pub brings: bool,
    /// It may ask what the cluster offers.
    pub asks: bool,
    /// What it asks for by name: `policy/v1/PodDisruptionBudget`.
    pub asked: BTreeSet<String>,
}

impl Scan {
    /// Looks at an archive, or remembers the answer: files in the store are named by their digest, and so are the
    /// answers in the folder.
    pub fn of(archive: &Path, remembered: &Path) -> Scan {
        let answer = remembered.join(archive.file_name().unwrap_or_default()).with_extension("json");
        let known = std::fs::read(&answer).ok().and_then(|bytes| serde_json::from_slice::<Scan>(&bytes).ok());
        if let Some(known) = known.filter(|known| known.version == VERSION) {
            return known;
        }
        let mut scan = Scan { version: VERSION, ..Scan::default() };
        let unpacked =
            File::open(archive).and_then(|file| scan.archive(BufReader::new(file), 0, &mut MAX_UNPACKED.clone()));
        if unpacked.is_err() {
            // helm will say what is wrong with it; until then it may be anything.
            return Scan { brings: true, asks: true, ..Scan::default() };
        }
        // An answer that can't be remembered is found again.
        let _ = files::write_unsynced(&answer, &serde_json::to_vec(&scan).unwrap_or_default());
        scan
    }

    /// Looks at a text as at a file of the archive.
    pub fn text(&mut self, text: &str) {
        self.brings |= text.contains(DEFINITION);
        for (at, _) in text.match_indices(ASKS) {
            self.asks = true;
            self.asked.extend(literal(&text[at + ASKS.len()..]));
        }
    }

    /// `left` bytes may be looked at in all.
    fn archive(&mut self, packed: impl Read, depth: usize, left: &mut u64) -> io::Result<()> {
        visit_chart(packed, &mut |_, file| {
            let mut bytes = Vec::new();
            file.take(*left + 1).read_to_end(&mut bytes)?;
            let rest = left.checked_sub(bytes.len() as u64);
            *left = rest.ok_or_else(|| io::Error::other("archives in archives unpack to too much"))?;
            if !bytes.starts_with(b"\x1f\x8b") {
                self.text(&String::from_utf8_lossy(&bytes));
                Ok(())
            } else if depth == MAX_DEPTH {
                Err(io::Error::other("archives in archives"))
            } else {
                // A dependency, boxed: the type would be endless.
                let inner: Box<dyn Read> = Box::new(bytes.as_slice());
                self.archive(inner, depth + 1, left)
            }
        })
    }
}

/// What stands in quotes after `.Has`.
fn literal(rest: &str) -> Option<String> {
    let rest = rest.strip_prefix(".Has")?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '`'))?;
    let (name, _) = rest[1..].split_once(quote)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-');
    (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::LARGEST_CHART;

    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut builder = tar::Builder::new(gz);
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, path, *bytes).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    fn scanned(archive: &[u8]) -> (Scan, Vec<std::path::PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let (path, remembered) = (folder.path().join("sha256-x"), folder.path().join("scans"));
        std::fs::write(&path, archive).unwrap();
        std::fs::create_dir(&remembered).unwrap();
        let scan = Scan::of(&path, &remembered);
        std::fs::write(&path, "gone").unwrap();
        let again = Scan::of(&path, &remembered);
        let kept: Vec<_> = std::fs::read_dir(&remembered).unwrap().map(|e| e.unwrap().file_name().into()).collect();
        assert!(again == scan || kept.is_empty());
        (scan, kept)
    }

    #[test]
    fn what_charts_mention() {
        let asking =
            b"{{ if .Capabilities.APIVersions.Has \"policy/v1\" }}{{ $.Capabilities.APIVersions.Has `a.b/v1/C` }}";
        let (scan, kept) = scanned(&packed(&[("x/Chart.yaml", b"name: x"), ("x/templates/a.yaml", asking)]));
        assert!(scan.asks && !scan.brings);
        assert_eq!(scan.asked.iter().collect::<Vec<_>>(), ["a.b/v1/C", "policy/v1"]);
        assert_eq!(kept, [Path::new("sha256-x.json")]);

        let inner = packed(&[("y/crds/c.yaml", b"kind: CustomResourceDefinition")]);
        let (scan, _) = scanned(&packed(&[("x/Chart.yaml", b"name: x"), ("x/charts/y-1.tgz", &inner)]));
        assert!(scan.brings && !scan.asks);
        let (scan, _) = scanned(&packed(&[("x/Chart.yaml", b"name: x")]));
        assert!(!scan.brings && !scan.asks);
    }

    #[test]
    fn what_can_not_be_read_may_be_anything_and_is_not_remembered() {
        let large = vec![b' '; LARGEST_CHART as usize];
        for archive in [b"no archive".to_vec(), packed(&[("x/large", &large)]), packed(&[("x/y", b"\x1f\x8bno")])] {
            let (scan, kept) = scanned(&archive);
            assert!(scan.brings && scan.asks && kept.is_empty());
        }
    }

    #[test]
    fn names_in_quotes() {
        for (rest, expected) in [
            (".Has \"policy/v1\" }}", Some("policy/v1")),
            (".Has  `v1/Pod`", Some("v1/Pod")),
            (".Has $name", None),
            (".Has (printf \"%s/v1\" .group)", None),
            (".Has \"a b\"", None),
            (".Has \"policy", None),
            (" }}", None),
        ] {
            assert_eq!(literal(rest).as_deref(), expected, "{rest}");
        }
    }
}
