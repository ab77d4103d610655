//! Owns digests and noise: sha256 in the forms the other files need, and bytes that look random but are always
//! the same for the same seed.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

/// The sha256 of some bytes as bare lower-case hex.
pub fn hex_digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The sha256 of some bytes as a registry writes it.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex_digest(bytes))
}

/// A number that only depends on the given words.
pub fn number(words: &[&str]) -> u64 {
    let hash = Sha256::digest(words.join("\n").as_bytes());
    hash.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A writer that hashes and counts what passes through.
pub struct Hashing<W> {
    inner: W,
    hash: Sha256,
    count: u64,
}

impl<W: Write> Hashing<W> {
    pub fn new(inner: W) -> Self {
        Hashing { inner, hash: Sha256::new(), count: 0 }
    }

    /// The inner writer, the digest and the length of what was written.
    pub fn finish(self) -> (W, String, u64) {
        (self.inner, format!("sha256:{}", hex(&self.hash.finalize())), self.count)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A reader of noise: splitmix64, because it is fast even without optimisation and nothing about a layer needs better.
pub struct Noise {
    seed: u64,
    position: u64,
    length: u64,
}

impl Noise {
    pub fn new(seed: u64, length: u64) -> Self {
        Noise { seed, position: 0, length }
    }

    /// The same noise from a place inside on.
    pub fn from(self, position: u64) -> Self {
        Noise { position, ..self }
    }

    /// The eight bytes around this position, by their place and not by what was read before: the bytes must not
    /// depend on the size of the reader's buffer.
    fn word(&self, position: u64) -> [u8; 8] {
        let state = self.seed.wrapping_add((position / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_le_bytes()
    }
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = (self.length - self.position).min(buffer.len() as u64) as usize;
        let mut done = 0;
        while done < room {
            let word = self.word(self.position);
            let word = &word[(self.position % 8) as usize..];
            let count = word.len().min(room - done);
            buffer[done..done + count].copy_from_slice(&word[..count]);
            done += count;
            self.position += count as u64;
        }
        Ok(room)
    }
}
