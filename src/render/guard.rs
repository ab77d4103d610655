//! The guard: what a release will be, as salted hashes of the fields of its objects, and whether something is just that.
//! Order does not count, nor do the files of `crds/`, which helm is not given, nor what runs under `helm test` alone. Must
//! not hold a value: what is compared may be secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

use crate::object::{Object, Path, Step, Stream, descend};
use crate::yaml::{Node, Value, parse_generated};

/// What helm adds to the objects that it hands to a post-renderer, and takes off again: which file one comes from.
const FILE_NAME: &str = "postrenderer.helm.sh/postrender-filename";
/// How much of a hash is kept, in bytes: nobody gets to choose values so that they meet.
const HASH: usize = 16;
/// How many fields of an object are named when it differs.
const NAMED: usize = 3;

/// What hashes are made with, so that nobody finds out a short value by trying: a random number of one plan or one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Salt([u8; 32]);

/// A text that is no salt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a salt")]
pub struct InvalidSalt;

/// What a release will be: every object with its fields. It crosses a process border on its way to the post-renderer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    objects: Vec<ExpectedObject>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ExpectedObject {
    #[serde(flatten)]
    identity: Identity,
    /// Paths with the hash of what stands there.
    fields: BTreeMap<String, String>,
}

/// What an object is told from others by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    api_version: String,
    kind: String,
    /// None where it is the release's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    /// Which it is of those that are else the same, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    number: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// An object that is not what it was to be. It crosses a process border on its way from the post-renderer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The release.
    pub release: String,
    /// The object, for people.
    pub object: String,
    /// How.
    pub how: How,
}

/// How an object differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// It was not expected.
    More,
    /// It is not there.
    Less,
    /// Fields of it differ: how many, and the first of them.
    Fields {
        /// How many.
        count: usize,
        /// The paths of the first.
        first: Vec<String>,
    },
}

impl Salt {
    /// A salt of random bytes.
    pub fn new(bytes: [u8; 32]) -> Salt {
        Salt(bytes)
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }
}

impl fmt::Display for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<Salt> for String {
    fn from(salt: Salt) -> String {
        salt.to_string()
    }
}

impl TryFrom<String> for Salt {
    type Error = InvalidSalt;

    fn try_from(text: String) -> Result<Salt, InvalidSalt> {
        text.parse()
    }
}

impl FromStr for Salt {
    type Err = InvalidSalt;

    fn from_str(text: &str) -> Result<Salt, InvalidSalt> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(InvalidSalt);
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).map_err(|_| InvalidSalt)?;
        }
        Ok(Salt(bytes))
    }
}

impl Expected {
    /// What a stream holds, for a release in a namespace.
    pub fn of(stream: &Stream, namespace: &str, salt: &Salt) -> Expected {
        let key = salt.key();
        let guarded = stream.objects.iter().filter(|object| !object.is_from_crds_folder() && !object.is_test());
        let mut objects: Vec<ExpectedObject> = guarded
            .map(|object| {
                let fields = fields(stream, object, namespace, &key);
                ExpectedObject { identity: Identity::of(object, namespace), fields }
            })
            .collect();
        // Among those that are called alike their content decides which is which, not their order.
        objects.sort_by(|a, b| (&a.identity, &a.fields).cmp(&(&b.identity, &b.fields)));
        for at in 1..objects.len() {
            let (before, now) = (&objects[at - 1].identity, &objects[at].identity);
            if *before == (Identity { number: before.number, ..now.clone() }) {
                objects[at].identity.number = before.number + 1;
            }
        }
        Expected { objects }
    }

    /// Where something else, hashed with the same salt, is not as expected.
    pub fn differences(&self, release: &str, found: &Expected) -> Vec<Difference> {
        let (expected, others) = (self.by_identity(), found.by_identity());
        let difference = |object: &ExpectedObject, how| Difference {
            release: release.to_owned(),
            object: object.identity.to_string(),
            how,
        };
        let mut differences = Vec::new();
        for (identity, object) in &expected {
            match others.get(identity) {
                None => differences.push(difference(object, How::Less)),
                Some(found) => {
                    let paths = differing(&object.fields, &found.fields);
                    if !paths.is_empty() {
                        let (count, first) = (paths.len(), paths.into_iter().take(NAMED).collect());
                        differences.push(difference(object, How::Fields { count, first }));
                    }
                }
            }
        }
        let more = found.objects.iter().filter(|object| !expected.contains_key(&object.identity));
        differences.extend(more.map(|object| difference(object, How::More)));
        differences
    }

    fn by_identity(&self) -> BTreeMap<&Identity, &ExpectedObject> {
        self.objects.iter().map(|object| (&object.identity, object)).collect()
    }
}

/// The paths at which fields are not as expected.
fn differing(expected: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Vec<String> {
    let changed = expected.iter().filter(|(path, hash)| found.get(*path) != Some(*hash));
    let more = found.keys().filter(|path| !expected.contains_key(*path));
    let paths: BTreeSet<&String> = changed.map(|(path, _)| path).chain(more).collect();
    paths.into_iter().cloned().collect()
}

impl Identity {
    fn of(object: &Object, namespace: &str) -> Identity {
        Identity {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone().filter(|own| own != namespace),
            name: object.name.clone(),
            number: 0,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// Every leaf of an object with its hash.
fn fields(stream: &Stream, object: &Object, namespace: &str, key: &hmac::Key) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut visit = |path: &Path, node: &Node| match leaf(path, node, namespace) {
        Leaf::Left => None,
        Leaf::Below => Some(()),
        Leaf::Is(text) => {
            let path = path.to_string();
            let hash = hashed(key, &path, &text);
            fields.insert(path, hash);
            None
        }
    };
    let mut whole = |node: &Node| descend(node, &(), &mut Path::default(), &mut |path, node, ()| visit(path, node));
    // The tree of a definition is kept without its schemas; here they count.
    if object.kind == "CustomResourceDefinition"
        && let Ok(node) = parse_generated("rendered", stream.text_of(object))
    {
        whole(&node);
    } else {
        whole(&object.node);
    }
    fields
}

/// What a value is for the comparison.
enum Leaf {
    /// Nothing.
    Left,
    /// What is below it.
    Below,
    /// This text, which tells values of any two types apart.
    Is(String),
}

fn leaf(path: &Path, node: &Node, namespace: &str) -> Leaf {
    let keys = path.0.iter().map(|step| match step {
        Step::Key(key) => key.as_str(),
        _ => "",
    });
    match (keys.collect::<Vec<&str>>().as_slice(), &node.value) {
        (["metadata", "annotations", FILE_NAME], _) => Leaf::Left,
        // helm leaves an empty map behind where it took its own off.
        (["metadata", "annotations"], value) if is_empty(value) => Leaf::Left,
        (["metadata", "namespace"], Value::String(own)) if own == namespace => Leaf::Left,
        // One hash for all of it: it has thousands of fields, of which nobody wants to read one.
        ([.., "openAPIV3Schema"], _) => Leaf::Is(canonical(node)),
        (_, Value::Map(map)) if !map.0.is_empty() => Leaf::Below,
        (_, Value::List(items)) if !items.is_empty() => Leaf::Below,
        _ => Leaf::Is(canonical(node)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Map(map) => map.0.iter().all(|entry| entry.key == FILE_NAME),
        _ => false,
    }
}

/// A value as JSON with sorted keys; a whole number is the same however it is written.
fn canonical(node: &Node) -> String {
    match &node.value {
        Value::Map(map) => {
            let sorted: BTreeMap<&str, &Node> = map.0.iter().map(|entry| (entry.key.as_str(), &entry.node)).collect();
            let entries =
                sorted.into_iter().map(|(key, node)| format!("{}:{}", serde_json::Value::from(key), canonical(node)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        Value::List(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        // Below 2^53 each whole number has exactly one float.
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => format!("{number:.0}"),
        _ => node.to_json().to_string(),
    }
}

fn hashed(key: &hmac::Key, path: &str, value: &str) -> String {
    let tag = hmac::sign(key, format!("{}:{path}{value}", path.len()).as_bytes());
    tag.as_ref()[..HASH].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
