//! A stretch of a file, and hashing it where it lies.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::digest::{Digest, Hasher};

const STEP: u64 = 1 << 20;
/// So many zeros in a row are a stretch that was not written yet.
const PIECE: usize = 64 << 10;

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

    /// Hashes what was written from the beginning on. A file is zeros where nothing was written: a piece of zeros ends
    /// what counts as written, and so do zeros up to its end, for they may be either.
    pub fn written(&self, file: &File) -> io::Result<Written> {
        let mut all = Beginning::default();
        let mut sure = None;
        let mut buffer = vec![0; STEP.min(self.size) as usize];
        while all.bytes < self.size {
            let step = STEP.min(self.size - all.bytes) as usize;
            file.read_exact_at(&mut buffer[..step], self.offset + all.bytes)?;
            for piece in buffer[..step].chunks(PIECE) {
                let Some(last) = piece.iter().rposition(|byte| *byte != 0) else {
                    return Ok(Written::Part(sure.unwrap_or(all)));
                };
                sure = (last + 1 < piece.len()).then(|| all.clone().and(&piece[..=last]));
                all = all.and(piece);
            }
        }
        let digest = all.hasher.clone().finish();
        Ok(Written::Whole { digest, sure: sure.unwrap_or_default() })
    }
}

/// The first bytes of a place, hashed.
#[derive(Clone, Default)]
pub(super) struct Beginning {
    pub bytes: u64,
    pub hasher: Hasher,
}

/// How far a place was written.
pub(super) enum Written {
    /// Up to somewhere.
    Part(Beginning),
    /// To the end as it seems. If that is not what it should be, zeros at its end may not have been written yet.
    Whole { digest: Digest, sure: Beginning },
}

impl Beginning {
    fn and(mut self, bytes: &[u8]) -> Beginning {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self
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
        assert!(Place { offset: 2, size: 30 }.digest(&file, &|_| {}).is_err());
        assert_eq!(Place { offset: 7, size: 0 }.digest(&file, &|_| {}).unwrap(), Digest::of(""));
    }

    /// What counts as written of these bytes: how many, hashed right, or none when they are whole.
    fn kept(bytes: &[u8], whole: &[u8]) -> Option<u64> {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &[b"xxx", bytes].concat()).unwrap();
        let kept = match (Place { offset: 3, size: bytes.len() as u64 }).written(&file).unwrap() {
            Written::Whole { digest, .. } if digest == Digest::of(whole) => return None,
            Written::Whole { sure, .. } | Written::Part(sure) => sure,
        };
        assert_eq!(kept.hasher.finish(), Digest::of(&bytes[..kept.bytes as usize]));
        Some(kept.bytes)
    }

    #[test]
    fn what_was_written_is_known_by_the_zeros_after_it() {
        let whole: Vec<u8> = (0..300_000_u32).map(|n| (n % 251 + 1) as u8).collect();
        let cut = |at: usize| [&whole[..at], &vec![0; whole.len() - at]].concat();
        assert_eq!(kept(&whole, &whole), None);
        for at in [0, 1, 65_535, 65_536, 65_537, 200_000, 299_999] {
            assert_eq!(kept(&cut(at), &whole), Some(at as u64));
        }
        let ends_in_zeros = [&whole[..250_000], &[0; 100_000]].concat();
        assert_eq!(kept(&ends_in_zeros, &ends_in_zeros), Some(250_000), "such zeros are fetched again");
        let a_zero_at_the_end = [&whole[..], &[0]].concat();
        assert_eq!(kept(&a_zero_at_the_end, &a_zero_at_the_end), None);
        let mut hole = whole.clone();
        hole[65_536..131_072].fill(0);
        assert_eq!(kept(&hole, &whole), Some(65_536), "a page that a crash lost ends what counts");
        assert_eq!(kept(&cut(250_000)[..260_000], b""), Some(250_000));
        assert_eq!(kept(&whole, b"other"), Some(0), "full of something else");
        assert_eq!(kept(b"", b""), None);
    }

    #[test]
    fn answers_keep_the_order_of_the_items() {
        let items: Vec<u32> = (0..1000).collect();
        assert_eq!(parallel(&items, |n| n * 2), items.iter().map(|n| n * 2).collect::<Vec<_>>());
        assert!(parallel(&[] as &[u32], |n| *n).is_empty());
    }
}
