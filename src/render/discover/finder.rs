//! The walk that finds: what each value of an object is to discovery, through texts inside texts. Rules about keys, names
//! and parts are asked, not made, here.

use std::cell::OnceCell;
use std::sync::Arc;

use super::around::{Around, Document, holds_base64, in_pod_spec, is_example, key_of, switched_off};
use super::candidate::{Candidate, Level};
use super::named::{Look, named};
use super::parts::{self, Parts, parts};
use super::telling::{Telling, telling};
use super::words::{is_joined, is_name, is_pattern, mentions_images, words};
use super::{Found, Place};
use crate::image::Reference;
use crate::object::{Encoding, Object, Path, Step, Text, decoded, descend};
use crate::yaml::{Author, Map, Node, Sources, Value, parse};

/// The most texts that are read inside each other.
const MAX_DEPTH: usize = 4;

/// Finds in one object.
pub(super) struct Finder<'s> {
    /// The object.
    pub object: &'s Object,
    /// Its index in its stream.
    pub index: usize,
    /// The text of its document.
    pub source: &'s str,
    /// What was found.
    pub found: Vec<Candidate>,
}

/// A scalar with a text.
struct Leaf<'a> {
    document: &'a Document,
    path: &'a Path,
    node: &'a Node,
    encoding: Encoding,
    value: &'a str,
    /// The same as a text that can be edited, once it is needed.
    text: &'a OnceCell<Arc<Text>>,
    /// What its key tells.
    telling: Telling,
    off: bool,
    /// Whether it is remarked on an object, and not a part of it.
    remark: bool,
    /// Whether it may hold passwords.
    secret: bool,
}

impl Finder<'_> {
    /// Finds everything.
    pub fn run(&mut self) {
        let object = self.object;
        let document = Document {
            home: None,
            depth: 0,
            free: super::is_custom(&object.api_version),
            secret: object.kind == "Secret" && object.group().is_empty(),
        };
        self.document(&object.node, &document, &mut Path::default(), false);
    }

    fn document(&mut self, node: &Node, document: &Document, path: &mut Path, off: bool) {
        let around = Around { document, parent: None, above: Telling::Nothing, off, in_parts: false };
        descend(node, &around, path, &mut |path, node, around| self.visit(path, node, around));
    }

    fn visit<'n>(&mut self, path: &Path, node: &'n Node, around: &Around<'n>) -> Option<Around<'n>> {
        let mut below = Around { parent: Some(node), in_parts: false, ..around.clone() };
        match &node.value {
            Value::Map(map) => {
                below.above = path.key().map_or(Telling::Nothing, telling);
                self.keys(path, map, around);
                if around.document.free {
                    below.off |= switched_off(map);
                    let raw = |node: &Node| self.written(around.document, node).to_owned();
                    if let Some(parts) = parts(map, below.above, &raw) {
                        self.parts(path, around.document, parts, below.off);
                        below.in_parts = true;
                    }
                }
                Some(below)
            }
            Value::List(_) => Some(Around { above: around.above, ..below }),
            Value::String(text) => {
                self.scalar(path, node, text, around);
                None
            }
            _ => None,
        }
    }

    /// Keys that are images: only those that are known, since keys are names of anything.
    fn keys(&mut self, path: &Path, map: &Map, around: &Around<'_>) {
        for entry in map.0.iter().filter(|entry| entry.key.contains([':', '@'])) {
            let Some((image, _)) = named(&entry.key).filter(|(_, look)| *look != Look::Untagged) else { continue };
            let node = Node::new(Value::Null, entry.key_span);
            let text = self.text(around.document, &node, Encoding::Plain, &entry.key);
            let place = Place::Scalar { range: 0..entry.key.len(), text };
            let (image, text, level) = (Found::Image(image), entry.key.clone(), Level::Known);
            self.found.push(Candidate { path: path.child(&entry.key), text, image, place, level });
        }
    }

    /// A value as it is written.
    fn written<'a>(&'a self, document: &'a Document, node: &Node) -> &'a str {
        let text = document.home.as_ref().map_or(self.source, |home| home.value());
        text.get(node.span.start as usize..node.span.end as usize).unwrap_or_default()
    }

    fn parts(&mut self, path: &Path, document: &Document, parts: Parts<'_>, off: bool) {
        let text = |node: &&Node| self.text(document, node, Encoding::Plain, node.as_str().unwrap_or_default());
        let place = Place::Parts {
            names: parts.names.iter().map(text).collect(),
            digests: parts.digests.iter().map(text).collect(),
        };
        let level = match (off, parts.sure) {
            (true, _) => Level::Known,
            (false, true) => Level::Certain,
            (false, false) => Level::Probable,
        };
        self.found.push(Candidate {
            path: path.clone(),
            text: parts.text,
            image: Found::Image(parts.image),
            place,
            level,
        });
    }

    fn text(&self, document: &Document, node: &Node, encoding: Encoding, value: &str) -> Arc<Text> {
        match &document.home {
            Some(home) => home.within(node.span, encoding, value.to_owned()),
            None => Text::of_object(self.index, node.span, encoding, value.to_owned()),
        }
    }

    fn scalar(&mut self, path: &Path, node: &Node, text: &str, around: &Around<'_>) {
        let key = match path.0.last() {
            Some(Step::Key(key)) => key.as_str(),
            _ => "",
        };
        if around.in_parts && parts::KEYS.contains(&key) {
            return;
        }
        let document = around.document;
        let leaf = Leaf {
            document,
            path,
            node,
            encoding: Encoding::Plain,
            value: text,
            text: &OnceCell::new(),
            telling: key_of(path, around),
            off: around.off || is_example(document, path),
            remark: matches!(path.0.as_slice(), [.., Step::Key(above), Step::Key(_)] if above == "annotations"),
            secret: document.secret,
        };
        if in_pod_spec(path) {
            return self.container(&leaf);
        }
        if holds_base64(document, path) {
            if let Some(decoded) = decoded(text) {
                let text = OnceCell::new();
                self.any(&Leaf { encoding: Encoding::Base64, value: &decoded, text: &text, ..leaf });
            }
            return;
        }
        self.any(&leaf);
    }

    /// The image of a container or a volume: whatever stands there is one, but for patterns and templates, which only
    /// stand where others read.
    fn container(&mut self, leaf: &Leaf<'_>) {
        let value = leaf.value;
        let image = match value.parse::<Reference>() {
            Ok(image) => Found::Image(image),
            Err(_) if leaf.document.free && (value.is_empty() || leaf.document.depth > 0 || is_pattern(value)) => {
                return;
            }
            Err(invalid) => Found::Invalid(invalid.reason.to_owned()),
        };
        let doubtful = leaf.document.free && matches!(image, Found::Invalid(_));
        self.add(leaf, 0..value.len(), image, if doubtful { Level::Probable } else { Level::Certain });
    }

    /// A text of any kind.
    fn any(&mut self, leaf: &Leaf<'_>) {
        let several = leaf.value.trim_end().contains('\n');
        let document = several || leaf.value.trim_start().starts_with(['{', '[']);
        if document && leaf.document.depth < MAX_DEPTH && mentions_images(leaf.value) && self.inside(leaf) {
            return;
        }
        if several || !self.whole(leaf) {
            self.words(leaf);
        }
    }

    /// Reads a text as documents of YAML or JSON; false if it is none.
    fn inside(&mut self, leaf: &Leaf<'_>) -> bool {
        let mut sources = Sources::default();
        let id = sources.add("text", leaf.value);
        let Ok(documents) = parse(&sources, id, Author::Program) else { return false };
        if documents.is_empty() || !documents.iter().all(|d| matches!(d.value, Value::Map(_) | Value::List(_))) {
            return false;
        }
        let home = self.text_of(leaf);
        for (i, node) in documents.iter().enumerate() {
            let object = super::Identity::of(node);
            if object.as_ref().is_some_and(super::Identity::is_skipped) {
                continue;
            }
            let document = Document {
                home: Some(Arc::clone(&home)),
                depth: leaf.document.depth + 1,
                free: object.as_ref().is_none_or(|object| super::is_custom(object.api_version)),
                secret: object.as_ref().is_some_and(|object| object.kind == "Secret"),
            };
            let mut path = leaf.path.clone();
            path.0.push(Step::Text((documents.len() > 1).then_some(i + 1)));
            self.document(node, &document, &mut path, leaf.off);
        }
        true
    }

    /// A text that is one name, bare or behind `flag=`; true if there is nothing more to look for in it.
    fn whole(&mut self, leaf: &Leaf<'_>) -> bool {
        let (mut text, mut told) = (leaf.value.trim(), leaf.telling);
        while named(text).is_none()
            && let Some((flag, value)) = text.split_once('=').filter(|(flag, _)| is_name(flag))
        {
            told = told.max(telling(flag));
            text = value.trim_start();
        }
        text = text.strip_prefix("docker://").unwrap_or(text);
        let end = leaf.value.trim_end().len();
        let range = end - text.len()..end;
        let Some((image, look)) = named(text) else {
            let asked = told == Telling::Image && !leaf.remark && leaf.document.depth == 0 && is_joined(text);
            if asked {
                self.add(leaf, range, Found::Invalid("it is no image reference".to_owned()), Level::Probable);
            }
            return asked;
        };
        let level = match look {
            // A whole value without a tag is nothing, unless its own key calls it an image.
            Look::Untagged if told == Telling::Image && !leaf.remark => Level::Probable,
            Look::Untagged => return true,
            look => level(leaf, look, told),
        };
        self.add(leaf, range, Found::Image(image), level);
        true
    }

    /// References among the words of a text.
    fn words(&mut self, leaf: &Leaf<'_>) {
        let several = leaf.value.trim_end().contains('\n');
        for word in words(leaf.value) {
            let Some((image, look)) = named(word.text).filter(|(_, look)| *look != Look::Untagged) else { continue };
            let told = leaf.telling.max(telling(word.key));
            let range = word.start..word.start + word.text.len();
            let level = level(leaf, look, told);
            if several {
                let mut path = leaf.path.clone();
                path.0.push(Step::Line(word.line));
                self.add(&Leaf { path: &path, ..*leaf }, range, Found::Image(image), level);
            } else {
                self.add(leaf, range, Found::Image(image), level);
            }
        }
    }

    /// The text of a scalar, made once however many images are in it.
    fn text_of(&self, leaf: &Leaf<'_>) -> Arc<Text> {
        let make = || self.text(leaf.document, leaf.node, leaf.encoding, leaf.value);
        Arc::clone(leaf.text.get_or_init(make))
    }

    fn add(&mut self, leaf: &Leaf<'_>, range: std::ops::Range<usize>, image: Found, level: Level) {
        let level = if leaf.off { Level::Known } else { level };
        let text = self.text_of(leaf);
        let written = text.value()[range.clone()].to_owned();
        let place = Place::Scalar { text, range };
        self.found.push(Candidate { path: leaf.path.clone(), text: written, image, place, level });
    }
}

/// How sure a name is that looks like this, at a key that tells this much.
fn level(leaf: &Leaf<'_>, look: Look, told: Telling) -> Level {
    match (told, look) {
        (Telling::Image, _) | (Telling::Mention, Look::Whole) => Level::Certain,
        // A password may look like a tag, and what is asked about is shown.
        (Telling::Nothing, Look::Whole) if !leaf.remark && !leaf.secret => Level::Probable,
        _ => Level::Known,
    }
}
