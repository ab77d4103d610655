//! Owns what is plain files on the internet: the tools at their release addresses, made from the executables of the
//! test rig, and the extra files of the settings.

use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::NamedTempFile;

use super::Result;
use super::config::Settings;
use super::hash::hex_digest;
use super::layers::add;
use super::once::Once;
use super::reply::{Asked, Reply};

const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];
const KIND: &str = "application/octet-stream";

pub struct Tools {
    /// The folder of the executables.
    bin: Option<PathBuf>,
    packed: Once<PathBuf>,
    cache: PathBuf,
}

impl Tools {
    pub fn new(bin: Option<PathBuf>, cache: &Path) -> Result<Tools> {
        let cache = cache.join("tools");
        fs::create_dir_all(&cache).map_err(|e| format!("{}: {e}", cache.display()))?;
        Ok(Tools { bin, packed: Once::default(), cache })
    }

    /// The tool at this address, if its version is the one there is and its executable is at hand.
    pub fn answer(&self, settings: &Settings, asked: &Asked) -> Result<Option<Reply>> {
        let Some(bin) = &self.bin else { return Ok(None) };
        let all = settings.tools.iter().flat_map(|one| ARCHITECTURES.map(|arch| (one, arch)));
        for ((tool, version), arch) in all {
            if address(tool, version, arch).as_deref() != Some(&asked.path) {
                continue;
            }
            let source = bin.join(tool);
            if !source.is_file() {
                return Ok(None);
            }
            let path = if tool == "helm" { self.packed(&source, arch)? } else { source };
            let reply = Reply::file(KIND, &path)?;
            return Ok(reply.map(|reply| reply.tagged(&stamp(&path)).in_ranges()));
        }
        Ok(None)
    }

    /// The archive of a helm executable. It is kept by what tells one executable from another.
    fn packed(&self, source: &Path, arch: &str) -> Result<PathBuf> {
        let key = format!("{}-{arch}", stamp(source));
        self.packed.get(&key, || {
            let path = self.cache.join(format!("{key}.tar.gz"));
            if !path.exists() {
                pack(source, arch, NamedTempFile::new_in(&self.cache)?)?.persist(&path)?;
            }
            Ok(path)
        })
    }
}

/// Where a tool is on this server. Every architecture is served the executable of this machine's.
fn address(tool: &str, version: &str, arch: &str) -> Option<String> {
    match tool {
        "helm" => Some(format!("/get.helm.sh/helm-v{version}-linux-{arch}.tar.gz")),
        "kubectl" => Some(format!("/dl.k8s.io/release/v{version}/bin/linux/{arch}/kubectl")),
        "sops" => Some(format!("/github.com/getsops/sops/releases/download/v{version}/sops-v{version}.linux.{arch}")),
        _ => None,
    }
}

/// This machine's architecture in the words of Go.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn stamp(path: &Path) -> String {
    let facts = fs::metadata(path).ok();
    let changed = facts.as_ref().and_then(|facts| facts.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    let size = facts.map(|facts| facts.len());
    hex_digest(format!("{}\n{changed:?}\n{size:?}", path.display()).as_bytes())
}

fn pack(source: &Path, arch: &str, target: NamedTempFile) -> Result<NamedTempFile> {
    let folder = format!("linux-{arch}");
    let binary = File::open(source)?;
    let licence = "Apache License 2.0\n".as_bytes();
    let mut tar = tar::Builder::new(GzEncoder::new(target, Compression::fast()));
    add(&mut tar, &format!("{folder}/LICENSE"), 0o644, licence.len() as u64, licence)?;
    add(&mut tar, &format!("{folder}/helm"), 0o755, binary.metadata()?.len(), binary)?;
    Ok(tar.into_inner()?.finish()?)
}

/// A file that lies in the folder of extra files under `HOST/PATH`.
pub fn extra(settings: &Settings, asked: &Asked) -> Result<Option<Reply>> {
    let inside = Path::new(asked.path.trim_start_matches('/'));
    let plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || settings.files.as_os_str().is_empty() || asked.path.contains('\0') {
        return Ok(None);
    }
    let path = settings.files.join(inside);
    match Reply::file(KIND, &path) {
        Ok(reply) => Ok(reply.map(|reply| reply.tagged(&stamp(&path)).in_ranges())),
        // A file where the path wants a folder is no failure of ours.
        Err(_) if !path.exists() => Ok(None),
        Err(error) => Err(error),
    }
}
