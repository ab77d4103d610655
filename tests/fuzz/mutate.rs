//! Changes bytes by chance, the same way for the same seed: so that a run can be repeated, and needs no tool.

/// A small generator of numbers (splitmix64).
pub struct Dice(pub u64);

/// What tars, JSON, YAML, keys and references are made of.
const WORDS: [&[u8]; 34] = [
    b"..",
    b"/",
    b"\\",
    b"\0",
    b"\xff",
    b"\x1b[2J",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"@",
    b"sha256:",
    b"-1",
    b"18446744073709551615",
    b"1e9",
    b"null",
    b"ustar",
    b"Chart.yaml",
    b"environments/",
    b"\xc3\xa4",
    b"a\xcc\x88",
    b"=",
    b"\n",
    b" ",
    b"0",
    b"blobs/sha256/",
    b"index.json",
    b"localhost",
    b"5000",
    b"latest",
    b"library/",
];

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.next() % n as u64) as usize }
    }

    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Changes bytes in a few places.
    pub fn change(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        for _ in 0..=self.below(4) {
            self.change_once(bytes, others);
        }
    }

    fn change_once(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        let (at, to) = self.stretch(bytes.len());
        match self.below(11) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.next() as u8,
            2 => _ = bytes.drain(at..to),
            3 => {
                let copy = bytes[at..to].to_vec();
                bytes.splice(to..to, copy);
            }
            4 => _ = bytes.splice(at..at, self.one_of(&WORDS).to_vec()),
            5 => _ = bytes.splice(at..to, self.one_of(&WORDS).to_vec()),
            6 => bytes.truncate(at),
            7 => {
                let other = self.one_of(others);
                let (from, until) = self.stretch(other.len());
                bytes.splice(at..to, other[from..until].to_vec());
            }
            8 => self.number(bytes),
            _ => self.block(bytes),
        }
    }

    fn stretch(&mut self, length: usize) -> (usize, usize) {
        let at = self.below(length + 1);
        let most = if self.below(4) == 0 { length } else { 16 };
        (at, (at + self.below(most + 1)).min(length))
    }

    /// Another number in place of one in the text.
    fn number(&mut self, bytes: &mut Vec<u8>) {
        let digits: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
        if digits.is_empty() {
            return;
        }
        let start = *self.one_of(&digits);
        let end = (start..bytes.len()).find(|at| !bytes[*at].is_ascii_digit()).unwrap_or(bytes.len());
        let new = match self.below(4) {
            0 => "0".to_owned(),
            1 => u64::MAX.to_string(),
            2 => (self.next() >> self.below(64)).to_string(),
            _ => format!("-{}", self.below(9)),
        };
        bytes.splice(start..end, new.into_bytes());
    }

    /// Something with a whole block of a tar, whose checksum is then right again, most of the time.
    fn block(&mut self, bytes: &mut Vec<u8>) {
        let blocks = bytes.len() / 512;
        if blocks == 0 {
            return;
        }
        let at = self.below(blocks) * 512;
        match self.below(5) {
            0 => _ = bytes.drain(at..at + 512),
            1 => {
                let copy = bytes[at..at + 512].to_vec();
                bytes.splice(at..at, copy);
            }
            2 => bytes[at..at + 512].fill(0),
            3 => bytes[at + 156] = *self.one_of(b"012345670LKxgSDMV\0"),
            _ => {
                let (field, length) = *self.one_of(&[(0, 100), (124, 12), (157, 100), (345, 155), (257, 8)]);
                let place = at + field + self.below(length);
                bytes[place] = *self.one_of(b"/.\\\0 019\x80\xffax");
            }
        }
        if self.below(8) > 0 {
            checksums(bytes);
        }
    }
}

/// Makes the checksums of all that look like headers right.
pub fn checksums(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}
