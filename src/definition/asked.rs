//! `secret()` for templates: gives tokens, and remembers who asked for which secret where, because names can only be
//! checked when all releases are read. Must not know any secret.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tera::{Kwargs, State, Tera, TeraResult};

use super::token::{self, Encoding, SecretUse, tokens};
use crate::yaml::{Node, Problem, Sources, Span, Value};

/// Everything that was asked for; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    by_token: BTreeMap<String, Secret>,
    /// Tokens given since the leaf began.
    leaf: Vec<String>,
    places: Vec<(String, Span)>,
}

#[derive(Clone)]
struct Secret {
    name: String,
    encoding: Encoding,
    dummy: Option<String>,
}

impl Asked {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `secret(name, encode, dummy)` known to templates.
    pub fn register(&self, tera: &mut Tera) {
        let asked = self.clone();
        tera.register_function("secret", move |arguments: Kwargs, _: &State| -> TeraResult<String> {
            let name = arguments.must_get::<String>("name")?;
            let encode = arguments.get::<String>("encode")?;
            let dummy = arguments.get::<String>("dummy")?;
            let encoding = Encoding::parse(encode.as_deref().unwrap_or("raw"))
                .ok_or_else(|| tera::Error::message("`encode` of secret() is raw, b64, url or json"))?;
            let token = asked.give(&name, encoding, dummy);
            asked.inner().leaf.push(token.clone());
            Ok(token)
        });
    }

    fn give(&self, name: &str, encoding: Encoding, dummy: Option<String>) -> String {
        let token = token::token(name, encoding, dummy.as_deref());
        let secret = Secret { name: name.to_owned(), encoding, dummy };
        self.inner().by_token.insert(token.clone(), secret);
        token
    }

    /// A token for a place that is no template.
    pub fn place(&self, name: &str, encoding: Encoding, span: Span) -> String {
        self.inner().places.push((name.to_owned(), span));
        self.give(name, encoding, None)
    }

    /// A leaf is about to be evaluated.
    pub fn begin(&self) {
        self.inner().leaf.clear();
    }

    /// A leaf was evaluated: every token that it was given must still be in it whole.
    pub fn end(&self, sources: &Sources, span: Span, value: Option<&Node>) -> Result<(), Problem> {
        let mut inner = self.inner();
        for token in std::mem::take(&mut inner.leaf) {
            let Some(name) = inner.by_token.get(&token).map(|secret| secret.name.clone()) else { continue };
            if !value.is_some_and(|node| holds(node, &token)) {
                let problem = Problem::new(format!("secret `{name}` does not come out of this template whole"));
                return Err(problem.at(sources, span).help(
                    "no filter or condition can look into a secret; to encode it write secret(…, encode=\"b64\"), or url, or json",
                ));
            }
            inner.places.push((name, span));
        }
        Ok(())
    }

    /// What a tree of values asks for, each token once, where it stands first.
    pub fn uses(&self, sources: &Sources, node: &Node) -> Result<Vec<SecretUse>, Problem> {
        let mut found = Vec::new();
        self.collect(sources, node, &mut found)?;
        Ok(found)
    }

    fn collect(&self, sources: &Sources, node: &Node, found: &mut Vec<SecretUse>) -> Result<(), Problem> {
        match &node.value {
            Value::String(text) => self.in_text(sources, text, node.span, found),
            Value::List(items) => {
                for item in items {
                    self.collect(sources, item, found)?;
                }
            }
            Value::Map(map) => {
                for entry in &map.0 {
                    let mut in_key = Vec::new();
                    self.in_text(sources, &entry.key, entry.key_span, &mut in_key);
                    if let Some(used) = in_key.first() {
                        let problem = Problem::new(format!("secret `{}` is used as a key", used.name));
                        return Err(problem.at(sources, entry.key_span).help("a secret can only be a value"));
                    }
                    self.collect(sources, &entry.node, found)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What a text asks for.
    pub fn in_text(&self, sources: &Sources, text: &str, span: Span, found: &mut Vec<SecretUse>) {
        for token in tokens(text) {
            let known = self.inner().by_token.get(token).cloned();
            let Some(Secret { name, encoding, dummy }) = known else { continue };
            if !found.iter().any(|used| used.token == token) {
                let (token, at) = (token.to_owned(), sources.excerpt(span));
                found.push(SecretUse { name, encoding, token, dummy, span, at });
            }
        }
    }

    /// Each token that was given, with the secret's name and how it is written, as people are shown it.
    pub fn shown(&self) -> BTreeMap<String, String> {
        let shown = |secret: &Secret| match secret.encoding {
            Encoding::Raw => format!("<secret {}>", secret.name),
            encoding => format!("<secret {} {}>", secret.name, encoding.word()),
        };
        self.inner().by_token.iter().map(|(token, secret)| (token.clone(), shown(secret))).collect()
    }

    /// Every name that was asked for, with the place; each once.
    pub fn names(&self) -> Vec<(String, Span)> {
        let mut places = self.inner().places.clone();
        places.sort_by(|a, b| (&a.0, a.1.source, a.1.start).cmp(&(&b.0, b.1.source, b.1.start)));
        places.dedup();
        places
    }
}

fn holds(node: &Node, token: &str) -> bool {
    match &node.value {
        Value::String(text) => text.contains(token),
        Value::List(items) => items.iter().any(|item| holds(item, token)),
        Value::Map(map) => map.0.iter().any(|entry| entry.key.contains(token) || holds(&entry.node, token)),
        _ => false,
    }
}
