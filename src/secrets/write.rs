//! Writing the encrypted file of one environment: sops works on a copy beside, which is checked and then takes the
//! file's place. Nothing in the clear ever gets to the disk.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::file::json;
use super::{FILE, SealedFile, SecretsError};
use crate::definition::RULES_PATH;
use crate::files::{self, Beside, FileError};
use crate::tools::{CallError, Sops};
use crate::yaml::{Node, Value};

/// A change of an environment's file that is not in its place yet.
pub struct Draft<'s> {
    sops: &'s Sops,
    beside: Beside,
    /// The path in the definition, for errors.
    path: String,
    rules: Option<PathBuf>,
}

impl<'s> Draft<'s> {
    /// Begins to change the file of an environment of the definition in a folder; `read` is what it held when it was
    /// read, if it was there.
    ///
    /// # Errors
    /// [`SecretsError::File`], also when another process is changing it, or did since.
    pub fn begin(
        sops: &'s Sops,
        definition: &Path,
        environment: &str,
        read: Option<&[u8]>,
    ) -> Result<Draft<'s>, SecretsError> {
        let definition = fs::canonicalize(definition).map_err(FileError::at("find", definition))?;
        let path = format!("environments/{environment}/{FILE}");
        let beside = Beside::of(&definition.join(&path))?;
        let now = beside.existed().then(|| files::read(beside.path())).transpose()?;
        if now.as_deref() != read {
            let changed = std::io::Error::new(std::io::ErrorKind::WouldBlock, "it was changed meanwhile");
            return Err(FileError::at("change", beside.original())(changed).into());
        }
        let configured = sops.variables.iter().any(|(name, value)| name == "SOPS_CONFIG" && !value.is_empty());
        let rules = if configured { None } else { rules(&definition) };
        Ok(Draft { sops, beside, path, rules })
    }

    /// Whether there was a file before.
    pub fn existed(&self) -> bool {
        self.beside.existed()
    }

    /// Sets values by their names. All others stay as they are, byte for byte.
    ///
    /// # Errors
    /// [`SecretsError`]; nothing is changed then.
    pub async fn set(&self, values: &[(&str, Json)]) -> Result<(), SecretsError> {
        if !self.existed() {
            let mut tree = Json::Object(Map::new());
            for (name, value) in values {
                self.put(&mut tree, name, value)?;
            }
            return self.create(&tree).await;
        }
        for (name, value) in values {
            let now = self.read()?;
            now.would_seal(name)?;
            let parts: Vec<&str> = name.split('.').collect();
            self.refuse_blocked(now.tree(), &parts, value.is_object())?;
            let set = self.sops.set(self.beside.path(), &parts, &json(value)).await;
            set.map_err(|error| now.failed(error))?;
        }
        Ok(())
    }

    /// Makes the file with a tree of values.
    ///
    /// # Errors
    /// [`SecretsError::NoRules`] when nothing says to which keys.
    pub async fn create(&self, tree: &Json) -> Result<(), SecretsError> {
        let encrypted = self.sops.encrypt(self.beside.original(), self.rules.as_deref(), &json(tree)).await;
        let encrypted = encrypted.map_err(|error| self.not_encrypted(error))?;
        // Before it gets to the disk: rules may leave values in the clear.
        SealedFile::parse(&self.path, &encrypted)?;
        Ok(fs::write(self.beside.path(), encrypted).map_err(FileError::at("write", self.beside.path()))?)
    }

    /// Opens the file in the user's editor; `scratch` is a folder for what the editor sees.
    ///
    /// # Errors
    /// [`CallError`]; sops' word went to the terminal.
    pub async fn edit(&self, scratch: &Path) -> Result<(), CallError> {
        self.sops.edit(self.beside.path(), scratch).await
    }

    /// The file as it would become.
    ///
    /// # Errors
    /// [`SecretsError`] when it is not encrypted throughout.
    pub fn read(&self) -> Result<SealedFile, SecretsError> {
        SealedFile::parse(&self.path, &files::read(self.beside.path())?)
    }

    /// Puts it in its place, when it is encrypted throughout and has these names.
    ///
    /// # Errors
    /// [`SecretsError`]; the file is then as it was before.
    pub fn keep(self, expected: &[&str]) -> Result<(), SecretsError> {
        let names = self.read()?.names();
        let there = |name: &str| names.contains(name) || names.iter().any(|n| n.starts_with(&format!("{name}.")));
        if let Some(name) = expected.iter().find(|name| !there(name)) {
            return Err(SecretsError::NotWritten { path: self.path.clone(), name: (*name).to_owned() });
        }
        Ok(self.beside.keep()?)
    }

    /// What a failed call says of the file.
    pub fn failed(&self, file: &SealedFile, error: CallError) -> SecretsError {
        file.failed(error)
    }

    fn not_encrypted(&self, error: CallError) -> SecretsError {
        let word = error.stderr().trim().to_owned();
        let path = self.path.clone();
        match word.contains("creation rule") || word.contains("loading config") {
            true => SecretsError::NoRules { path, word },
            false => SecretsError::call(&path, &[], "", error),
        }
    }

    fn put(&self, tree: &mut Json, name: &str, value: &Json) -> Result<(), SecretsError> {
        let mut at = tree;
        let mut parts = name.split('.').peekable();
        while let (Some(part), Json::Object(map)) = (parts.next(), at) {
            if parts.peek().is_none() {
                if map.contains_key(part) {
                    break;
                }
                map.insert(part.to_owned(), value.clone());
                return Ok(());
            }
            at = map.entry(part).or_insert_with(|| Json::Object(Map::new()));
        }
        Err(self.blocked(name, name))
    }

    /// A text can't have something below it, and a map is not overwritten by a text.
    fn refuse_blocked(&self, tree: &Node, parts: &[&str], is_map: bool) -> Result<(), SecretsError> {
        let mut at = tree;
        for (depth, part) in parts.iter().enumerate() {
            let Some(next) = at.get(part) else { return Ok(()) };
            let (here, last) = (parts[..=depth].join("."), depth + 1 == parts.len());
            let empty = matches!(next.value, Value::Null) || next.as_str() == Some("");
            let fits = if last { is_map == next.as_map().is_some() || empty } else { next.as_map().is_some() };
            if !fits {
                return Err(self.blocked(&parts.join("."), &here));
            }
            at = next;
        }
        Ok(())
    }

    fn blocked(&self, name: &str, at: &str) -> SecretsError {
        SecretsError::Blocked { path: self.path.clone(), name: name.to_owned(), at: at.to_owned() }
    }
}

/// The rules that hold for a definition: in its folder, or above, as sops itself looks for them.
fn rules(definition: &Path) -> Option<PathBuf> {
    definition.ancestors().map(|folder| folder.join(RULES_PATH)).find(|path| path.is_file())
}
