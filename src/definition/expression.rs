//! Reads the code in a template without running it: where expressions stand, which names and functions they use, and
//! whether a text is one whole expression. Must not evaluate anything; what it can't read is left to the engine, which
//! says what is wrong.

use std::ops::Range;

use super::path::{Path, Step};

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Code<'t> {
    /// What it is.
    pub kind: Kind,
    /// Where it stands, delimiters included.
    pub range: Range<usize>,
    /// What it is made of, without delimiters.
    pub tokens: Vec<Token<'t>>,
}

/// What a part of a template is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `{{ … }}`
    Expression,
    /// `{% … %}`
    Statement,
}

/// A word, a text in quotes, a number, or marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub text: &'t str,
    pub at: usize,
}

/// Something that a template names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name<'t> {
    /// `values`, `environment`, `release` or `nodes`.
    pub root: &'t str,
    /// What below it, as far as that is written out.
    pub path: Path,
    /// Where in the template.
    pub range: Range<usize>,
}

/// A function that a template calls with a text as its first argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call<'t> {
    pub function: &'t str,
    pub argument: String,
}

/// The names that templates have at hand.
pub(super) const ROOTS: [&str; 5] = ["values", "environment", "release", "nodes", "releases"];

/// Whether a text has anything to evaluate.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

impl Token<'_> {
    /// One past its last byte.
    pub fn end(&self) -> usize {
        self.at + self.text.len()
    }

    fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }

    /// The text, when it is one in quotes.
    fn literal(&self) -> Option<String> {
        let quote = self.text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
        let inner = self.text.strip_prefix(quote)?.strip_suffix(quote)?;
        let mut text = String::with_capacity(inner.len());
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            text.push(match c {
                '\\' => match chars.next()? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    c => c,
                },
                c => c,
            });
        }
        Some(text)
    }
}

/// The code of a template, in its order; `None` when it can't be read to its end.
pub(super) fn code(text: &str) -> Option<Vec<Code<'_>>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find('{').map(|i| at + i) {
        let kind = match text.as_bytes().get(open + 1) {
            Some(b'{') => Kind::Expression,
            Some(b'%') => Kind::Statement,
            Some(b'#') => {
                at = open + text[open..].find("#}")? + 2;
                continue;
            }
            _ => {
                at = open + 1;
                continue;
            }
        };
        let (tokens, end) = tokens(text, open + 2, kind)?;
        at = end;
        if kind == Kind::Statement && tokens.len() == 1 && tokens[0].text == "raw" {
            at = end_of_raw(text, end)?;
            continue;
        }
        found.push(Code { kind, range: open..end, tokens });
    }
    Some(found)
}

fn end_of_raw(text: &str, mut at: usize) -> Option<usize> {
    loop {
        let open = at + text[at..].find("{%")?;
        let close = open + text[open..].find("%}")? + 2;
        if text[open + 2..close - 2].trim_matches('-').trim() == "endraw" {
            return Some(close);
        }
        at = open + 2;
    }
}

/// The tokens up to the closing delimiter, and where it ends.
fn tokens(text: &str, mut at: usize, kind: Kind) -> Option<(Vec<Token<'_>>, usize)> {
    let close = if kind == Kind::Expression { "}}" } else { "%}" };
    let mut found = Vec::new();
    let mut depth = 0_usize;
    if text[at..].starts_with('-') {
        at += 1;
    }
    loop {
        let rest = &text[at..];
        let c = rest.chars().next()?;
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        if depth == 0 && (rest.starts_with(close) || rest.strip_prefix('-').is_some_and(|r| r.starts_with(close))) {
            return Some((found, at + rest.find(close)? + close.len()));
        }
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        let length = token_length(rest, c)?;
        found.push(Token { text: &rest[..length], at });
        at += length;
    }
}

fn token_length(rest: &str, c: char) -> Option<usize> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    if matches!(c, '"' | '\'' | '`') {
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, d)| {
            let closes = *d == c && !escaped;
            escaped = *d == '\\' && !escaped;
            closes
        });
        return end.map(|(i, d)| i + d.len_utf8());
    }
    if word(c) {
        return Some(rest.find(|c| !word(c)).unwrap_or(rest.len()));
    }
    let marks = ["...", "?.", "?[", "==", "!=", "<=", ">=", "**", "//"];
    Some(marks.iter().find(|mark| rest.starts_with(**mark)).map_or(c.len_utf8(), |mark| mark.len()))
}

/// The tokens of a text that is one whole `{{ … }}` and nothing else.
pub(super) fn whole(text: &str) -> Option<Code<'_>> {
    let offset = text.len() - text.trim_start().len();
    let end = text.trim_end().len();
    if !text[offset..].starts_with("{{") {
        return None;
    }
    let (tokens, close) = tokens(text, offset + 2, Kind::Expression)?;
    (close == end).then_some(Code { kind: Kind::Expression, range: offset..end, tokens })
}

/// What an expression names when it is a plain path and nothing else.
pub(super) fn plain_path<'t>(code: &Code<'t>) -> Option<Name<'t>> {
    let (name, used) = name_at(&code.tokens, 0)?;
    (used == code.tokens.len()).then_some(name)
}

/// Everything that the code names, in its order.
pub(super) fn names<'t>(code: &[Code<'t>]) -> Vec<Name<'t>> {
    let each = code.iter().flat_map(|code| (0..code.tokens.len()).filter_map(|i| Some(name_at(&code.tokens, i)?.0)));
    each.collect()
}

/// The calls with a text as their first argument.
pub(super) fn calls<'t>(code: &[Code<'t>]) -> Vec<Call<'t>> {
    let mut found = Vec::new();
    for tokens in code.iter().map(|code| &code.tokens) {
        for (i, token) in tokens.iter().enumerate() {
            let next = |n: usize| tokens.get(i + n).map_or("", |token| token.text);
            if !token.is_word() || next(1) != "(" {
                continue;
            }
            let argument = if next(3) == "=" { tokens.get(i + 4) } else { tokens.get(i + 2) };
            if let Some(argument) = argument.and_then(Token::literal) {
                found.push(Call { function: token.text, argument });
            }
        }
    }
    found
}

/// The name that begins at a token, and the first token after it.
fn name_at<'t>(tokens: &[Token<'t>], start: usize) -> Option<(Name<'t>, usize)> {
    let first = &tokens[start];
    let before = start.checked_sub(1).map(|i| tokens[i].text);
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text);
    let below = matches!(before, Some("." | "?." | "|" | "for" | "is"));
    if !ROOTS.contains(&first.text) || below || matches!(text(start + 1), "=" | "(") {
        return None;
    }
    let mut path = Path::default();
    let mut i = start + 1;
    loop {
        match text(i) {
            "." | "?." if tokens.get(i + 1).is_some_and(Token::is_word) => {
                path.0.push(Step::Key(text(i + 1).to_owned()));
                i += 2;
            }
            "[" | "?[" if text(i + 2) == "]" => {
                let Some(step) = tokens.get(i + 1).and_then(subscript) else { break };
                path.0.push(step);
                i += 3;
            }
            _ => break,
        }
    }
    let range = first.at..tokens[i - 1].end();
    Some((Name { root: first.text, path, range }, i))
}

fn subscript(token: &Token) -> Option<Step> {
    token.literal().map(Step::Key).or_else(|| token.text.parse().ok().map(Step::Item))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<String> {
        let code = code(text).unwrap();
        names(&code).iter().map(|name| format!("{}:{}", name.root, name.path)).collect()
    }

    #[test]
    fn names_are_found_in_code_only() {
        assert_eq!(
            named("values.x {{ values.a?.b ~ values['c'][0] }} {{ myvalues.x }} {{ values }} {{ x.values.y }}"),
            ["values:a.b", "values:c[0]", "values:"]
        );
        assert_eq!(named("{{ 'values.no' ~ f(values=values.yes) }}{# values.comment #}"), ["values:yes"]);
        assert_eq!(
            named("{% raw %}{{ values.x }}{% endraw %}{% if nodes[0].arch == 'x' %}y{% endif %}"),
            ["nodes:[0].arch"]
        );
        assert_eq!(named("{{ values.a[values.k].b }}"), ["values:a", "values:k"]);
        assert_eq!(named("{{ values.a[1:] | values }}{{ m | map(values.b) }}"), ["values:a", "values:b"]);
        assert_eq!(named("{{ [v.x for v in values.list if v.y] }}"), ["values:list"]);
    }

    #[test]
    fn whole_expressions() {
        for (text, path) in [
            ("{{ values.a }}", Some("a")),
            (" {{- values['a.b'][2] -}} ", Some("\"a.b\"[2]")),
            ("{{ values.a }}x", None),
            ("{{ values.a or none }}", None),
            ("{{ values.a }}{{ values.b }}", None),
        ] {
            let found = whole(text).and_then(|code| plain_path(&code)).map(|name| name.path.to_string());
            assert_eq!(found.as_deref(), path, "{text}");
        }
        assert!(whole("{{ [{'a': {'b': '}}'}} for x in y] }}").is_some());
        assert!(whole("{{ a }} and {{ b }}").is_none());
        assert!(whole("{{ 'a\\'}}' }}").is_some());
    }

    #[test]
    fn what_is_not_closed_is_left_to_the_engine() {
        for text in ["{{ a", "{{ 'a }}", "{{ a ) }}", "{% if a", "{# x", "{% raw %}x"] {
            assert_eq!(code(text), None, "{text}");
        }
        assert_eq!(code("{ no } code }} %}").unwrap(), []);
    }

    #[test]
    fn calls_name_their_text() {
        let code = code("{{ secret('a.b', encode='url') ~ file(path=\"x\") ~ f(values.x) }}").unwrap();
        let found: Vec<_> = calls(&code).into_iter().map(|c| (c.function, c.argument)).collect();
        assert_eq!(found, [("secret", "a.b".to_owned()), ("file", "x".to_owned())]);
    }
}
