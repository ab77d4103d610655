//! `secrets:` of release.yaml: Kubernetes Secrets that are made before the release, because charts want them to exist.
//! Typed and strict; texts hold tokens. Must not know any secret.

use std::collections::BTreeMap;

use super::asked::Asked;
use super::file::dns_label;
use super::generate::{self, Declaration};
use super::scope::{Leaf, Scope};
use super::template::Evaluator;
use super::token::{Encoding, SecretUse};
use crate::yaml::{Entry, Fields, Node, Problem, Sources, Span, Value};

/// A Kubernetes Secret to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesSecret {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Labels beside our own.
    pub labels: BTreeMap<String, String>,
    /// Its entries: texts in which tokens stand for secrets.
    pub data: BTreeMap<String, String>,
    /// The secrets it asks for.
    pub uses: Vec<SecretUse>,
    /// Where it is declared.
    pub span: Span,
}

/// One as the file has it, before templates are evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeclaredSecret {
    name: String,
    kind: String,
    labels: BTreeMap<String, String>,
    data: Vec<(String, Content)>,
    span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Value(String),
    Ref { name: String, encoding: Encoding, span: Span, generate: Option<Declaration>, declares: String },
    Template { text: String, span: Span },
}

/// Reads the list.
pub(super) fn typed(sources: &Sources, nodes: &[Node]) -> Result<Vec<DeclaredSecret>, Problem> {
    let mut found: Vec<DeclaredSecret> = Vec::new();
    for node in nodes {
        let secret = one(sources, node)?;
        if let Some(first) = found.iter().find(|other| other.name == secret.name) {
            let problem = Problem::new(format!("Secret `{}` is declared twice", secret.name));
            return Err(problem.at(sources, secret.span).note("the other one", sources, first.span));
        }
        found.push(secret);
    }
    Ok(found)
}

fn one(sources: &Sources, node: &Node) -> Result<DeclaredSecret, Problem> {
    let mut fields = Fields::of(sources, node, "a Secret")?;
    let span = fields.need("name")?.span;
    let name = fields.need_string("name")?.to_owned();
    if name.len() > 253 || !name.split('.').all(|part| dns_label(part, 253)) {
        return Err(fields.problem(format!("`{name}` is no legal name of a Secret"), span));
    }
    let kind = fields.string("type")?.unwrap_or("Opaque").to_owned();
    let labels = fields.string_map("labels")?.into_iter().collect();
    fields.need("data")?;
    let data = fields.map("data")?.iter().map(|entry| content(sources, entry)).collect::<Result<_, _>>()?;
    fields.finish()?;
    Ok(DeclaredSecret { name, kind, labels, data, span })
}

fn content(sources: &Sources, entry: &Entry) -> Result<(String, Content), Problem> {
    let key = &entry.key;
    let at_key = |message: String| Problem::new(message).at(sources, entry.key_span);
    if key.len() > 253 || !key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        return Err(at_key(format!("`{key}` is no legal key of a Secret"))
            .help("use letters, digits, dashes, dots and underscores"));
    }
    let what = format!("`{key}`");
    let mut fields = Fields::of(sources, &entry.node, &what)?;
    let (value, template, reference) = (fields.get("value"), fields.get("template"), fields.get("ref"));
    let content = match (value, template, reference) {
        (Some(node), None, None) => Content::Value(fields.text(node, "value")?.to_owned()),
        (None, Some(node), None) => {
            Content::Template { text: fields.text(node, "template")?.to_owned(), span: node.span }
        }
        (None, None, Some(node)) => reference_of(sources, &mut fields, node)?,
        _ => return Err(at_key(format!("`{key}` must have one of `value`, `ref` and `template`"))),
    };
    fields.finish()?;
    Ok((key.clone(), content))
}

fn reference_of(sources: &Sources, fields: &mut Fields, node: &Node) -> Result<Content, Problem> {
    let declares = fields.need_string("ref")?.to_owned();
    let name = match fields.string("part")? {
        None => declares.clone(),
        Some(part) if generate::PARTS.contains(&part) => format!("{declares}.{part}"),
        Some(part) => {
            let span = fields.need("part")?.span;
            let problem = fields.problem(format!("unknown part `{part}`"), span);
            return Err(problem.help("a certificate has the parts cert, key and ca"));
        }
    };
    let encoding = match fields.string("encode")? {
        None => Encoding::Raw,
        Some(text) => {
            let span = fields.need("encode")?.span;
            let unknown = || fields.problem(format!("unknown encoding `{text}`"), span);
            Encoding::parse(text).ok_or_else(|| unknown().help("write raw, b64, url or json"))?
        }
    };
    let generate = fields.get("generate").map(|node| generate::typed(sources, node)).transpose()?;
    Ok(Content::Ref { name, encoding, span: node.span, generate, declares })
}

impl DeclaredSecret {
    /// What it declares to be generated, by name.
    pub fn generated(&self) -> impl Iterator<Item = (&str, &Declaration)> {
        self.data.iter().filter_map(|(_, content)| match content {
            Content::Ref { generate: Some(generate), declares, .. } => Some((declares.as_str(), generate)),
            _ => None,
        })
    }

    /// The same with its templates evaluated and tokens for what it refers to.
    pub fn evaluated(
        &self,
        sources: &Sources,
        evaluator: &Evaluator,
        asked: &Asked,
        scope: &dyn Scope,
    ) -> Result<KubernetesSecret, Problem> {
        let (mut data, mut uses) = (BTreeMap::new(), Vec::new());
        for (key, content) in &self.data {
            let (text, span) = match content {
                Content::Value(text) => (text.clone(), self.span),
                Content::Ref { name, encoding, span, .. } => (asked.place(name, *encoding, *span), *span),
                Content::Template { text, span } => {
                    let node = evaluator.leaf(Leaf { sources, text, span: *span }, scope)?;
                    let node = node.unwrap_or(Node::new(Value::Null, *span));
                    (plain(sources, &node)?, *span)
                }
            };
            if !matches!(content, Content::Value(_)) {
                asked.in_text(sources, &text, span, &mut uses);
            }
            data.insert(key.clone(), text);
        }
        let DeclaredSecret { name, kind, labels, span, .. } = self.clone();
        Ok(KubernetesSecret { name, kind, labels, data, uses, span })
    }
}

/// A template's result as the text of an entry.
fn plain(sources: &Sources, node: &Node) -> Result<String, Problem> {
    match &node.value {
        Value::String(text) => Ok(text.clone()),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => Ok(node.to_json().to_string()),
        other => Err(Problem::new(format!("the template gives {}, and a Secret holds text", other.kind()))
            .at(sources, node.span)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::Names;
    use super::*;

    fn read(text: &str) -> Result<Vec<DeclaredSecret>, Problem> {
        let mut sources = Sources::default();
        let id = sources.add("release.yaml", text);
        let node = sources.read(id)?;
        typed(&sources, node.get("secrets").unwrap().as_list().unwrap())
    }

    #[test]
    fn texts_hold_tokens() {
        let text = "secrets:\n- name: db\n  labels: {a: b}\n  data:\n    user: {value: mlflow}\n    \
            crt: {ref: minio.tls, part: cert, encode: json, generate: {ca: {commonName: x}}}\n    \
            uri: {template: \"pg://{{ values.u }}:{{ secret('db.pw', encode='url') }}@h\"}\n";
        let secret = &read(text).unwrap()[0];
        assert_eq!(secret.generated().map(|(name, _)| name).collect::<Vec<_>>(), ["minio.tls"]);
        let asked = Asked::default();
        let values = crate::yaml::parse_generated("values.yaml", "u: me").unwrap();
        let names = Names::new(&values, tera::Context::new());
        let scope = names.of_release("x", "ns");
        let made = secret.evaluated(&Sources::default(), &Evaluator::new(&asked), &asked, &scope).unwrap();
        assert_eq!((made.kind.as_str(), made.data["user"].as_str()), ("Opaque", "mlflow"));
        let names: Vec<_> = made.uses.iter().map(|used| (used.name.as_str(), used.encoding)).collect();
        assert_eq!(names, [("minio.tls.cert", Encoding::Json), ("db.pw", Encoding::Url)]);
        assert_eq!(made.data["crt"], made.uses[0].token);
        assert_eq!(made.data["uri"], format!("pg://me:{}@h", made.uses[1].token));
    }

    #[test]
    fn mistakes_name_their_line() {
        for (rest, expected) in [
            ("- name: No_\n  data: {}\n", "release.yaml:2:9: `No_` is no legal name"),
            ("- name: a\n", "release.yaml:2:3: a Secret has no `data`"),
            ("- name: a\n  data: {k: {}}\n", "release.yaml:3:10: `k` must have one of"),
            ("- name: a\n  data: {k: {value: x, ref: y}}\n", "release.yaml:3:10: `k` must have one of"),
            ("- name: a\n  data: {k/: {value: x}}\n", "release.yaml:3:10: `k/` is no legal key"),
            ("- name: a\n  data: {k: {ref: x, part: crt}}\n", "release.yaml:3:28: unknown part `crt`"),
            ("- name: a\n  data: {k: {ref: x, encode: hex}}\n", "release.yaml:3:30: unknown encoding `hex`"),
            ("- name: a\n  data: {k: {value: x, generate: {}}}\n", "release.yaml:3:24: unknown key `generate`"),
            ("- name: a\n  data: {}\n- name: a\n  data: {}\n", "release.yaml:4:9: Secret `a` is declared twice"),
            ("- name: a\n  typ: x\n  data: {}\n", "release.yaml:3:3: unknown key `typ`"),
        ] {
            let problem = read(&format!("secrets:\n{rest}")).unwrap_err();
            assert!(problem.to_string().starts_with(expected), "{problem}");
        }
    }
}
