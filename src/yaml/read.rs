//! From text to tree: documents, anchors, merge keys, duplicates. What Helm would read in a surprising way
//! (duplicate keys, a merge that overwrites earlier keys, keys that are no text) is refused with its place.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span as ParserSpan};

use super::{Entry, Map, Node, Problem, SourceId, Sources, Span, Value, scalar};

/// The most nodes that one text may hold, aliases expanded; far above any real chart, far below what hurts.
const MAX_NODES: usize = 2_000_000;
/// The deepest nesting allowed.
const MAX_DEPTH: usize = 200;

/// Who wrote a text, which decides how strictly keys are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// A person: a key that YAML reads as a number or boolean is refused.
    Person,
    /// A program, such as a chart's templates: such a key becomes text, as Kubernetes reads it.
    Program,
}

/// Reads every document of a source; empty documents are left out.
///
/// # Errors
/// The first [`Problem`].
pub fn parse(sources: &Sources, id: SourceId, author: Author) -> Result<Vec<Node>, Problem> {
    Reader::new(sources, id, author).documents()
}

/// Reads a text that a program wrote, as one document; `name` stands for its path in errors.
///
/// # Errors
/// The first [`Problem`].
pub fn parse_generated(name: &str, text: &str) -> Result<Node, Problem> {
    let mut sources = Sources::default();
    let id = sources.add(name, text);
    let mut found = parse(&sources, id, Author::Program)?;
    Ok(found.pop().unwrap_or(Node::new(Value::Null, Span::default())))
}

struct Reader<'a> {
    sources: &'a Sources,
    source: SourceId,
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    author: Author,
}

impl<'a> Reader<'a> {
    fn new(sources: &'a Sources, source: SourceId, author: Author) -> Reader<'a> {
        let text = sources.text(source);
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Reader { sources, source, parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0, author }
    }

    fn documents(mut self) -> Result<Vec<Node>, Problem> {
        let mut found = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(found),
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => {
                    let node = self.node(event, span, 0)?;
                    if node.value != Value::Null || span.start.byte_offset() != span.end.byte_offset() {
                        found.push(node);
                    }
                    self.anchors.clear();
                }
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, ParserSpan), Problem> {
        match self.parser.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => {
                let marker = *error.marker();
                let span = self.span(ParserSpan::new(marker, marker));
                let problem = Problem::new(format!("invalid YAML: {}", error.info())).at(self.sources, span);
                let text = self.sources.text(self.source);
                Err(match text.lines().any(|line| line.starts_with("<<<<<<< ")) {
                    true => problem.help("the file holds conflict markers of git: resolve the conflict first"),
                    false => problem,
                })
            }
            None => Ok((Event::StreamEnd, ParserSpan::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, at: ParserSpan, depth: usize) -> Result<Node, Problem> {
        let mut span = self.span(at);
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            return Err(self.problem("the document is too large or too deeply nested", span));
        }
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) && self.author == Author::Program {
                    span.start = header(self.sources.text(self.source), span.start as usize) as u32;
                }
                let forced = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let value = match style {
                    ScalarStyle::Plain if !forced => {
                        let value = scalar::resolve(&text).map_err(|message| self.problem(message, span))?;
                        self.refuse_rounding(&text, &value, span)?;
                        value
                    }
                    _ => Value::String(text.into_owned()),
                };
                (Node::new(value, span), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(span, depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(span, depth)?, anchor),
            Event::Alias(anchor) => (self.alias(anchor, span)?, 0),
            other => return Err(self.problem(format!("unexpected {other:?}"), span)),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// Helm keeps numbers as floats of 64 bits: a long one would reach the chart as another.
    fn refuse_rounding(&self, text: &str, value: &Value, span: Span) -> Result<(), Problem> {
        let rounds = match value {
            Value::Int(int) => !scalar::is_exact(*int),
            // Digits alone that are no whole number of 64 bits.
            Value::Float(_) => {
                text.len() > 15 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'_'))
            }
            _ => false,
        };
        if !rounds || self.author == Author::Program {
            return Ok(());
        }
        let problem = self.problem(format!("Helm would round the number `{text}`"), span);
        Err(problem.help("put it in quotes, so that the chart gets its digits"))
    }

    fn list(&mut self, mut span: Span, depth: usize) -> Result<Node, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, end) => {
                    span.end = self.span(end).end;
                    return Ok(Node::new(Value::List(items), span));
                }
                (event, at) => items.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn map(&mut self, mut span: Span, depth: usize) -> Result<Node, Problem> {
        let mut map = MapBuilder::default();
        loop {
            match self.next()? {
                (Event::MappingEnd, end) => {
                    span.end = self.span(end).end;
                    return Ok(Node::new(Value::Map(map.finish()), span));
                }
                (event, at) => {
                    let merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
                    let key = self.node(event, at, depth + 1)?;
                    let (event, at) = self.next()?;
                    let node = self.node(event, at, depth + 1)?;
                    if merge {
                        self.merge_into(&mut map, &node, key.span)?;
                    } else {
                        self.insert(&mut map, key, node)?;
                    }
                }
            }
        }
    }

    fn insert(&mut self, map: &mut MapBuilder, key: Node, node: Node) -> Result<(), Problem> {
        let key_span = key.span;
        let key = match key.value {
            Value::String(text) => text,
            Value::Int(i) if self.author == Author::Program => i.to_string(),
            Value::Bool(b) if self.author == Author::Program => b.to_string(),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => {
                let written = &self.sources.text(self.source)[key_span.start as usize..key_span.end as usize];
                return Err(self
                    .problem(format!("the key `{written}` is {}, not text", key.value.kind()), key_span)
                    .help(format!(
                        "put it in quotes: \"{written}\"; Helm would turn it into another text or refuse it"
                    )));
            }
            other => return Err(self.problem(format!("{} can't be a key", other.kind()), key_span)),
        };
        if let Some(first) = map.position(&key) {
            if map.explicit(first) {
                let first = map.span(first);
                return Err(self
                    .problem(format!("duplicate key `{key}`"), key_span)
                    .note("first written here", self.sources, first)
                    .help("remove one of the two: Helm would silently take the last"));
            }
            map.replace(first, Entry { key, key_span, node });
        } else {
            map.push(Entry { key, key_span, node }, true);
        }
        Ok(())
    }

    fn merge_into(&mut self, map: &mut MapBuilder, node: &Node, at: Span) -> Result<(), Problem> {
        let merged: Vec<&Map> = match &node.value {
            Value::Map(merged) => vec![merged],
            Value::List(items) => items.iter().filter_map(Node::as_map).collect(),
            _ => return Err(self.problem("`<<` needs a map or a list of maps", at)),
        };
        for entry in merged.into_iter().flat_map(|m| &m.0) {
            match map.position(&entry.key) {
                Some(first) if map.explicit(first) => {
                    let first = map.span(first);
                    return Err(self
                        .problem(format!("`<<` brings `{}`, which is already written above it", entry.key), at)
                        .note("written here", self.sources, first)
                        .help("write `<<` before the other keys: Helm lets a later merge overwrite earlier keys"));
                }
                Some(_) => {}
                None => map.push(entry.clone(), false),
            }
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, Problem> {
        let Some(target) = self.anchors.get(&anchor).cloned() else {
            return Err(self.problem("the alias has no anchor before it", span));
        };
        self.nodes += count(&target);
        if self.nodes > MAX_NODES {
            return Err(self.problem("aliases make the document too large", span));
        }
        Ok(target)
    }

    fn problem(&self, message: impl Into<String>, span: Span) -> Problem {
        Problem::new(message).at(self.sources, span)
    }

    fn span(&self, span: ParserSpan) -> Span {
        let offset = if self.sources.text(self.source).starts_with('\u{feff}') { 3 } else { 0 };
        let byte = |marker: &granit_parser::Marker| (marker.byte_offset().unwrap_or(0) + offset) as u32;
        Span {
            source: self.source,
            start: byte(&span.start),
            end: byte(&span.end),
            line: span.start.line() as u32,
            column: span.start.col() as u32 + 1,
        }
    }
}

/// Where the header (`|`, `>-`) of a block begins, whose content begins at `content`: for the parser the block begins
/// with its content, but what replaces it must replace both.
fn header(text: &str, content: usize) -> usize {
    let above = text[..content].trim_end();
    let line = above.rfind('\n').map_or(0, |at| at + 1);
    let is_header = |at: &usize| {
        let rest = above[at + 1..].trim_start_matches(|c: char| c.is_ascii_digit() || c == '+' || c == '-');
        rest.is_empty() || rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#')
    };
    let marks = above[line..].match_indices(['|', '>']).map(|(at, _)| line + at);
    marks.into_iter().find(is_header).unwrap_or(content)
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(map) => map.0.iter().map(|entry| count(&entry.node)).sum(),
        _ => 0,
    }
}

/// A map being read. Small ones are searched, large ones indexed, so that 50,000 keys stay linear.
#[derive(Default)]
struct MapBuilder {
    entries: Vec<Entry>,
    explicit: Vec<bool>,
    index: HashMap<String, usize>,
}

impl MapBuilder {
    const INDEXED_FROM: usize = 16;

    fn position(&self, key: &str) -> Option<usize> {
        if self.entries.len() < Self::INDEXED_FROM {
            return self.entries.iter().position(|entry| entry.key == key);
        }
        self.index.get(key).copied()
    }

    fn push(&mut self, entry: Entry, explicit: bool) {
        if self.entries.len() + 1 == Self::INDEXED_FROM {
            self.index = self.entries.iter().enumerate().map(|(i, e)| (e.key.clone(), i)).collect();
        }
        if self.entries.len() + 1 >= Self::INDEXED_FROM {
            self.index.insert(entry.key.clone(), self.entries.len());
        }
        self.entries.push(entry);
        self.explicit.push(explicit);
    }

    fn replace(&mut self, at: usize, entry: Entry) {
        self.entries[at] = entry;
        self.explicit[at] = true;
    }

    fn explicit(&self, at: usize) -> bool {
        self.explicit[at]
    }

    fn span(&self, at: usize) -> Span {
        self.entries[at].key_span
    }

    fn finish(self) -> Map {
        Map(self.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, Problem> {
        let mut sources = Sources::default();
        let id = sources.add("f.yaml", text);
        sources.read(id)
    }

    #[test]
    fn keys_and_values_know_their_place() {
        let node = read("a: 1\nb:\n  - x: \"y\"\n").unwrap();
        let x = &node.get("b").unwrap().as_list().unwrap()[0].as_map().unwrap().0[0];
        assert_eq!((x.key_span.line, x.key_span.column), (3, 5));
        assert_eq!((x.node.span.line, x.node.span.column, x.node.as_str()), (3, 8, Some("y")));
        assert_eq!((x.node.span.start, x.node.span.end), (15, 18));
    }

    #[test]
    fn duplicates_are_refused_with_both_places() {
        let problem = read("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(problem.to_string(), "f.yaml:3:1: duplicate key `a`");
        assert_eq!(problem.notes[0].1.line, 1);
        let many = (0..40).map(|i| format!("k{i}: 1\n")).collect::<String>() + "k3: 2\n";
        assert!(read(&many).unwrap_err().message.contains("duplicate key `k3`"));
    }

    #[test]
    fn merge_keys_fill_in_and_never_overwrite_silently() {
        let node = read("base: &b {x: 1, z: 2}\nc:\n  <<: *b\n  z: 3\n").unwrap();
        assert_eq!(node.get("c").unwrap().to_json(), serde_json::json!({"x": 1, "z": 3}));
        let problem = read("base: &b {x: 1}\nc:\n  x: 3\n  <<: *b\n").unwrap_err();
        assert!(problem.message.contains("already written"), "{problem}");
    }

    #[test]
    fn bad_input_is_a_problem_never_a_panic() {
        for text in
            ["a: [", "a: b: c", "on: 1", "0755: x", "? [a]\n: b", "a: *x", "a:\n\tb: 1", "a: .nan", "--- a\n--- b", "%"]
        {
            assert!(read(text).is_err(), "{text:?} {:?}", read(text));
        }
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
            + &(0..9)
                .map(|i| format!("{}: &{} [{}]\n", c(i + 1), c(i + 1), vec![format!("*{}", c(i)); 9].join(",")))
                .collect::<String>();
        fn c(i: usize) -> char {
            (b'a' + i as u8) as char
        }
        assert!(read(&bomb).unwrap_err().message.contains("too large"));
        assert!(read(&"[".repeat(5000)).is_err());
    }

    #[test]
    fn numbers_that_helm_rounds_are_refused() {
        for text in [
            "9007199254740993",
            "-9007199254740993",
            "0x20000000000001",
            "123456789012345678901",
            "1_000_000_000_000_000_000_000",
        ] {
            let problem = read(&format!("id: {text}\n")).unwrap_err();
            assert_eq!(problem.to_string(), format!("f.yaml:1:5: Helm would round the number `{text}`"));
            assert!(problem.help.unwrap().contains("quotes"));
        }
        for text in ["9007199254740992", "1e20", "1.23456789012345678", "\"9007199254740993\""] {
            assert!(read(&format!("id: {text}\n")).is_ok(), "{text}");
        }
        for text in [".inf", "-.Inf", "+.INF", ".nan"] {
            assert!(read(&format!("x: {text}\n")).unwrap_err().message.contains("Helm value"), "{text}");
        }
    }

    #[test]
    fn an_empty_file_is_an_empty_map() {
        for text in ["", "# only a comment\n", "---\n"] {
            assert_eq!(read(text).unwrap().value, Value::Map(Map::default()), "{text:?}");
        }
    }

    #[test]
    fn excerpts_stay_inside_the_line() {
        let problem = read("key: \"ünï\nrest\": x\n");
        if let Err(problem) = problem {
            assert!(problem.at.is_some());
        }
        let problem = read("a: 1\nöö: 2\nöö: 3\n").unwrap_err();
        let at = problem.at.unwrap();
        assert_eq!((at.text.as_str(), at.column, at.width), ("öö: 3", 1, 2));
    }
}
