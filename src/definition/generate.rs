//! What a release declares about secrets that are to be made: typed and strict. Data only; must not make any.

use std::collections::BTreeMap;

use crate::yaml::{Fields, Node, Problem, Sources, Span};

/// Length of a random text when none is declared.
const DEFAULT_LENGTH: usize = 32;
/// Shorter ones are guessed.
const MIN_LENGTH: usize = 8;
/// The longest that makes sense in a Kubernetes Secret.
const MAX_LENGTH: usize = 4096;
/// How long an authority of our own is good for when nothing is declared.
const DEFAULT_CA_DAYS: u32 = 3650;
/// How long a certificate is good for when nothing is declared.
const DEFAULT_TLS_DAYS: u32 = 825;

/// How a secret is made when it is not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Generate {
    /// A random text.
    Random {
        /// Characters.
        length: usize,
        /// Which characters.
        alphabet: Alphabet,
    },
    /// A certificate authority of our own: a map of `cert`, `key` and `ca`, PEM each.
    Ca {
        /// Its name.
        common_name: String,
        /// How long it is good for.
        days: u32,
    },
    /// A key with a certificate: a map of `cert`, `key` and `ca`, PEM each.
    Tls {
        /// Its name.
        common_name: String,
        /// Names and addresses it stands for.
        dns_names: Vec<String>,
        /// Name of the secret that holds the authority.
        ca: String,
        /// How long it is good for.
        days: u32,
    },
    /// A line `user:hash` for HTTP servers.
    Htpasswd {
        /// The user.
        user: String,
        /// Name of the secret that holds the password.
        password: String,
    },
}

/// The characters of a random text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// Letters and digits.
    Alnum,
    /// Letters.
    Alpha,
    /// Digits.
    Digits,
    /// Lowercase hexadecimal digits.
    Hex,
    /// Letters, digits and signs that need no quoting in a shell, a URL's query or YAML: `-_.~`.
    Unreserved,
}

/// The keys of a secret that holds a certificate.
pub const PARTS: [&str; 3] = ["cert", "key", "ca"];

/// A declaration and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// What is declared.
    pub generate: Generate,
    /// Where.
    pub span: Span,
}

/// What is to be made, by the secret's name.
pub type Declarations = BTreeMap<String, Declaration>;

impl Alphabet {
    /// Its characters.
    pub fn characters(self) -> &'static str {
        match self {
            Alphabet::Alnum => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            Alphabet::Alpha => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            Alphabet::Digits => "0123456789",
            Alphabet::Hex => "0123456789abcdef",
            Alphabet::Unreserved => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~",
        }
    }

    fn parse(text: &str) -> Option<Alphabet> {
        Some(match text {
            "alnum" => Alphabet::Alnum,
            "alpha" => Alphabet::Alpha,
            "digits" => Alphabet::Digits,
            "hex" => Alphabet::Hex,
            "unreserved" => Alphabet::Unreserved,
            _ => return None,
        })
    }
}

impl Generate {
    /// Whether a map of [`PARTS`] is made, not one text.
    pub fn has_parts(&self) -> bool {
        matches!(self, Generate::Ca { .. } | Generate::Tls { .. })
    }

    /// The names of other secrets that must be there first.
    pub fn needs(&self) -> Option<&str> {
        match self {
            Generate::Tls { ca, .. } => Some(ca),
            Generate::Htpasswd { password, .. } => Some(password),
            Generate::Random { .. } | Generate::Ca { .. } => None,
        }
    }
}

/// Whether a declaration covers a name: its own, or a part of what it makes.
pub(super) fn covers(declarations: &Declarations, name: &str) -> bool {
    let whole = declarations.get(name).is_some_and(|declaration| !declaration.generate.has_parts());
    let part = name.rsplit_once('.').is_some_and(|(name, part)| {
        PARTS.contains(&part) && declarations.get(name).is_some_and(|declaration| declaration.generate.has_parts())
    });
    whole || part
}

/// Adds a declaration; a different one for the same name is an error that names both lines.
pub(super) fn add(
    declarations: &mut Declarations,
    sources: &Sources,
    name: &str,
    declaration: Declaration,
) -> Result<(), Problem> {
    match declarations.get(name) {
        Some(first) if first.generate != declaration.generate => {
            Err(Problem::new(format!("secret `{name}` is declared twice, and differently"))
                .at(sources, declaration.span)
                .note("the other declaration", sources, first.span)
                .help("declare it once; other places only need its `ref`"))
        }
        Some(_) => Ok(()),
        None => {
            declarations.insert(name.to_owned(), declaration);
            Ok(())
        }
    }
}

/// Reads `generate: {…}`.
pub(super) fn typed(sources: &Sources, node: &Node) -> Result<Declaration, Problem> {
    let mut fields = Fields::of(sources, node, "`generate`")?;
    let mut kinds = Vec::new();
    for (key, read) in KINDS {
        if let Some(inner) = fields.get(key) {
            kinds.push(read(sources, inner)?);
        }
    }
    let random = random(&mut fields)?;
    fields.finish()?;
    let generate = match (kinds.pop(), random) {
        (Some(kind), None) if kinds.is_empty() => kind,
        (None, random) => random.unwrap_or(Generate::Random { length: DEFAULT_LENGTH, alphabet: Alphabet::Alnum }),
        _ => {
            let problem = Problem::new("`generate` declares more than one kind of secret").at(sources, node.span);
            return Err(problem.help("keep one of: length and alphabet, tls, ca, htpasswd"));
        }
    };
    Ok(Declaration { generate, span: node.span })
}

type Read = fn(&Sources, &Node) -> Result<Generate, Problem>;

const KINDS: [(&str, Read); 3] = [("ca", ca), ("tls", tls), ("htpasswd", htpasswd)];

fn random(fields: &mut Fields) -> Result<Option<Generate>, Problem> {
    let (length, alphabet) = (fields.get("length"), fields.get("alphabet"));
    if length.is_none() && alphabet.is_none() {
        return Ok(None);
    }
    let chars = match fields.int("length")? {
        None => DEFAULT_LENGTH,
        Some(n) => usize::try_from(n).ok().filter(|n| (MIN_LENGTH..=MAX_LENGTH).contains(n)).ok_or_else(|| {
            let span = length.map_or(fields.span(), |node| node.span);
            fields.problem(format!("`length` must be between {MIN_LENGTH} and {MAX_LENGTH}"), span)
        })?,
    };
    let alphabet = match alphabet {
        None => Alphabet::Alnum,
        Some(node) => {
            let text = fields.text(node, "alphabet")?;
            Alphabet::parse(text).ok_or_else(|| {
                fields
                    .problem(format!("unknown alphabet `{text}`"), node.span)
                    .help("write alnum, alpha, digits, hex or unreserved")
            })?
        }
    };
    Ok(Some(Generate::Random { length: chars, alphabet }))
}

fn ca(sources: &Sources, node: &Node) -> Result<Generate, Problem> {
    let mut fields = Fields::of(sources, node, "`ca`")?;
    let generate = Generate::Ca {
        common_name: fields.need_string("commonName")?.to_owned(),
        days: days(&mut fields, DEFAULT_CA_DAYS)?,
    };
    fields.finish()?;
    Ok(generate)
}

fn tls(sources: &Sources, node: &Node) -> Result<Generate, Problem> {
    let mut fields = Fields::of(sources, node, "`tls`")?;
    let generate = Generate::Tls {
        common_name: fields.need_string("commonName")?.to_owned(),
        dns_names: fields.strings("dnsNames")?.into_iter().map(|(name, _)| name).collect(),
        ca: fields.need_string("ca")?.to_owned(),
        days: days(&mut fields, DEFAULT_TLS_DAYS)?,
    };
    fields.finish()?;
    Ok(generate)
}

fn htpasswd(sources: &Sources, node: &Node) -> Result<Generate, Problem> {
    let mut fields = Fields::of(sources, node, "`htpasswd`")?;
    let generate = Generate::Htpasswd {
        user: fields.need_string("user")?.to_owned(),
        password: fields.need_string("password")?.to_owned(),
    };
    fields.finish()?;
    Ok(generate)
}

fn days(fields: &mut Fields, default: u32) -> Result<u32, Problem> {
    match fields.int("days")? {
        None => Ok(default),
        Some(n @ 1..=36500) => Ok(n as u32),
        Some(_) => {
            let span = fields.need("days")?.span;
            Err(fields.problem("`days` must be between 1 and 36500", span))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Generate, Problem> {
        let mut sources = Sources::default();
        let id = sources.add("release.yaml", text);
        let node = sources.read(id)?;
        typed(&sources, &node).map(|declaration| declaration.generate)
    }

    #[test]
    fn every_kind() {
        let random = |length, alphabet| Generate::Random { length, alphabet };
        assert_eq!(read("{}").unwrap(), random(32, Alphabet::Alnum));
        assert_eq!(read("length: 12\nalphabet: hex\n").unwrap(), random(12, Alphabet::Hex));
        assert_eq!(
            read("tls: {commonName: m, dnsNames: [m.svc], ca: site.ca}").unwrap(),
            Generate::Tls { common_name: "m".into(), dns_names: vec!["m.svc".into()], ca: "site.ca".into(), days: 825 }
        );
        assert_eq!(
            read("ca: {commonName: Site, days: 10}").unwrap(),
            Generate::Ca { common_name: "Site".into(), days: 10 }
        );
        assert_eq!(
            read("htpasswd: {user: u, password: a.b}").unwrap(),
            Generate::Htpasswd { user: "u".into(), password: "a.b".into() }
        );
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, expected) in [
            ("length: 3\n", "release.yaml:1:9: `length` must be between 8 and 4096"),
            ("alphabet: greek\n", "release.yaml:1:11: unknown alphabet `greek`"),
            ("length: 12\nca: {commonName: x}\n", "release.yaml:1:1: `generate` declares more than one kind"),
            ("ca: {commonName: x, days: 0}\n", "release.yaml:1:27: `days` must be between"),
            ("lenght: 12\n", "release.yaml:1:1: unknown key `lenght`"),
            ("tls: {commonName: x}\n", "release.yaml:1:6: `tls` has no `ca`"),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.to_string().starts_with(expected), "{problem}");
        }
    }

    #[test]
    fn parts_are_covered_and_differences_refused() {
        let mut sources = Sources::default();
        let id = sources.add("release.yaml", "a: {length: 9}\nb: {length: 10}\nc: {ca: {commonName: x}}\n");
        let node = sources.read(id).unwrap();
        let declared = |key: &str| typed(&sources, node.get(key).unwrap()).unwrap();
        let mut all = Declarations::new();
        add(&mut all, &sources, "x.y", declared("a")).unwrap();
        add(&mut all, &sources, "x.y", declared("a")).unwrap();
        add(&mut all, &sources, "site.ca", declared("c")).unwrap();
        let problem = add(&mut all, &sources, "x.y", declared("b")).unwrap_err();
        assert_eq!(problem.to_string(), "release.yaml:2:4: secret `x.y` is declared twice, and differently");
        assert_eq!((problem.notes[0].1.line, problem.notes[0].1.column), (1, 4));
        assert!(covers(&all, "x.y") && covers(&all, "site.ca.key"));
        assert!(!covers(&all, "site.ca") && !covers(&all, "x.y.key") && !covers(&all, "site.ca.nope"));
    }
}
