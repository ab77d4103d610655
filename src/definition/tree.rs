//! The files of a definition by their relative path, from a folder or from a bundle, so that everything after is
//! the same for both. Only files on the allow-list get in; must not know what they say.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use icu_normalizer::ComposingNormalizerBorrowed;

use super::hooks::SCRIPTS;
use crate::files::{self, FileError};

/// The largest file of a definition; Helm's own limit for a file of a chart.
const MAX_FILE: u64 = 5 * 1024 * 1024;
/// The most bytes of a whole definition.
const MAX_TOTAL: u64 = 100 * 1024 * 1024;

/// No system takes a longer name.
const LONGEST_NAME: usize = 4096;

/// Relative path to bytes, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree(BTreeMap<String, Vec<u8>>);

/// Why the files of a definition could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder that holds no definition.
    #[error("no definition in {0}: there is no folder `environments`")]
    NoDefinition(String),
    /// Something that no definition may hold.
    #[error("{path}: {reason}")]
    Refused {
        /// The path inside the definition.
        path: String,
        /// Why it is refused.
        reason: String,
    },
}

impl Tree {
    /// Reads the definition in a folder.
    ///
    /// # Errors
    /// [`TreeError`] naming the file.
    pub fn read(root: &Path) -> Result<Tree, TreeError> {
        if !root.join("environments").is_dir() {
            return Err(TreeError::NoDefinition(root.display().to_string()));
        }
        let mut tree = Tree::default();
        for path in [LOCK_PATH, RULES_PATH] {
            let file = root.join(path);
            if file.is_file() {
                tree.insert_checked(path.to_owned(), files::read(&file)?)?;
            }
        }
        for top in ["environments", "templates"] {
            tree.read_folder(root, top)?;
        }
        tree.check_total()?;
        tree.check_names()?;
        Ok(tree)
    }

    /// Refuses names that are one on other systems, where one file would take the other's place when it is unpacked.
    fn check_names(&self) -> Result<(), TreeError> {
        let mut seen = BTreeMap::new();
        for path in self.0.keys() {
            let same = ComposingNormalizerBorrowed::new_nfc().normalize(&path.to_lowercase()).into_owned();
            if let Some(other) = seen.insert(same, path) {
                let reason = format!("differs from {} by case or by its form in Unicode alone", other.escape_default());
                return Err(TreeError::Refused { path: path.escape_default().to_string(), reason });
            }
        }
        Ok(())
    }

    fn read_folder(&mut self, root: &Path, relative: &str) -> Result<(), TreeError> {
        let folder = root.join(relative);
        if !folder.is_dir() {
            return Ok(());
        }
        let listed = std::fs::read_dir(&folder).map_err(FileError::at("list", &folder))?;
        for entry in listed {
            let entry = entry.map_err(FileError::at("list", &folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{relative}/{name}");
            let kind = entry.file_type().map_err(FileError::at("read", entry.path()))?;
            if name.starts_with('.') && name != ".helmignore" {
                continue;
            }
            if kind.is_dir() {
                self.read_folder(root, &path)?;
            } else if wanted(&path) {
                if kind.is_symlink() {
                    return Err(TreeError::Refused { path, reason: "a symbolic link can't be bundled".to_owned() });
                }
                self.insert_checked(path, files::read(&entry.path())?)?;
            }
        }
        Ok(())
    }

    fn insert_checked(&mut self, path: String, bytes: Vec<u8>) -> Result<(), TreeError> {
        if bytes.len() as u64 > MAX_FILE {
            return Err(TreeError::Refused { path, reason: format!("larger than {MAX_FILE} bytes") });
        }
        self.0.insert(path, bytes);
        Ok(())
    }

    fn check_total(&self) -> Result<(), TreeError> {
        let total: u64 = self.0.values().map(|bytes| bytes.len() as u64).sum();
        if total > MAX_TOTAL {
            let reason = format!("{total} bytes in all, more than {MAX_TOTAL}");
            return Err(TreeError::Refused { path: "the definition".to_owned(), reason });
        }
        Ok(())
    }

    /// Reads the definition from the tar that [`Tree::to_tar`] made.
    ///
    /// # Errors
    /// [`TreeError`] for an entry that no definition may hold.
    pub fn from_tar(bytes: &[u8]) -> Result<Tree, TreeError> {
        let broken = |e: std::io::Error| TreeError::Refused { path: "definition".to_owned(), reason: e.to_string() };
        let refused = |path: &str, reason: &str| {
            Err(TreeError::Refused { path: path.escape_default().to_string(), reason: reason.to_owned() })
        };
        let (mut tree, mut long_name) = (Tree::default(), None);
        let mut archive = tar::Archive::new(bytes);
        // Raw, because nothing but files and their long names is taken.
        for entry in archive.entries().map_err(broken)?.raw(true) {
            let mut entry = entry.map_err(broken)?;
            let (mut bytes, size) = (Vec::new(), entry.size().min(MAX_FILE + 1));
            entry.by_ref().take(size).read_to_end(&mut bytes).map_err(broken)?;
            if bytes.len() as u64 != size {
                return refused("definition", "it is cut short");
            }
            if entry.header().entry_type().is_gnu_longname() {
                bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()).min(LONGEST_NAME));
                long_name = Some(bytes);
                continue;
            }
            let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
            let Ok(path) = String::from_utf8(name) else {
                return refused(&String::from_utf8_lossy(&entry.path_bytes()), "its name is not UTF-8");
            };
            if !entry.header().entry_type().is_file() || !wanted(&path) || !clean(&path) {
                return refused(&path, "no file of a definition");
            }
            if tree.get(&path).is_some() {
                return refused(&path, "it is there twice");
            }
            tree.insert_checked(path, bytes)?;
        }
        tree.check_total()?;
        tree.check_names()?;
        if tree.folders("environments").is_empty() {
            return refused("definition", "there is no environment in it");
        }
        Ok(tree)
    }

    /// Reads the definition out of a tar that somebody else made of a whole folder; what is no file of a definition is passed
    /// over, as [`Tree::read`] does.
    ///
    /// # Errors
    /// [`TreeError`] for files that no definition may hold.
    pub fn from_archive(bytes: &[u8]) -> Result<Tree, TreeError> {
        let broken = |e: std::io::Error| TreeError::Refused { path: "archive".to_owned(), reason: e.to_string() };
        let mut tree = Tree::default();
        for entry in tar::Archive::new(bytes).entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let Ok(path) = String::from_utf8(entry.path_bytes().into_owned()) else { continue };
            if entry.header().entry_type().is_file() && wanted(&path) && clean(&path) {
                let (mut bytes, size) = (Vec::new(), entry.size().min(MAX_FILE + 1));
                entry.by_ref().take(size).read_to_end(&mut bytes).map_err(broken)?;
                tree.insert_checked(path, bytes)?;
            }
        }
        tree.check_total()?;
        tree.check_names()?;
        Ok(tree)
    }

    /// Packs the files; the same files give the same bytes.
    ///
    /// # Errors
    /// [`TreeError`] for a path too long for a tar.
    pub fn to_tar(&self) -> Result<Vec<u8>, TreeError> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, bytes) in &self.0 {
            let refused = |e: std::io::Error| TreeError::Refused { path: path.clone(), reason: e.to_string() };
            let mut header = super::pack::plain_header(bytes.len() as u64);
            builder.append_data(&mut header, path, bytes.as_slice()).map_err(refused)?;
        }
        builder.into_inner().map_err(|e| TreeError::Refused { path: "definition".to_owned(), reason: e.to_string() })
    }

    /// The same without the environments that are not named, so that a bundle holds no other site's files.
    pub fn for_environments(&self, names: &[String]) -> Tree {
        let wanted = |path: &String| match path.strip_prefix("environments/").and_then(|rest| rest.split_once('/')) {
            Some((environment, _)) => names.iter().any(|name| name == environment),
            None => true,
        };
        Tree(self.0.iter().filter(|(path, _)| wanted(path)).map(|(p, b)| (p.clone(), b.clone())).collect())
    }

    /// A file's bytes.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.0.get(path).map(Vec::as_slice)
    }

    /// Every file, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    /// The files below a folder, with paths relative to it.
    pub fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &[u8])> {
        let prefix = format!("{folder}/");
        self.0
            .range(prefix.clone()..)
            .map_while(move |(path, bytes)| Some((path.strip_prefix(&prefix)?, bytes.as_slice())))
    }

    /// The names of the folders directly inside a folder, sorted.
    pub fn folders(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> =
            self.below(folder).filter_map(|(path, _)| Some(path.split_once('/')?.0.to_owned())).collect();
        names.dedup();
        names
    }

    /// The names of the releases of a tier, sorted. Its folder `scripts` is none.
    pub fn releases(&self, tier: &str) -> Vec<String> {
        let folder = format!("templates/{tier}");
        let mut names = self.folders(&folder);
        names.retain(|name| name != SCRIPTS || self.get(&format!("{folder}/{name}/release.yaml")).is_some());
        names
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), bytes.into());
    }
}

/// Where the lock lies in a definition.
pub const LOCK_PATH: &str = "charts-lock.yaml";

/// Where sops' rules for new files lie: they name the keys that may decrypt, which are public, and the site needs them
/// to set its own secrets.
pub const RULES_PATH: &str = ".sops.yaml";

/// The allow-list: what belongs to a definition. Everything else in the folders is left alone and never bundled.
fn wanted(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [LOCK_PATH | RULES_PATH] | ["templates", "values.schema.json"] | ["templates", _, "tier.yaml"] => true,
        ["environments", _, file] => {
            matches!(*file, "environment.yaml" | "values.yaml" | "secrets.yaml" | "capabilities.yaml")
                || file.ends_with(".pem")
        }
        ["environments", _, "releases", file] => file.ends_with(".yaml"),
        ["templates", _, _, "release.yaml" | "values.yaml"] => true,
        ["templates", _, SCRIPTS, _] | ["templates", _, _, SCRIPTS, _, ..] => true,
        ["templates", _, _, "patches", file] => file.ends_with(".yaml"),
        ["templates", _, _, "chart" | "files", _, ..] | ["environments", _, "files", _, ..] => true,
        _ => false,
    }
}

/// Whether a file of a definition is a program.
pub fn is_script(path: &str) -> bool {
    matches!(
        path.split('/').collect::<Vec<_>>().as_slice(),
        ["templates", _, SCRIPTS, _] | ["templates", _, _, SCRIPTS, _, ..]
    )
}

/// A relative path that stays where it is, and that a terminal can show.
fn clean(path: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() <= 255;
    path.split('/').all(plain) && !path.contains(|c: char| c.is_control() || c == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tar_round_trip_is_deterministic() {
        let mut tree = Tree::default();
        tree.insert("environments/prod/values.yaml", "a: 1\n");
        tree.insert("templates/apps/x/chart/templates/a.yaml", "x");
        let tar = tree.to_tar().unwrap();
        assert_eq!(tar, tree.to_tar().unwrap());
        assert_eq!(Tree::from_tar(&tar).unwrap(), tree);
    }

    #[test]
    fn hostile_tars_are_refused() {
        for path in ["templates/a/b/chart/../../../../etc/passwd", "etc/passwd", "templates/a/b/chart//x"] {
            let mut header = super::super::pack::plain_header(1);
            let bytes = path.as_bytes();
            header.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
            header.set_cksum();
            let mut builder = tar::Builder::new(Vec::new());
            builder.append(&header, &b"x"[..]).unwrap();
            let tar = builder.into_inner().unwrap();
            assert!(matches!(Tree::from_tar(&tar), Err(TreeError::Refused { .. })), "{path}");
        }
        assert!(Tree::from_tar(&[1; 700]).is_err());
    }

    #[test]
    fn a_bundle_holds_no_other_sites_files() {
        let mut tree = Tree::default();
        for name in ["base", "prod", "acme"] {
            tree.insert(format!("environments/{name}/values.yaml"), "");
        }
        let kept = tree.for_environments(&["base".into(), "prod".into()]);
        assert_eq!(kept.folders("environments"), ["base", "prod"]);
    }

    #[test]
    fn only_files_on_the_list_are_read() {
        let dir = tempfile::tempdir().unwrap();
        for path in
            ["environments/prod/values.yaml", "environments/prod/notes.txt", "environments/prod/.swp", ".sops.yaml"]
        {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let tree = Tree::read(dir.path()).unwrap();
        assert_eq!(tree.iter().map(|(p, _)| p).collect::<Vec<_>>(), [".sops.yaml", "environments/prod/values.yaml"]);
        assert!(matches!(Tree::read(Path::new("/nonexistent")), Err(TreeError::NoDefinition(_))));
    }
}
