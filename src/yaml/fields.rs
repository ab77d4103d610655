//! Typed, strict reading of a map: every key is asked for by name, what is left over is an error with the nearest
//! name. Must not know any particular file.

use super::{Entry, Map, Node, Problem, Sources, Span, Value};

/// The keys of one map, taken out one by one; [`Fields::finish`] refuses what nobody asked for.
pub struct Fields<'a> {
    sources: &'a Sources,
    map: &'a Map,
    what: &'a str,
    span: Span,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Starts to read `node` as a map; `what` names it in errors, such as `the release`.
    ///
    /// # Errors
    /// A [`Problem`] when it is no map.
    pub fn of(sources: &'a Sources, node: &'a Node, what: &'a str) -> Result<Fields<'a>, Problem> {
        match node.as_map() {
            Some(map) => Ok(Fields { sources, map, what, span: node.span, asked: Vec::new() }),
            None => Err(wrong_kind(sources, node, what, "a map")),
        }
    }

    /// Where the map stands.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The value of a key; `null` counts as absent.
    pub fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        self.map.get(key).filter(|node| node.value != Value::Null)
    }

    /// The value of a key that must be there.
    ///
    /// # Errors
    /// A [`Problem`] when it is absent.
    pub fn need(&mut self, key: &'static str) -> Result<&'a Node, Problem> {
        self.get(key).ok_or_else(|| self.missing(key))
    }

    /// A key that is absent: perhaps it is there, misspelt.
    fn missing(&self, key: &'static str) -> Problem {
        let misspelt =
            |entry: &&Entry| !self.asked.contains(&entry.key.as_str()) && nearest(&entry.key, &[key]).is_some();
        match self.map.0.iter().find(misspelt) {
            Some(entry) => Problem::new(format!("unknown key `{}` in {}", entry.key, self.what))
                .at(self.sources, entry.key_span)
                .help(format!("did you mean `{key}`?")),
            None => Problem::new(format!("{} has no `{key}`", self.what)).at(self.sources, self.span),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// A [`Problem`] when it is something else.
    pub fn string(&mut self, key: &'static str) -> Result<Option<&'a str>, Problem> {
        self.get(key).map(|node| self.text(node, key)).transpose()
    }

    /// A text that must be there and not be empty.
    ///
    /// # Errors
    /// A [`Problem`] when it is absent, empty or something else.
    pub fn need_string(&mut self, key: &'static str) -> Result<&'a str, Problem> {
        let node = self.need(key)?;
        let text = self.text(node, key)?;
        if text.trim().is_empty() {
            return Err(Problem::new(format!("`{key}` is empty")).at(self.sources, node.span));
        }
        Ok(text)
    }

    /// A boolean.
    ///
    /// # Errors
    /// A [`Problem`] when it is something else.
    pub fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, Problem> {
        self.get(key)
            .map(|node| match node.value {
                Value::Bool(b) => Ok(b),
                _ => Err(wrong_kind(self.sources, node, &format!("`{key}`"), "true or false")),
            })
            .transpose()
    }

    /// A whole number.
    ///
    /// # Errors
    /// A [`Problem`] when it is something else.
    pub fn int(&mut self, key: &'static str) -> Result<Option<i64>, Problem> {
        self.get(key)
            .map(|node| match node.value {
                Value::Int(i) => Ok(i),
                _ => Err(wrong_kind(self.sources, node, &format!("`{key}`"), "a whole number")),
            })
            .transpose()
    }

    /// A list; absent is empty.
    ///
    /// # Errors
    /// A [`Problem`] when it is something else.
    pub fn list(&mut self, key: &'static str) -> Result<&'a [Node], Problem> {
        match self.get(key) {
            None => Ok(&[]),
            Some(node) => node.as_list().ok_or_else(|| wrong_kind(self.sources, node, &format!("`{key}`"), "a list")),
        }
    }

    /// A list of texts, each with its place; absent is empty.
    ///
    /// # Errors
    /// A [`Problem`] when it is something else.
    pub fn strings(&mut self, key: &'static str) -> Result<Vec<(String, Span)>, Problem> {
        self.list(key)?.iter().map(|node| Ok((self.text(node, key)?.to_owned(), node.span))).collect()
    }

    /// A map of anything; absent is empty.
    ///
    /// # Errors
    /// A [`Problem`] when it is something else.
    pub fn map(&mut self, key: &'static str) -> Result<&'a [Entry], Problem> {
        match self.get(key) {
            None => Ok(&[]),
            Some(node) => match node.as_map() {
                Some(map) => Ok(&map.0),
                None => Err(wrong_kind(self.sources, node, &format!("`{key}`"), "a map")),
            },
        }
    }

    /// A map of texts; absent is empty.
    ///
    /// # Errors
    /// A [`Problem`] when it is something else.
    pub fn string_map(&mut self, key: &'static str) -> Result<Vec<(String, String)>, Problem> {
        self.map(key)?
            .iter()
            .map(|entry| Ok((entry.key.clone(), self.text(&entry.node, &entry.key)?.to_owned())))
            .collect()
    }

    /// Reads a value as text, with `name` for errors.
    ///
    /// # Errors
    /// A [`Problem`] when it is something else.
    pub fn text(&self, node: &'a Node, name: &str) -> Result<&'a str, Problem> {
        node.as_str().ok_or_else(|| {
            let problem = wrong_kind(self.sources, node, &format!("`{name}`"), "a string");
            match node.value {
                Value::Int(_) | Value::Float(_) | Value::Bool(_) => {
                    problem.help("put it in quotes, so that it is read as it is written")
                }
                _ => problem,
            }
        })
    }

    /// A problem at a value.
    pub fn problem(&self, message: impl Into<String>, span: Span) -> Problem {
        Problem::new(message).at(self.sources, span)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// A [`Problem`] for the first key that nobody asked for, with the nearest known one.
    pub fn finish(self) -> Result<(), Problem> {
        let Some(unknown) = self.map.0.iter().find(|entry| !self.asked.contains(&entry.key.as_str())) else {
            return Ok(());
        };
        let problem =
            Problem::new(format!("unknown key `{}` in {}", unknown.key, self.what)).at(self.sources, unknown.key_span);
        Err(match nearest(&unknown.key, &self.asked) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("known keys: {}", self.asked.join(", "))),
        })
    }
}

fn wrong_kind(sources: &Sources, node: &Node, what: &str, expected: &str) -> Problem {
    Problem::new(format!("{what} must be {expected}, not {}", node.value.kind())).at(sources, node.span)
}

/// The candidate closest to what was written, if it is close.
pub fn nearest<'c>(written: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let allowed = (written.chars().count() / 3).max(1);
    candidates.iter().map(|c| (distance(written, c), *c)).filter(|(d, _)| *d <= allowed).min().map(|(_, c)| c)
}

/// Edit distance, case ignored; two letters the wrong way round are one mistake.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let substituted = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = substituted.min(rows[i][j - 1] + 1).min(rows[i - 1][j] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(text: &str, read: impl FnOnce(Fields) -> Result<T, Problem>) -> Result<T, Problem> {
        let mut sources = Sources::default();
        let id = sources.add("release.yaml", text);
        let node = sources.read(id)?;
        let fields = Fields::of(&sources, &node, "the release")?;
        read(fields)
    }

    #[test]
    fn a_key_nobody_asked_for_is_an_error_with_the_nearest_name() {
        let problem = with("name: x\nnamspace: y\n", |mut f| {
            f.need_string("name")?;
            f.string("namespace")?;
            f.finish()
        })
        .unwrap_err();
        assert_eq!(problem.to_string(), "release.yaml:2:1: unknown key `namspace` in the release");
        assert_eq!(problem.help.as_deref(), Some("did you mean `namespace`?"));
    }

    #[test]
    fn wrong_types_say_what_was_expected() {
        let problem = with("version: 5.40\n", |mut f| f.need_string("version").map(str::to_owned)).unwrap_err();
        assert_eq!(problem.message, "`version` must be a string, not a number");
        assert!(problem.help.unwrap().contains("quotes"));
        let problem = with("needs: x\n", |mut f| f.strings("needs")).unwrap_err();
        assert_eq!(problem.message, "`needs` must be a list, not a string");
        let problem = with("- a\n", |f| f.finish()).unwrap_err();
        assert_eq!(problem.message, "the release must be a map, not a list");
        let problem = with("nam: x\n", |mut f| f.need("name").map(|_| ())).unwrap_err();
        assert_eq!(problem.to_string(), "release.yaml:1:1: unknown key `nam` in the release");
        let problem = with("a: 1\n", |mut f| f.need("name").map(|_| ())).unwrap_err();
        assert_eq!(problem.message, "the release has no `name`");
    }
}
