//! `index.json`: written, and read back with a check of itself. The check is against accidents; against forgery there
//! is the signature, which is over these bytes.

use super::Error;
use crate::digest::Digest;
use crate::layout::{Descriptor, Index, media};

/// Bytes of the tar that follow the index, so that a file that is cut short is known at once, and by how much.
const REST: &str = "dev.platctl.bundle.rest";
/// Digest of the index with zeros in place of this digest.
const CHECK: &str = "dev.platctl.bundle.check";
const BLANK: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
/// No index is longer.
pub(super) const LARGEST: u64 = 16 << 20;

/// The bytes of an index.
pub(super) fn write(manifests: Vec<Descriptor>, rest: u64) -> Result<Vec<u8>, Error> {
    let annotations = [(REST.to_owned(), rest.to_string()), (CHECK.to_owned(), BLANK.to_owned())].into();
    let index = Index { schema_version: 2, media_type: Some(media::INDEX.to_owned()), manifests, annotations };
    let wrong = |problem: String| Error::Index { problem };
    let mut bytes = serde_json::to_vec(&index).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(wrong(format!("it would be longer than {LARGEST} bytes")));
    }
    let check = Digest::of(&bytes).to_string();
    let at = place_of(&bytes, BLANK).ok_or_else(|| wrong("it has no room for its own digest".to_owned()))?;
    bytes[at..at + check.len()].copy_from_slice(check.as_bytes());
    Ok(bytes)
}

/// Reads an index: what it lists, and how many bytes of the tar follow it.
pub(super) fn read(bytes: &[u8]) -> Result<(Vec<Descriptor>, u64), Error> {
    let wrong = |problem: &str| Error::Index { problem: problem.to_owned() };
    let index: Index = serde_json::from_slice(bytes).map_err(|error| wrong(&error.to_string()))?;
    let check = index.annotations.get(CHECK).filter(|check| check.len() == BLANK.len());
    let check = check.ok_or_else(|| wrong("its own digest is missing"))?;
    let mut blank = bytes.to_vec();
    let at = place_of(bytes, check).ok_or_else(|| wrong("its own digest is missing"))?;
    blank[at..at + check.len()].copy_from_slice(BLANK.as_bytes());
    let actual = Digest::of(&blank);
    if *check != actual.to_string() {
        return Err(wrong(&format!("expected {check}, got {actual}")));
    }
    let rest = index.annotations.get(REST).and_then(|rest| rest.parse().ok());
    Ok((index.manifests, rest.ok_or_else(|| wrong("it does not say how much follows"))?))
}

/// The annotations come last in an index.
fn place_of(bytes: &[u8], text: &str) -> Option<usize> {
    bytes.windows(text.len()).rposition(|window| window == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_altered_byte_is_noticed() {
        let descriptor = Descriptor::of(media::MANIFEST, b"x").annotated("a", "b");
        let bytes = write(vec![descriptor.clone()], 1234).unwrap();
        assert_eq!(read(&bytes).unwrap(), (vec![descriptor], 1234));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(read(&bad).is_err(), "{at}");
        }
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn deep_json_is_refused() {
        assert!(read("[".repeat(1 << 20).as_bytes()).is_err());
    }
}
