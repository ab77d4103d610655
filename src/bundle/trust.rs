//! Whose bundles are taken: public keys of minisign from outside the bundle, and the check of an index's signature by
//! them. Must not take anything from a bundle for a reason to trust it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use minisign_verify::{Error as Refused, PublicKey, Signature};

use crate::files::FileError;

/// Bytes of a key's id.
pub(super) const KEY_ID: usize = 8;
/// No key's file is longer.
const LARGEST: u64 = 64 << 10;

/// The keys whose bundles are taken. With none, every bundle is.
#[derive(Debug, Clone, Default)]
pub struct Trust(Vec<TrustedKey>);

#[derive(Debug, Clone)]
struct TrustedKey {
    /// The file it was read from.
    file: PathBuf,
    id: String,
    key: PublicKey,
}

/// What is known of a bundle's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// Nothing: no key is trusted.
    Unchecked {
        /// Whether there is a signature.
        present: bool,
    },
    /// It is by a key that is trusted.
    By {
        /// The key's id.
        id: String,
        /// The key's file.
        file: PathBuf,
        /// What the signer vouches for, in the signature's trusted comment.
        comment: String,
    },
}

/// Why a bundle is not taken, or nobody knows whose are.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A key's file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that is no public key.
    #[error("{} is no minisign public key: {problem}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// There is no signature.
    #[error("{} is not signed, and {} trusted", path.display(), trusted(keys))]
    Unsigned {
        /// The bundle.
        path: PathBuf,
        /// The keys, each with its file.
        keys: Vec<String>,
    },
    /// The signature can't be read, or is of a kind that is not taken.
    #[error("{}: its signature is none: {problem}", path.display())]
    NoSignature {
        /// The bundle.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// None of the keys made it.
    #[error("{} is signed by key {id}, and {} trusted", path.display(), trusted(keys))]
    Unknown {
        /// The bundle.
        path: PathBuf,
        /// The id of the key that the signature names.
        id: String,
        /// The keys, each with its file.
        keys: Vec<String>,
    },
    /// The key is right, the bytes are not what it signed.
    #[error("{}: index.json is not what key {id} signed", path.display())]
    Altered {
        /// The bundle.
        path: PathBuf,
        /// The id of the key.
        id: String,
    },
}

impl Trust {
    /// Reads the keys in `files`, which have to be there, and all `*.pub` in `folders`, which need not.
    ///
    /// # Errors
    /// [`TrustError`] for the first that is none: a key that can't be read must not mean that less is checked.
    pub fn read(files: &[PathBuf], folders: &[PathBuf]) -> Result<Trust, TrustError> {
        let mut all = files.to_vec();
        for folder in folders {
            all.extend(keys_in(folder)?);
        }
        all.iter().map(|file| TrustedKey::read(file)).collect::<Result<_, _>>().map(Trust)
    }

    /// Checks the signature of a bundle's index, before anybody reads that index.
    pub(super) fn check(&self, path: &Path, index: &[u8], signature: Option<&[u8]>) -> Result<Signed, TrustError> {
        if self.0.is_empty() {
            return Ok(Signed::Unchecked { present: signature.is_some() });
        }
        let own = || path.to_owned();
        let signature = signature.ok_or_else(|| TrustError::Unsigned { path: own(), keys: self.names() })?;
        let no_signature = |problem: &str| TrustError::NoSignature { path: own(), problem: problem.to_owned() };
        let text = std::str::from_utf8(signature).map_err(|_| no_signature("it is no text"))?;
        let decoded = Signature::decode(text).map_err(|_| no_signature("it can't be read"))?;
        let id = signer(text).ok_or_else(|| no_signature("it can't be read"))?;
        for trusted in self.0.iter().filter(|trusted| trusted.id == id) {
            match trusted.key.verify(index, &decoded, false) {
                Ok(()) => {
                    let comment = decoded.trusted_comment().escape_default().to_string();
                    return Ok(Signed::By { id, file: trusted.file.clone(), comment });
                }
                Err(Refused::UnexpectedAlgorithm) => return Err(no_signature("it is of minisign's old kind")),
                // Two keys may have one id.
                Err(_) => {}
            }
        }
        match self.0.iter().any(|trusted| trusted.id == id) {
            true => Err(TrustError::Altered { path: own(), id }),
            false => Err(TrustError::Unknown { path: own(), id, keys: self.names() }),
        }
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|key| format!("{} ({})", key.id, key.file.display())).collect()
    }
}

impl TrustedKey {
    fn read(file: &Path) -> Result<TrustedKey, TrustError> {
        let no_key = |problem: &str| TrustError::NoKey { path: file.to_owned(), problem: problem.to_owned() };
        let mut text = String::new();
        let opened = File::open(file).map_err(FileError::at("read", file))?;
        match opened.take(LARGEST).read_to_string(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Err(no_key("it is no text")),
            Err(error) => return Err(FileError::at("read", file)(error).into()),
        }
        let key =
            PublicKey::decode(&text).map_err(|_| no_key("two lines as `minisign -G` writes them are expected"))?;
        let id = signer(&text).ok_or_else(|| no_key("it has no id"))?;
        Ok(TrustedKey { file: file.to_owned(), id, key })
    }
}

/// The files of keys in a folder, sorted; none if there is no such folder.
fn keys_in(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let listed = match std::fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::at("list", folder)(error)),
    };
    let mut found = Vec::new();
    for entry in listed {
        let path = entry.map_err(FileError::at("list", folder))?.path();
        if path.extension().is_some_and(|extension| extension == "pub") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The key id that stands in the second line of a key or a signature.
fn signer(text: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.lines().nth(1)?).ok()?;
    Some(key_id(bytes.get(2..2 + KEY_ID)?))
}

/// A key's id as minisign shows it.
pub(super) fn key_id(bytes: &[u8]) -> String {
    bytes.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

fn trusted(keys: &[String]) -> String {
    match keys {
        [one] => format!("only key {one} is"),
        all => format!("only keys {} are", all.join(", ")),
    }
}
