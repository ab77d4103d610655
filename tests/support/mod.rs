//! What the tests of the whole binary stand on: the mini-upstream, a site's registry, the program itself, a place to
//! work in, and snapshots of what a user sees.

// Every test crate includes all of this and uses some of it.
#![allow(dead_code, unused_imports)]

pub mod bundle_file;
pub mod forged;
pub mod keys;
pub mod planted;
pub mod program;
pub mod proxy;
pub mod screen;
pub mod site_registry;
pub mod upstream;

pub use bundle_file::BundleFile;
pub use program::{Output, Platctl, Running};
pub use site_registry::{Mishap, SiteRegistry};

use std::fs;
use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Writes a file with the folders it lies in.
pub fn put(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every file below a folder, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

pub fn copy_folder(from: &Path, to: &Path) {
    for file in files(from) {
        put(&to.join(file.strip_prefix(from).unwrap()), fs::read(&file).unwrap());
    }
}

/// The smallest thing that passes for a static Linux executable: an ELF header that names no loader.
pub fn static_executable(path: &Path) {
    let mut bytes = vec![0; 4096];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    bytes[16] = 2; // an executable
    bytes[18] = 62; // for x86-64
    put(path, &bytes);
}
