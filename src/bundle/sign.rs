//! Signs an index with a minisign key, so that the stock tool can check it. The same key and index give the same bytes.
//! Must not ask for a password.

use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blake2::digest::consts::U32;
use blake2::{Blake2b, Blake2b512, Digest as _};
use zeroize::Zeroizing;

use super::trust::{KEY_ID, key_id};
use crate::digest::Digest;
use crate::files::{self, FileError};

/// A key's file: algorithms of signature, password and checksum, the salt and costs of the password, then what the
/// password hides: key id, secret and public key, checksum.
const FILE: usize = 6 + SALT + 16 + HIDDEN;
const SALT: usize = 32;
const HIDDEN: usize = KEY_ID + 64 + 32;
/// minisign's own costs take this much memory; nothing asks for more.
const MOST_MEMORY: u64 = 1 << 30;
const MOST_WORK: u64 = 1 << 25;

/// A minisign secret key as it lies in its file.
pub struct KeyFile {
    path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
}

/// A key that can sign.
pub struct SigningKey {
    id: [u8; KEY_ID],
    pair: Ed25519KeyPair,
}

/// Why nothing can be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key's file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is no secret key.
    #[error("{} is no minisign secret key: {problem}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: &'static str,
    },
    /// The password is not the key's.
    #[error("{}: wrong password for that key", path.display())]
    Password {
        /// The file.
        path: PathBuf,
    },
}

impl KeyFile {
    /// Reads a key's file, as `minisign -G` writes it.
    ///
    /// # Errors
    /// [`SignError`] when it is none.
    pub fn read(path: &Path) -> Result<KeyFile, SignError> {
        let text = Zeroizing::new(files::read(path)?);
        let no_key = |problem| SignError::NoKey { path: path.to_owned(), problem };
        let text = std::str::from_utf8(&text).map_err(|_| no_key("it is no text"))?;
        let encoded = text.lines().nth(1).ok_or_else(|| no_key("it has no second line"))?;
        let bytes = BASE64.decode(encoded.trim()).map_err(|_| no_key("its second line is no base64"))?;
        let bytes = Zeroizing::new(bytes);
        match bytes.get(..6) {
            _ if bytes.len() != FILE => Err(no_key("it has another length; a public key can't sign")),
            Some(b"EdScB2" | b"Ed\0\0B2") => Ok(KeyFile { path: path.to_owned(), bytes }),
            _ => Err(no_key("it is of an unknown kind")),
        }
    }

    /// Whether it takes a password to use it.
    pub fn is_encrypted(&self) -> bool {
        &self.bytes[2..4] == b"Sc"
    }

    /// The key; a password is looked at only if the file is encrypted.
    ///
    /// # Errors
    /// [`SignError`] for the wrong password.
    pub fn open(&self, password: &str) -> Result<SigningKey, SignError> {
        let (parameters, hidden) = self.bytes.split_at(FILE - HIDDEN);
        let mut hidden = Zeroizing::new(hidden.to_vec());
        if self.is_encrypted() {
            let mut stream = Zeroizing::new([0; HIDDEN]);
            self.stretch(&parameters[6..], password, &mut *stream)?;
            hidden.iter_mut().zip(stream.iter()).for_each(|(byte, mask)| *byte ^= mask);
        }
        let (key, checksum) = hidden.split_at(HIDDEN - 32);
        let expected = Blake2b::<U32>::new().chain_update(b"Ed").chain_update(key).finalize();
        // What is not encrypted, minisign leaves without a checksum.
        if self.is_encrypted() && expected.as_slice() != checksum {
            return Err(SignError::Password { path: self.path.clone() });
        }
        let (id, secret) = key.split_at(KEY_ID);
        let pair = Ed25519KeyPair::from_seed_and_public_key(&secret[..32], &secret[32..]);
        let pair = pair.map_err(|_| self.no_key("its public part is not that of its secret part"))?;
        let mut own = [0; KEY_ID];
        own.copy_from_slice(id);
        Ok(SigningKey { id: own, pair })
    }

    /// What hides the key, from the password: scrypt with costs as libsodium chooses them.
    fn stretch(&self, parameters: &[u8], password: &str, stream: &mut [u8]) -> Result<(), SignError> {
        let number = |at: usize| parameters[at..at + 8].iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        let (work, memory) = (number(SALT).max(32768), number(SALT + 8));
        if work > MOST_WORK || memory > MOST_MEMORY {
            return Err(self.no_key("its password costs more than minisign ever asks for"));
        }
        let by_work = work < memory / 32;
        let most = if by_work { work / 32 } else { memory / 1024 };
        let log_n = (1..63).find(|n| 1u64 << n > most / 2).unwrap_or(63);
        let p = if by_work { 1 } else { (work / 4 / (1 << log_n)).min(0x3fff_ffff) / 8 };
        let costs = scrypt::Params::new(log_n as u8, 8, p as u32);
        let derived =
            costs.ok().and_then(|costs| scrypt::scrypt(password.as_bytes(), &parameters[..SALT], &costs, stream).ok());
        derived.ok_or_else(|| self.no_key("its password costs make no sense"))
    }

    fn no_key(&self, problem: &'static str) -> SignError {
        SignError::NoKey { path: self.path.clone(), problem }
    }
}

impl SigningKey {
    /// The key's id as minisign shows it.
    pub fn id(&self) -> String {
        key_id(&self.id)
    }

    /// The public key's file, as minisign writes it.
    pub fn public(&self) -> String {
        let bytes = [b"Ed".as_slice(), &self.id, self.pair.public_key().as_ref()].concat();
        format!("untrusted comment: minisign public key {}\n{}\n", self.id(), BASE64.encode(bytes))
    }

    /// The signature's file over the index of an environment's bundle. Nothing in it differs from run to run: no time,
    /// no randomness.
    pub fn sign(&self, index: &[u8], environment: &str) -> Vec<u8> {
        let signature = self.pair.sign(&Blake2b512::digest(index));
        // It ends with the line; a name of an environment has no line ends, but what it has is not for this file to say.
        let environment = environment.escape_default();
        let comment = format!("platctl bundle, environment {environment}, index {}", Digest::of(index));
        let all = self.pair.sign(&[signature.as_ref(), comment.as_bytes()].concat());
        let own = [b"ED".as_slice(), &self.id, signature.as_ref()].concat();
        let (own, all) = (BASE64.encode(own), BASE64.encode(all));
        format!(
            "untrusted comment: signature of index.json of a platctl bundle\n{own}\ntrusted comment: {comment}\n{all}\n"
        )
        .into_bytes()
    }
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.id())
    }
}

/// A key made of a seed, in minisign's file, behind a password or not. For tests: people make keys with `minisign -G`.
#[cfg(test)]
pub(crate) fn key_file(seed: [u8; 32], password: Option<&str>) -> String {
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let id = *b"\x01\x02\x03\x04\x05\x06\x07\x08";
    let key = [id.as_slice(), &seed, pair.public_key().as_ref()].concat();
    let checksum = Blake2b::<U32>::new().chain_update(b"Ed").chain_update(&key).finalize();
    let mut hidden = [key.as_slice(), checksum.as_slice()].concat();
    if password.is_none() {
        hidden[HIDDEN - 32..].fill(0);
    }
    let (kind, costs) = if password.is_some() { (b"EdScB2", [32768u64, 1 << 22]) } else { (b"Ed\0\0B2", [0, 0]) };
    let head = [kind.as_slice(), &[7; SALT], &costs[0].to_le_bytes(), &costs[1].to_le_bytes()].concat();
    if let Some(password) = password {
        let blank = KeyFile { path: PathBuf::new(), bytes: Zeroizing::new(head.clone()) };
        let mut stream = [0; HIDDEN];
        blank.stretch(&head[6..], password, &mut stream).unwrap();
        hidden.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
    }
    format!("untrusted comment: a key\n{}\n", BASE64.encode([head, hidden].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<KeyFile, SignError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.sec");
        std::fs::write(&path, text).unwrap();
        KeyFile::read(&path)
    }

    #[test]
    fn the_same_key_signs_the_same_way_every_time() {
        let plain = read(&key_file([3; 32], None)).unwrap();
        let locked = read(&key_file([3; 32], Some("a pass word"))).unwrap();
        assert!(!plain.is_encrypted() && locked.is_encrypted());
        let (one, other) = (plain.open("").unwrap(), locked.open("a pass word").unwrap());
        assert_eq!(one.public(), other.public());
        assert_eq!(one.sign(b"{}", "prod"), other.sign(b"{}", "prod"));
        assert_eq!(one.id(), "0807060504030201");
        let text = String::from_utf8(one.sign(b"{}", "a\nb")).unwrap();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(matches!(locked.open("A pass word"), Err(SignError::Password { .. })));
    }

    #[test]
    fn what_is_no_secret_key_is_said() {
        let good = key_file([3; 32], None);
        let key = read(&good).unwrap().open("").unwrap();
        for (text, problem) in [
            ("", "no second line"),
            ("untrusted comment: x\n%%%\n", "no base64"),
            (&key.public(), "a public key can't sign"),
            (&good.replace("RWQAAEIy", "RWRBckIy"), "unknown kind"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let encoded = good.lines().nth(1).unwrap();
        let mut bytes = BASE64.decode(encoded).unwrap();
        bytes[80] ^= 1;
        let damaged = read(&format!("untrusted comment: x\n{}\n", BASE64.encode(&bytes))).unwrap();
        assert!(damaged.open("").unwrap_err().to_string().contains("public part"));
        bytes[2..4].copy_from_slice(b"Sc");
        bytes[38..54].fill(0xff);
        let dear = read(&format!("untrusted comment: x\n{}\n", BASE64.encode(&bytes))).unwrap();
        assert!(dear.open("x").unwrap_err().to_string().contains("costs more"));
    }
}
