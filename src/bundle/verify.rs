//! Hashes everything in a bundle.

use super::place::parallel;
use super::{Bundle, Damage, Error, Event};
use crate::files::FileError;

/// What a check of all blobs found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Entries hashed.
    pub entries: usize,
    /// Bytes hashed.
    pub bytes: u64,
    /// Those that are not what the index promises, in the order of the file.
    pub damaged: Vec<Damage>,
}

impl Bundle {
    /// Hashes every blob, with as many threads as there are cores.
    ///
    /// # Errors
    /// Only what keeps it from reading; damage is in the answer.
    pub fn verify(&self, events: &(dyn Fn(Event) + Send + Sync)) -> Result<Verified, Error> {
        let found = &self.blobs.found;
        let all = found.blobs.keys().chain(&found.link).filter_map(|digest| Some((*digest, found.place(digest)?)));
        let mut all: Vec<_> = all.collect();
        all.sort_by_key(|(_, place)| std::cmp::Reverse(place.size));
        let hashed = parallel(&all, |(digest, place)| {
            let of = self.needed_by(digest).into_iter().next().unwrap_or_default();
            place.digest(&self.blobs.file, &|bytes| events(Event::Bytes { bytes, of: of.clone() }))
        });
        let mut verified = Verified { entries: all.len(), ..Verified::default() };
        let mut damaged = Vec::new();
        for ((expected, place), actual) in all.into_iter().zip(hashed) {
            let actual = actual.map_err(FileError::at("read", self.path()))?;
            verified.bytes += place.size;
            if actual != expected {
                let (entry, needed_by) = (found.entry(&expected), self.needed_by(&expected));
                damaged.push((place.offset, Damage { entry, expected, actual, needed_by }));
            }
        }
        damaged.sort_by_key(|(offset, _)| *offset);
        verified.damaged = damaged.into_iter().map(|(_, damage)| damage).collect();
        Ok(verified)
    }
}
