//! The tar's headers, in the one form they have in a bundle. Must not know what the entries mean.

use tar::{EntryType, Header};

/// Everything in a tar is counted in blocks.
pub(super) const BLOCK: u64 = 512;
/// Two empty blocks end a tar.
pub(super) const END: u64 = 2 * BLOCK;
/// Name of the platctl binary, the first entry.
pub(super) const PLATCTL: &str = "platctl";
/// Name of the signature over the index, the entry after it.
pub(super) const SIGNATURE_PATH: &str = "index.json.minisig";

/// A header's bytes.
pub(super) type Block = [u8; BLOCK as usize];

/// An entry's header: a file, or a hard link to the platctl binary.
pub(super) fn header(name: &str, size: u64, kind: EntryType) -> Block {
    let mut header = Header::new_ustar();
    // Names are `blobs/sha256/<64 digits>` at the longest; what is longer stays an empty name, which no reader takes.
    let _ = header.set_path(name);
    header.set_size(size);
    header.set_entry_type(kind);
    header.set_mode(if name == PLATCTL { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    if kind == EntryType::Link {
        let _ = header.set_link_name_literal(PLATCTL);
    }
    header.set_cksum();
    *header.as_bytes()
}

/// How much room so many bytes take.
pub(super) fn padded(size: u64) -> Option<u64> {
    size.checked_next_multiple_of(BLOCK)
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub name: String,
    pub size: u64,
    /// Whether it is the hard link to the platctl binary.
    pub link: bool,
}

/// Reads a header. Only what `header` writes is taken, to the byte.
pub(super) fn read(block: &Block) -> Result<Said, (String, String)> {
    let read = Header::from_byte_slice(block);
    let name = String::from_utf8_lossy(&read.path_bytes()).into_owned();
    let wrong = |problem: &str| Err((shown(&name), problem.to_owned()));
    let link = match read.entry_type() {
        EntryType::Regular => false,
        EntryType::Link => true,
        EntryType::Symlink => return wrong("it is a symbolic link"),
        EntryType::Directory => return wrong("it is a folder"),
        other => return wrong(&format!("it is of kind `{}`", char::from(other.as_byte()).escape_default())),
    };
    let Ok(size) = read.entry_size() else { return wrong("its size is no number") };
    if link && (read.link_name_bytes().as_deref() != Some(PLATCTL.as_bytes())) {
        return wrong("it is a link to something other than platctl");
    }
    let kind = if link { EntryType::Link } else { EntryType::Regular };
    if header(&name, size, kind) != *block {
        return wrong("its header is not as platctl writes it");
    }
    Ok(Said { name, size, link })
}

/// A name from a file that may be hostile.
fn shown(name: &str) -> String {
    name.chars().take(120).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_are_written() {
        for (name, size) in [("platctl", 20 << 20), ("index.json", 0), ("blobs/sha256/ab", 9 << 30)] {
            let said = read(&header(name, size, EntryType::Regular)).unwrap();
            assert_eq!(said, Said { name: name.to_owned(), size, link: false });
        }
        assert!(read(&header("blobs/sha256/ab", 0, EntryType::Link)).unwrap().link);
    }

    #[test]
    fn other_headers_are_refused() {
        for kind in
            [EntryType::Symlink, EntryType::Directory, EntryType::Fifo, EntryType::XHeader, EntryType::GNULongName]
        {
            assert!(read(&header("x", 0, kind)).is_err());
        }
        let mut owned = header("x", 1, EntryType::Regular);
        owned[108] = b'7';
        assert_eq!(read(&owned).unwrap_err().1, "its header is not as platctl writes it");
    }

    #[test]
    fn rooms_are_whole_blocks() {
        assert_eq!([0, 1, 512, 513].map(padded), [Some(0), Some(512), Some(512), Some(1024)]);
        assert_eq!(padded(u64::MAX), None);
    }
}
