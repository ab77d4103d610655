//! Makes a tool's file executable: unpacked where its publisher packs it, beside the store it was checked into.
//! Must not fetch anything.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::tool;
use crate::files::{FileError, private_folder, sync_folder_of};
use crate::lock::LockedTool;

/// The largest executable that is unpacked.
const MAX_EXECUTABLE: u64 = 1024 * 1024 * 1024;
/// The most that is unpacked to find it.
const MAX_UNPACKED: u64 = 2 * MAX_EXECUTABLE;

/// Why a tool could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The lock names a tool that this version does not know.
    #[error("unknown tool `{0}` in the lock")]
    Unknown(String),
    /// The publisher's file does not hold the executable.
    #[error("{url}: there is no `{member}` in it")]
    NoMember {
        /// Where the file came from.
        url: String,
        /// What was looked for.
        member: String,
    },
}

/// Installs a tool from its checked file into a private folder, once; returns the executable.
///
/// # Errors
/// [`InstallError`]; nothing half-written is left in place then.
pub fn install(file: &Path, locked: &LockedTool, folder: &Path) -> Result<PathBuf, InstallError> {
    let folder = folder.join(format!("sha256-{}", locked.digest.hex()));
    let executable = folder.join(&locked.name);
    if executable.is_file() {
        return Ok(executable);
    }
    let known = tool(&locked.name).ok_or_else(|| InstallError::Unknown(locked.name.clone()))?;
    private_folder(&folder)?;
    let beside = folder.join(format!(".{}.{}", locked.name, std::process::id()));
    let source = File::open(file).map_err(FileError::at("read", file))?;
    let member = known.member(&locked.platform);
    let written = match &member {
        None => write_executable(&beside, source).map(|_| true).map_err(FileError::at("install", &beside)),
        Some(member) => unpack(source, member, &beside).map_err(FileError::at("unpack", file)),
    };
    match written {
        Ok(true) => {}
        unusable => {
            let _ = fs::remove_file(&beside);
            unusable?;
            return Err(InstallError::NoMember { url: locked.url.clone(), member: member.unwrap_or_default() });
        }
    }
    fs::rename(&beside, &executable).map_err(FileError::at("install", &executable))?;
    sync_folder_of(&executable)?;
    Ok(executable)
}

fn unpack(source: File, member: &str, to: &Path) -> io::Result<bool> {
    let unpacked = flate2::read::MultiGzDecoder::new(io::BufReader::new(source)).take(MAX_UNPACKED);
    let mut archive = tar::Archive::new(unpacked);
    // Raw: an entry that only says a long name would be read into memory, however long; no publisher's member has one.
    for entry in archive.entries()?.raw(true) {
        let entry = entry?;
        if entry.path_bytes().as_ref() == member.as_bytes() && entry.header().entry_type().is_file() {
            let size = entry.size();
            // A reader of an archive that is cut short ends as if all was well.
            return match write_executable(to, entry)? {
                written if written == size => Ok(true),
                written => Err(io::Error::other(format!("`{member}` has {written} of its {size} bytes"))),
            };
        }
    }
    Ok(false)
}

fn write_executable(path: &Path, source: impl Read) -> io::Result<u64> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o700).open(path)?;
    let written = io::copy(&mut source.take(MAX_EXECUTABLE + 1), &mut file)?;
    if written > MAX_EXECUTABLE {
        return Err(io::Error::other(format!("it is larger than {MAX_EXECUTABLE} bytes")));
    }
    file.sync_all()?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn locked(name: &str) -> LockedTool {
        LockedTool {
            name: name.into(),
            version: "1.0.0".into(),
            platform: "linux/amd64".parse().unwrap(),
            url: "https://example.org/x".into(),
            digest: Digest::of("x"),
        }
    }

    fn packed(member: &str) -> Vec<u8> {
        let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        let mut header = tar::Header::new_ustar();
        header.set_size(4);
        builder.append_data(&mut header, member, &b"#!/x"[..]).unwrap();
        builder.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn packed_and_plain_tools_become_executables() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("download");
        for (name, bytes) in [("helm", packed("linux-amd64/helm")), ("kubectl", b"#!/x".to_vec())] {
            fs::write(&file, bytes).unwrap();
            let executable = install(&file, &locked(name), &dir.path().join(name)).unwrap();
            assert_eq!(fs::read(&executable).unwrap(), b"#!/x");
            assert_eq!(fs::metadata(&executable).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn an_archive_without_the_executable_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("download");
        fs::write(&file, packed("linux-arm64/helm")).unwrap();
        let error = install(&file, &locked("helm"), dir.path()).unwrap_err();
        assert_eq!(error.to_string(), "https://example.org/x: there is no `linux-amd64/helm` in it");
        let left =
            || fs::read_dir(dir.path()).unwrap().filter_map(|e| fs::read_dir(e.unwrap().path()).ok()).flatten().count();
        let mut cut = Vec::new();
        io::copy(&mut flate2::read::GzDecoder::new(packed("linux-amd64/helm").as_slice()), &mut cut).unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut gz, &cut[..514]).unwrap();
        fs::write(&file, gz.finish().unwrap()).unwrap();
        let error = install(&file, &locked("helm"), dir.path()).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert_eq!((cause.as_str(), left()), ("`linux-amd64/helm` has 2 of its 4 bytes", 0));
        fs::write(&file, "not gzip").unwrap();
        assert!(install(&file, &locked("helm"), dir.path()).is_err());
    }
}
