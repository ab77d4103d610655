//! Tokens: opaque texts that stand for secrets wherever values are looked at, hashed or rendered. Names only; must not
//! know any secret.

use crate::digest::Digest;
use crate::yaml::{Excerpt, Span};

/// What every token begins with.
const PREFIX: &str = "platctl-secret-";
/// Hexadecimal digits after it.
const DIGITS: usize = 32;

/// How a secret is written where its token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// As it is.
    Raw,
    /// Base64.
    B64,
    /// Percent-encoded, for a part of a URL.
    Url,
    /// As inside the quotes of a JSON string.
    Json,
}

/// A place that asks for a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretUse {
    /// The secret's name: its dotted path in secrets.yaml.
    pub name: String,
    /// How it is written.
    pub encoding: Encoding,
    /// What stands for it.
    pub token: String,
    /// What stands for it while nothing is installed, where a chart looks into it.
    pub dummy: Option<String>,
    /// Where it is asked for.
    pub span: Span,
    /// The same with the line's text.
    pub at: Excerpt,
}

impl Encoding {
    /// Reads `raw`, `b64`, `url` or `json`.
    pub fn parse(text: &str) -> Option<Encoding> {
        Some(match text {
            "raw" => Encoding::Raw,
            "b64" => Encoding::B64,
            "url" => Encoding::Url,
            "json" => Encoding::Json,
            _ => return None,
        })
    }

    /// The word that [`Encoding::parse`] reads.
    pub fn word(self) -> &'static str {
        match self {
            Encoding::Raw => "raw",
            Encoding::B64 => "b64",
            Encoding::Url => "url",
            Encoding::Json => "json",
        }
    }
}

/// The token of a secret. The same name, encoding and dummy give the same token everywhere, so that renders and hashes
/// stay what they are.
pub(super) fn token(name: &str, encoding: Encoding, dummy: Option<&str>) -> String {
    let identity = format!("{encoding:?}\n{name}\n{}", dummy.unwrap_or_default());
    format!("{PREFIX}{}", &Digest::of(identity).hex()[..DIGITS])
}

/// The tokens in a text, in its order.
pub fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(PREFIX).filter_map(|(at, _)| token_at(text, at))
}

fn token_at(text: &str, at: usize) -> Option<&str> {
    let digits = text.get(at + PREFIX.len()..at + PREFIX.len() + DIGITS)?;
    digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).then(|| &text[at..at + PREFIX.len() + DIGITS])
}

/// The text with each token replaced by what `with` gives for it; what it gives nothing for stays. What was put in is
/// not looked at again.
pub fn replace_tokens<T: AsRef<str>>(text: &str, with: impl Fn(&str) -> Option<T>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in text.match_indices(PREFIX) {
        let Some(token) = token_at(text, at).filter(|_| at >= done) else { continue };
        if let Some(replacement) = with(token) {
            out.push_str(&text[done..at]);
            out.push_str(replacement.as_ref());
            done = at + token.len();
        }
    }
    out.push_str(&text[done..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_name_and_encoding() {
        let raw = token("a.b", Encoding::Raw, None);
        assert_eq!(raw.len(), PREFIX.len() + DIGITS);
        assert_eq!(raw, token("a.b", Encoding::Raw, None));
        for other in [
            token("a.c", Encoding::Raw, None),
            token("a.b", Encoding::B64, None),
            token("a.b", Encoding::Raw, Some("x")),
        ] {
            assert_ne!(raw, other);
        }
    }

    #[test]
    fn tokens_are_found_and_replaced_inside_longer_texts() {
        let (a, b) = (token("a", Encoding::Raw, None), token("b", Encoding::Raw, None));
        let text = format!("é{a}:{b}@{a}x platctl-secret-12 platctl-secret-{}", "g".repeat(40));
        assert_eq!(tokens(&text).collect::<Vec<_>>(), [&a, &b, &a]);
        let replaced = replace_tokens(&text, |token| (token == a).then(|| format!("{b}!")));
        assert_eq!(replaced, text.replace(&a, &format!("{b}!")));
        assert_eq!(replace_tokens(&text, |_| None::<&str>), text);
    }
}
