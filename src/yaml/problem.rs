//! What is wrong in a document, with the line it is in. Data only; the screen draws it.

use super::{Sources, Span};

/// One thing that is wrong with what somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, lowercase, without a full stop.
    pub message: String,
    /// Where, with the line itself.
    pub at: Option<Excerpt>,
    /// Other places that belong to it, each with what it is.
    pub notes: Vec<(String, Excerpt)>,
    /// What to do.
    pub help: Option<String>,
}

/// A line of a file and the part of it that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The file as the user knows it.
    pub path: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// The line's text.
    pub text: String,
    /// How many characters are meant, at least 1.
    pub width: u32,
}

impl Problem {
    /// A problem without a place yet.
    pub fn new(message: impl Into<String>) -> Problem {
        Problem { message: message.into(), at: None, notes: Vec::new(), help: None }
    }

    /// Says where it is.
    pub fn at(mut self, sources: &Sources, span: Span) -> Problem {
        self.at = Some(sources.excerpt(span));
        self
    }

    /// Adds another place that belongs to it.
    pub fn note(mut self, text: impl Into<String>, sources: &Sources, span: Span) -> Problem {
        self.notes.push((text.into(), sources.excerpt(span)));
        self
    }

    /// Says what to do.
    pub fn help(mut self, text: impl Into<String>) -> Problem {
        self.help = Some(text.into());
        self
    }

    /// A problem with a file as a whole.
    pub fn in_file(path: impl Into<String>, message: impl Into<String>) -> Problem {
        let at = Excerpt { path: path.into(), line: 0, column: 0, text: String::new(), width: 0 };
        Problem { at: Some(at), ..Problem::new(message) }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.at {
            Some(at) if at.line > 0 => write!(f, "{}:{}:{}: {}", at.path, at.line, at.column, self.message),
            Some(at) => write!(f, "{}: {}", at.path, self.message),
            None => f.write_str(&self.message),
        }
    }
}
