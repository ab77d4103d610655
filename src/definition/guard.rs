//! Puts guards into a template before it runs, so that no template eats time or memory without bound: everything that
//! is used is weighed, and so is everything that a comprehension, a loop or a variable keeps. Only inserts text, and
//! knows what stood where. Must not evaluate anything.

use std::ops::Range;

use super::expression::{Code, Kind, Token};

/// The filter that weighs a value, and refuses one that is not defined.
pub(super) const WEIGH: &str = "__weigh";
/// The same, but a value that is not defined may pass.
pub(super) const WEIGH_OPTIONAL: &str = "__weigh_optional";
/// The filter that weighs what is to become a text.
pub(super) const WEIGH_TEXT: &str = "__weigh_text";
/// The filter that weighs what is to be gone through.
pub(super) const WEIGH_ITEMS: &str = "__weigh_items";
/// The filter that hands an expression's value out with its type.
pub(super) const CAPTURE: &str = "__capture";

/// What a word may be that names nothing.
const KEYWORDS: [&str; 15] =
    ["and", "or", "not", "in", "is", "if", "else", "for", "true", "false", "True", "False", "none", "None", "null"];

/// The arguments that may stand first without their name.
const FIRST: [(&str, &str); 10] = [
    ("default", "value"),
    ("file", "path"),
    ("image", "ref"),
    ("indent", "width"),
    ("join", "sep"),
    ("quantity", "unit"),
    ("secret", "name"),
    ("split", "pat"),
    ("throw", "message"),
    ("nth", "n"),
];

/// A template with its guards.
#[derive(Debug)]
pub(super) struct Guarded {
    /// What is run.
    pub text: String,
    /// Offsets of parts of the new text with the offset in the old one; sorted.
    parts: Vec<(usize, usize)>,
}

/// Something that values have no use for, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forbidden {
    pub range: Range<usize>,
    pub message: String,
}

impl Guarded {
    /// Where a part of the new text stood in the old one.
    pub fn original(&self, range: Range<usize>) -> Range<usize> {
        let start = self.offset(range.start);
        start..self.offset(range.end).max(start)
    }

    fn offset(&self, at: usize) -> usize {
        let part = self.parts.partition_point(|(new, _)| *new <= at).saturating_sub(1);
        let (new, old) = self.parts.get(part).copied().unwrap_or_default();
        let next = self.parts.get(part + 1).map_or(usize::MAX, |(_, old)| *old);
        (old + (at - new)).min(next)
    }
}

/// Guards a template whose code is known. Where it is `whole`, its value is captured.
pub(super) fn guard(text: &str, code: &[Code], whole: bool) -> Result<Guarded, Forbidden> {
    let mut inserts = Inserts::default();
    for part in code {
        Guarding { tokens: &part.tokens, open: Vec::new(), inserts: &mut inserts }.code(part)?;
        if let (true, Some(first), Some(last)) = (whole, part.tokens.first(), part.tokens.last()) {
            inserts.0.push((first.at, Order::Open, "(".to_owned()));
            inserts.0.push((last.end(), Order::Outer, format!(") | {CAPTURE} ")));
        }
    }
    Ok(inserts.into(text))
}

/// Of several texts at one place, which comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Name,
    Close,
    Outer,
    Open,
}

#[derive(Default)]
struct Inserts(Vec<(usize, Order, String)>);

impl Inserts {
    fn into(mut self, text: &str) -> Guarded {
        self.0.sort_by_key(|(at, order, _)| (*at, *order));
        let mut guarded = Guarded { text: String::with_capacity(text.len() * 2), parts: Vec::new() };
        let mut done = 0;
        for (at, _, inserted) in self.0 {
            guarded.parts.push((guarded.text.len(), done));
            guarded.text.push_str(&text[done..at]);
            guarded.parts.push((guarded.text.len(), at));
            guarded.text.push_str(&inserted);
            done = at;
        }
        guarded.parts.push((guarded.text.len(), done));
        guarded.text.push_str(&text[done..]);
        guarded
    }
}

/// A bracket that is open.
struct Open {
    at: usize,
    kind: Bracket,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Round,
    Curly,
    Subscript,
    Slice,
    List,
    /// A comprehension, between `for` and `in`.
    Variables,
    /// After its `in`.
    Items,
    /// After its `if`.
    Condition,
}

struct Guarding<'g, 't> {
    tokens: &'g [Token<'t>],
    open: Vec<Open>,
    inserts: &'g mut Inserts,
}

impl Guarding<'_, '_> {
    fn code(&mut self, code: &Code) -> Result<(), Forbidden> {
        let forbid = |range, message: String| Err(Forbidden { range, message });
        if let Some(token) = self.tokens.iter().find(|token| token.text.starts_with("__")) {
            return forbid(token.at..token.end(), format!("`{}` is not for use in files", token.text));
        }
        let first = match code.kind {
            Kind::Expression => 0,
            Kind::Statement => match self.text(0) {
                "if" | "elif" => 1,
                "else" | "endif" | "endfor" | "break" | "continue" => return Ok(()),
                "for" => self.after("in", code)?,
                "set" | "set_global" => self.after("=", code)?,
                other => return forbid(code.range.clone(), format!("`{{% {other} %}}` is not for use in values")),
            },
        };
        if first > 1 {
            let filter = if self.text(0) == "for" { WEIGH_ITEMS } else { WEIGH };
            self.insert(self.end(first - 1), Order::Open, " (");
            self.insert(self.end(self.tokens.len() - 1), Order::Outer, &format!(") | {filter} "));
        }
        (first..self.tokens.len()).for_each(|i| self.token(i));
        Ok(())
    }

    /// The first token of the expression in a statement.
    fn after(&self, word: &str, code: &Code) -> Result<usize, Forbidden> {
        let found = self.tokens.iter().position(|token| token.text == word).filter(|at| at + 1 < self.tokens.len());
        found.map(|at| at + 1).ok_or_else(|| Forbidden {
            range: code.range.clone(),
            message: format!("`{{% {} %}}` without `{word}` is not for use in values", self.text(0)),
        })
    }

    fn text(&self, i: usize) -> &str {
        self.tokens.get(i).map_or("", |token| token.text)
    }

    fn before(&self, i: usize) -> &str {
        i.checked_sub(1).map_or("", |i| self.text(i))
    }

    fn end(&self, i: usize) -> usize {
        self.tokens.get(i).map_or(0, Token::end)
    }

    fn insert(&mut self, at: usize, order: Order, text: &str) {
        self.inserts.0.push((at, order, text.to_owned()));
    }

    fn token(&mut self, i: usize) {
        let token = &self.tokens[i];
        // Where the token before ends, so that an error's place is that of what was weighed.
        let at = self.end(i.saturating_sub(1));
        let inside = self.open.last().map(|open| open.kind);
        match (token.text, inside) {
            ("(", _) => {
                self.argument(i);
                self.push(i, Bracket::Round);
            }
            ("{", _) => self.push(i, Bracket::Curly),
            ("?[", _) => self.push(i, Bracket::Subscript),
            ("[", _) if self.follows_value(i) => self.push(i, Bracket::Subscript),
            ("[", _) => self.push(i, Bracket::List),
            (")" | "]" | "}", _) => self.close(i),
            (":", Some(Bracket::Subscript)) => self.become_kind(Bracket::Slice),
            ("for", Some(Bracket::List)) => {
                let start = self.open.last().map_or(0, |open| self.end(open.at));
                self.insert(start, Order::Open, "(");
                self.insert(at, Order::Close, &format!(") | {WEIGH} "));
                self.become_kind(Bracket::Variables);
            }
            ("in", Some(Bracket::Variables)) => {
                self.insert(self.end(i), Order::Open, " (");
                self.become_kind(Bracket::Items);
            }
            ("if", Some(Bracket::Items)) => {
                self.insert(at, Order::Close, &format!(") | {WEIGH_ITEMS} "));
                self.become_kind(Bracket::Condition);
            }
            ("~", _) => self.insert(at, Order::Close, &format!(" | {WEIGH_TEXT} ")),
            ("|", _) if self.text(i + 1) != "default" => self.insert(at, Order::Close, &format!(" | {WEIGH} ")),
            (_, inside) if inside != Some(Bracket::Variables) && self.begins_name(i) => self.name(i),
            _ => {}
        }
    }

    fn push(&mut self, at: usize, kind: Bracket) {
        self.open.push(Open { at, kind });
    }

    fn become_kind(&mut self, kind: Bracket) {
        if let Some(open) = self.open.last_mut() {
            open.kind = kind;
        }
    }

    /// The engine knows arguments by name alone.
    fn argument(&mut self, i: usize) {
        let function = self.before(i);
        let named = self.text(i + 2) == "=" || self.text(i + 1) == ")";
        if let Some((_, name)) = FIRST.iter().find(|(first, _)| *first == function && !named) {
            self.insert(self.end(i), Order::Name, &format!("{name}="));
        }
    }

    fn close(&mut self, i: usize) {
        let at = self.end(i.saturating_sub(1));
        match self.open.pop().map(|open| open.kind) {
            // The engine takes two closing braces for the end of the expression.
            Some(Bracket::Curly) => self.insert(self.end(i), Order::Name, " "),
            Some(Bracket::Items) => self.insert(at, Order::Close, &format!(") | {WEIGH_ITEMS} ")),
            Some(Bracket::Slice) if !matches!(self.text(i + 1), "." | "?." | "?[") => {
                self.insert(self.end(i), Order::Name, &format!(" | {WEIGH} "));
            }
            _ => {}
        }
    }

    fn is_word(&self, i: usize) -> bool {
        self.text(i).starts_with(|c: char| c.is_alphabetic() || c == '_')
    }

    fn follows_value(&self, i: usize) -> bool {
        let before = self.before(i);
        matches!(before, ")" | "]")
            || before.starts_with(['"', '\'', '`'])
            || i > 0 && self.is_word(i - 1) && !KEYWORDS.contains(&before)
    }

    /// Whether a variable's name begins here: no keyword, filter, test, function, attribute or argument's name.
    fn begins_name(&self, i: usize) -> bool {
        let test = self.before(i) == "is" || self.before(i) == "not" && i > 1 && self.text(i - 2) == "is";
        self.is_word(i)
            && !KEYWORDS.contains(&self.text(i))
            && !matches!(self.before(i), "." | "?." | "|")
            && !test
            && !matches!(self.text(i + 1), "(" | "=")
    }

    /// Weighs what a name stands for, where it is used.
    fn name(&mut self, start: usize) {
        let mut i = start + 1;
        let mut optional = false;
        loop {
            match self.text(i) {
                "." | "?." if self.is_word(i + 1) => {
                    optional |= self.text(i) == "?.";
                    i += 2;
                }
                "[" | "?[" if self.text(i + 2) == "]" => {
                    optional |= self.text(i) == "?[";
                    i += 3;
                }
                _ => break,
            }
        }
        let filter = match self.text(i) {
            // Weighed by what follows, or only looked into.
            "|" | "~" | "is" | "[" | "?[" | "." | "?." => return,
            "or" => WEIGH_OPTIONAL,
            _ if optional => WEIGH_OPTIONAL,
            _ => WEIGH,
        };
        self.insert(self.end(i - 1), Order::Name, &format!(" | {filter} "));
    }
}

#[cfg(test)]
mod tests;
