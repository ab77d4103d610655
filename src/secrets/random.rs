//! The one owner of randomness: the operating system's. Must not be asked for anything that is rendered.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};
use zeroize::Zeroizing;

/// Where random bytes come from; a test brings its own.
pub(super) type Source<'s> = &'s mut dyn FnMut(&mut [u8]) -> io::Result<()>;

/// Fills bytes from the operating system, which waits until it has enough.
pub(super) fn system(mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match getrandom(&mut *bytes, GetRandomFlags::empty()) {
            Ok(filled) => bytes = &mut bytes[filled..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Bytes to salt hashes with.
///
/// # Errors
/// The system's, when it has no randomness.
pub fn salt() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    system(&mut bytes)?;
    Ok(bytes)
}

/// So many characters of an alphabet, each as likely as any other: bytes beyond the last whole multiple of the
/// alphabet's length are thrown away, since a remainder of them would favour its first characters.
pub(super) fn text(alphabet: &str, length: usize, source: Source) -> io::Result<Zeroizing<String>> {
    let characters = alphabet.as_bytes();
    let fair = 256 - 256 % characters.len();
    let mut text = Zeroizing::new(String::with_capacity(length));
    let mut bytes = Zeroizing::new([0; 64]);
    while text.len() < length {
        source(&mut *bytes)?;
        let usable = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        let chosen = usable.map(|byte| char::from(characters[byte % characters.len()]));
        let missing = length - text.len();
        text.extend(chosen.take(missing));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_would_favour_some_characters_are_thrown_away() {
        let mut next = 0u8;
        let mut counting = |bytes: &mut [u8]| {
            for byte in bytes {
                *byte = next;
                next = next.wrapping_add(1);
            }
            Ok(())
        };
        // Every byte comes as often as any other, so every character has to.
        let digits = text("0123456789", 250 * 4, &mut counting).unwrap();
        for digit in "0123456789".chars() {
            assert_eq!(digits.matches(digit).count(), 100, "{digit}");
        }
    }

    #[test]
    fn the_system_gives_something_else_each_time() {
        let draw = || text("ab", 200, &mut system).unwrap();
        assert!(*draw() != *draw());
        let mut many = vec![0; 70_000];
        system(&mut many).unwrap();
        assert!(many[69_000..].iter().any(|byte| *byte != 0));
    }

    #[test]
    fn a_source_that_fails_makes_nothing() {
        let mut failing = |_: &mut [u8]| Err(io::Error::other("none"));
        assert!(text("ab", 8, &mut failing).is_err());
    }
}
