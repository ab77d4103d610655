//! A stretch of a file, and hashing it where it lies.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::digest::{Digest, Hasher};

const STEP: u64 = 1 << 20;

/// Where bytes lie in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub offset: u64,
    pub size: u64,
}

impl Place {
    /// Hashes the bytes; `read` hears how many more were read.
    pub fn digest(&self, file: &File, read: &dyn Fn(u64)) -> io::Result<Digest> {
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; STEP.min(self.size) as usize];
        let mut done = 0;
        while done < self.size {
            let step = STEP.min(self.size - done) as usize;
            file.read_exact_at(&mut buffer[..step], self.offset + done)?;
            hasher.update(&buffer[..step]);
            done += step as u64;
            read(step as u64);
        }
        Ok(hasher.finish())
    }

    /// Whether a piece at the beginning and one at the end are all zeros, as where nothing was written yet.
    pub fn looks_empty(&self, file: &File) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        let piece = &mut buffer[..self.size.min(4096) as usize];
        for at in [self.offset, self.offset + self.size - piece.len() as u64] {
            file.read_exact_at(piece, at)?;
            if piece.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Does something for every item, on as many threads as there are cores, in order of the items. The answers come in
/// the order of the items too.
pub(super) fn parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len()).max(1);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(item) = items.get(at) else { return done };
            done.push((at, work(item)));
        }
    };
    let mut all: Vec<(usize, R)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut all = run();
        for thread in threads {
            match thread.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_hashed_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, b"xxabcxx").unwrap();
        let file = File::open(&path).unwrap();
        let place = Place { offset: 2, size: 3 };
        assert_eq!(place.digest(&file, &|_| {}).unwrap(), Digest::of("abc"));
        assert!(!place.looks_empty(&file).unwrap());
        assert!(Place { offset: 2, size: 30 }.digest(&file, &|_| {}).is_err());
        assert_eq!(Place { offset: 7, size: 0 }.digest(&file, &|_| {}).unwrap(), Digest::of(""));
    }

    #[test]
    fn answers_keep_the_order_of_the_items() {
        let items: Vec<u32> = (0..1000).collect();
        assert_eq!(parallel(&items, |n| n * 2), items.iter().map(|n| n * 2).collect::<Vec<_>>());
        assert!(parallel(&[] as &[u32], |n| *n).is_empty());
    }
}
