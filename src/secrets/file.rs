//! The encrypted `secrets.yaml` of an environment's layers: which names they hold, which needs no key, and what the
//! values are, which does. Must not write.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use serde_json::Value as Json;

use super::{KeyId, Revealed, SecretsError, key};
use crate::definition::{Tree, layered};
use crate::tools::Sops;
use crate::yaml::{Node, Problem, Sources, Value};

/// The file's name in the folder of an environment.
pub const FILE: &str = "secrets.yaml";

/// What sops writes where a value was.
const SEALED: &str = "ENC[AES256_GCM,";
/// Settings of sops that leave values in the clear.
const PARTLY: [&str; 5] = [
    "encrypted_regex",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_comment_regex",
    "unencrypted_comment_regex",
];

/// The encrypted file of one layer.
#[derive(Debug, Clone)]
pub struct SealedFile {
    /// Its path in the definition.
    pub path: String,
    /// The keys that decrypt it.
    pub keys: Vec<KeyId>,
    /// Version of the sops that wrote it.
    pub written_by: String,
    bytes: Vec<u8>,
    values: Node,
    partly: Option<String>,
    plain_suffix: Option<String>,
}

/// The encrypted files of an environment's layers, the base first.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    files: Vec<SealedFile>,
    names: BTreeSet<String>,
}

impl SealedFile {
    /// Reads a file, and refuses one that holds anything in the clear.
    ///
    /// # Errors
    /// [`SecretsError`] with the line, never with the value.
    pub fn parse(path: &str, bytes: &[u8]) -> Result<SealedFile, SecretsError> {
        let syntax = |problem: &Problem| SecretsError::Syntax {
            path: path.to_owned(),
            line: problem.at.as_ref().map_or(0, |at| at.line),
            message: "it can't be read as YAML".to_owned(),
        };
        let mut sources = Sources::default();
        let id = sources.add(path, String::from_utf8_lossy(bytes));
        let mut values = sources.read(id).map_err(|problem| syntax(&problem))?;
        let block = match &mut values.value {
            Value::Map(map) => map.remove("sops").map(|entry| entry.node),
            _ => None,
        };
        let block = block.filter(|block| block.as_map().is_some());
        let block = block.ok_or_else(|| SecretsError::NotEncrypted { path: path.to_owned() })?;
        refuse_plain(path, "", &values)?;
        let text = |key: &str| block.get(key).and_then(Node::as_str).map(str::to_owned);
        Ok(SealedFile {
            path: path.to_owned(),
            keys: key::of(&block),
            written_by: text("version").unwrap_or_default(),
            bytes: bytes.to_vec(),
            values,
            partly: PARTLY.iter().find(|setting| text(setting).is_some()).map(|setting| (*setting).to_owned()),
            plain_suffix: text("unencrypted_suffix"),
        })
    }

    /// Whether sops would encrypt a value of this name here.
    ///
    /// # Errors
    /// [`SecretsError::PartlyEncrypted`] naming the setting that it would not be.
    pub(super) fn would_seal(&self, name: &str) -> Result<(), SecretsError> {
        let left_out = |suffix: &&String| name.split('.').any(|part| part.ends_with(suffix.as_str()));
        let setting = match (&self.partly, self.plain_suffix.as_ref().filter(left_out)) {
            (Some(setting), _) => setting.clone(),
            (None, Some(suffix)) => format!("unencrypted_suffix: {suffix}"),
            (None, None) => return Ok(()),
        };
        Err(SecretsError::PartlyEncrypted { path: self.path.clone(), setting })
    }

    /// The tree of names; its values are encrypted.
    pub(super) fn tree(&self) -> &Node {
        &self.values
    }

    /// The names in it that have a value.
    pub fn names(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        names(&self.values, "", &mut found);
        found
    }

    async fn decrypt(&self, sops: &Sops) -> Result<Node, SecretsError> {
        let decrypted = sops.decrypt(&self.path, &self.bytes).await;
        let decrypted = zeroize::Zeroizing::new(decrypted.map_err(|e| self.failed(e))?);
        let damaged = || SecretsError::Damaged { path: self.path.clone(), written_by: self.written_by.clone() };
        let values: Json = serde_json::from_slice(&decrypted).map_err(|_| damaged())?;
        Ok(Node::from_json(values))
    }

    /// What a failed call says of this file.
    pub(super) fn failed(&self, error: crate::tools::CallError) -> SecretsError {
        SecretsError::call(&self.path, &self.keys, &self.written_by, error)
    }
}

impl Layers {
    /// Reads the files of an environment's layers; a layer without one has no secrets.
    ///
    /// # Errors
    /// [`SecretsError`] for one that is no encrypted file.
    pub fn read(tree: &Tree, layers: &[String]) -> Result<Layers, SecretsError> {
        let mut files = Vec::new();
        for layer in layers {
            let path = format!("environments/{layer}/{FILE}");
            if let Some(bytes) = tree.get(&path) {
                files.push(SealedFile::parse(&path, bytes)?);
            }
        }
        let mut found = BTreeSet::new();
        if let Some(merged) = layered(files.iter().map(|file| file.values.clone())) {
            names(&merged, "", &mut found);
        }
        Ok(Layers { files, names: found })
    }

    /// Whether there is a value for a name, or for something below it; needs no key.
    pub fn has(&self, name: &str) -> bool {
        let below = format!("{name}.");
        self.names.contains(name) || self.names.range(below.clone()..).next().is_some_and(|n| n.starts_with(&below))
    }

    /// Every name that has a value; needs no key.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Decrypts every layer, side by side, and lays them over each other.
    ///
    /// # Errors
    /// [`SecretsError`] naming the file.
    pub async fn reveal(&self, sops: &Sops) -> Result<Revealed, SecretsError> {
        let layers = try_join_all(self.files.iter().map(|file| file.decrypt(sops))).await?;
        Ok(layered(layers).map_or_else(Revealed::default, |merged| Revealed::from_json(merged.to_json())))
    }
}

/// An empty value is encrypted to nothing, and counts as none.
fn is_sealed(text: &str) -> bool {
    text.starts_with(SEALED) || text.is_empty()
}

fn refuse_plain(path: &str, name: &str, node: &Node) -> Result<(), SecretsError> {
    match &node.value {
        Value::Map(map) => map.0.iter().try_for_each(|entry| refuse_plain(path, &below(name, &entry.key), &entry.node)),
        Value::List(items) => items.iter().try_for_each(|item| refuse_plain(path, name, item)),
        Value::Null => Ok(()),
        Value::String(text) if is_sealed(text) => Ok(()),
        _ => Err(SecretsError::PlainValue { path: path.to_owned(), line: node.span.line, name: name.to_owned() }),
    }
}

fn names(node: &Node, name: &str, found: &mut BTreeSet<String>) {
    match &node.value {
        Value::Map(map) => map.0.iter().for_each(|entry| names(&entry.node, &below(name, &entry.key), found)),
        Value::String(text) if !text.is_empty() => {
            found.insert(name.to_owned());
        }
        _ => {}
    }
}

fn below(name: &str, key: &str) -> String {
    if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") }
}

/// A value as sops takes it.
pub(super) fn json(value: &Json) -> zeroize::Zeroizing<Vec<u8>> {
    zeroize::Zeroizing::new(value.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str =
        "sops:\n  age: [{recipient: age1x, enc: y}]\n  version: 3.13.3\n  unencrypted_suffix: _unencrypted\n";

    fn parse(text: &str) -> Result<SealedFile, SecretsError> {
        SealedFile::parse("environments/prod/secrets.yaml", format!("{text}{BLOCK}").as_bytes())
    }

    #[test]
    fn names_need_no_key() {
        let mut tree = Tree::default();
        let base = "a: {b: 'ENC[AES256_GCM,data:x]', c: 'ENC[AES256_GCM,data:x]', e: ''}\n";
        tree.insert("environments/base/secrets.yaml", format!("{base}{BLOCK}"));
        tree.insert("environments/prod/secrets.yaml", format!("a: {{c: null}}\nd: 'ENC[AES256_GCM,data:x]'\n{BLOCK}"));
        let sealed = Layers::read(&tree, &["base".into(), "prod".into()]).unwrap();
        assert_eq!(sealed.names().collect::<Vec<_>>(), ["a.b", "d"]);
        assert!(sealed.has("a") && sealed.has("a.b") && !sealed.has("a.c") && !sealed.has("a.e") && !sealed.has("aa"));
        assert_eq!(parse("").unwrap().keys[0].to_string(), "age age1x");
    }

    #[test]
    fn what_is_not_encrypted_is_refused_and_not_shown() {
        for (text, expected) in [
            ("a: {b: hush}\n", "environments/prod/secrets.yaml:1: the value of `a.b` is not encrypted"),
            ("a: 5432\n", "environments/prod/secrets.yaml:1: the value of `a` is not encrypted"),
            ("x: ''\nb_unencrypted: hush\n", "environments/prod/secrets.yaml:2: the value of `b_unencrypted` is not"),
            ("a: [hush: {\n", "environments/prod/secrets.yaml:"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
            assert!(!format!("{error:?}").contains("hush"), "{error:?}");
        }
        let error = SealedFile::parse("f", b"a: hush\n").unwrap_err();
        assert_eq!(error.to_string(), "f is not encrypted: it has no `sops` block");
    }

    #[test]
    fn settings_that_leave_values_in_the_clear_are_found_before_anything_is_written() {
        let file = parse("").unwrap();
        assert!(file.would_seal("a.b").is_ok());
        assert!(file.would_seal("a.b_unencrypted").is_err());
        let partly = SealedFile::parse("f", format!("{BLOCK}  encrypted_regex: '^data$'\n").as_bytes()).unwrap();
        let error = partly.would_seal("a.b").unwrap_err();
        assert_eq!(
            error.to_string(),
            "f: its `sops` block has `encrypted_regex`, so that not every value would be encrypted"
        );
    }
}
