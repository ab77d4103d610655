//! Owns layers: gzip'd tars of noise, made once into a file of the cache and streamed from there ever after.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::Result;
use super::hash::{Hashing, Noise, hex_digest, number};
use super::once::Once;

/// To be raised when the bytes of layers change, so that a kept cache is not mistaken for the new ones.
const FORMAT: &str = "layers-1";

/// A layer that lies in the cache.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Layer {
    pub digest: String,
    pub size: u64,
    /// The digest of the tar before compression, as the image config wants it.
    pub diff_id: String,
    #[serde(skip)]
    pub path: PathBuf,
    /// The seed of one that is bare noise and lies nowhere.
    #[serde(default)]
    pub noise: Option<u64>,
}

pub struct Layers {
    folder: PathBuf,
    known: Once<Layer>,
}

impl Layers {
    pub fn new(cache: &Path) -> Result<Layers> {
        let folder = cache.join(FORMAT);
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        Ok(Layers { folder, known: Once::default() })
    }

    /// The layer of this seed, with this many bytes of content (tar and gzip add some 3 KiB).
    pub fn get(&self, seed: &[&str], size: u64) -> Result<Layer> {
        let words = [seed.join("\n"), size.to_string()];
        let key = hex_digest(words.join("\n").as_bytes());
        self.known.get(&key, || {
            let path = self.folder.join(format!("{key}.tar.gz"));
            let facts = self.folder.join(format!("{key}.json"));
            match kept(&path, &facts) {
                Some(layer) => Ok(layer),
                None => self.make(path, &facts, seed, size),
            }
        })
    }

    /// A layer of so many bytes of noise, of which only the digest is kept.
    pub fn noise(&self, seed: &[&str], size: u64) -> Result<Layer> {
        let words = [seed.join("\n"), size.to_string(), "noise".to_owned()];
        let key = hex_digest(words.join("\n").as_bytes());
        self.known.get(&key, || {
            let facts = self.folder.join(format!("{key}.json"));
            if let Some(layer) = fs::read(&facts).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
                return Ok(layer);
            }
            let noise = number(seed);
            let mut hashing = Hashing::new(io::sink());
            io::copy(&mut io::BufReader::with_capacity(1 << 20, Noise::new(noise, size)), &mut hashing)?;
            let (_, digest, size) = hashing.finish();
            let layer = Layer { diff_id: digest.clone(), digest, size, path: PathBuf::new(), noise: Some(noise) };
            put(&self.folder, &facts, &serde_json::to_vec(&layer)?)?;
            Ok(layer)
        })
    }

    fn make(&self, path: PathBuf, facts: &Path, seed: &[&str], size: u64) -> Result<Layer> {
        let file = NamedTempFile::new_in(&self.folder)?;
        let (file, layer) = write_layer(file, seed, size)?;
        file.persist(&path)?;
        // The facts come last: where they are, the layer is whole.
        put(&self.folder, facts, &serde_json::to_vec(&layer)?)?;
        Ok(Layer { path, ..layer })
    }
}

fn kept(path: &Path, facts: &Path) -> Option<Layer> {
    let layer: Layer = serde_json::from_slice(&fs::read(facts).ok()?).ok()?;
    let whole = fs::metadata(path).ok()?.len() == layer.size;
    whole.then(|| Layer { path: path.to_owned(), ..layer })
}

fn write_layer(file: NamedTempFile, seed: &[&str], size: u64) -> Result<(NamedTempFile, Layer)> {
    // Noise does not get smaller: it is stored, which is fast.
    let zipped = GzEncoder::new(Hashing::new(BufWriter::new(file)), Compression::none());
    let mut tar = tar::Builder::new(Hashing::new(zipped));
    let name = seed.last().copied().unwrap_or("layer");
    let content = Noise::new(number(seed), size);
    add(&mut tar, &format!("opt/{}.bin", name.replace('/', "-")), 0o644, size, content)?;
    let (zipped, diff_id, _) = tar.into_inner()?.finish();
    let (file, digest, size) = zipped.finish()?.finish();
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok((file, Layer { digest, size, diff_id, path: PathBuf::new(), noise: None }))
}

/// Adds a file to a tar with nothing in it that depends on when and by whom.
pub fn add(tar: &mut tar::Builder<impl Write>, path: &str, mode: u32, size: u64, content: impl io::Read) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    tar.append_data(&mut header, path, content).map_err(|e| format!("{path}: {e}").into())
}

/// Writes a file so that nobody ever sees half of it.
fn put(folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}
