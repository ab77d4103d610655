//! Failures as people see them: what, where, whose fault, the tool's own word, what to do. The rooms' errors are
//! mapped here and nowhere else; nothing below this floor knows a [`Failure`].

mod cluster;
mod code;
mod definition;
mod diff;
mod guard;
mod interruption;
mod lifecycle;
mod network;
mod planned;
pub mod runbook;
mod secrets;
mod step;
mod supply;

use std::error::Error;
use std::fmt::Write as _;

use super::Style;
use crate::render::Culprit;
use crate::yaml::{Excerpt, Problem};

pub use cluster::{blocked, cluster};
pub use code::Code;
pub use definition::{closed_world, missing_secrets, nothing_selected, of_rule};
pub use diff::{git, unreadable_record};
pub use guard::{refused, rendered_since};
pub use interruption::{fenced, lease, not_recorded, stopped};
pub use lifecycle::{backwards, history_too_short, no_such_run, records_hidden};
pub use planned::planned;
pub use secrets::secrets_by_hand;
pub use step::{fixed, release, same};

/// Who can do something about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It may work when tried again.
    Transient,
    /// It will not work by itself.
    Permanent,
    /// The user has to change something.
    Yours,
}

/// One failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its stable code.
    pub code: Code,
    /// What failed, with the release, file or object.
    pub title: String,
    /// Who can do something.
    pub kind: Kind,
    /// Where, with the line.
    pub at: Option<Excerpt>,
    /// Lines that a tool's words are about, each with what is said of it.
    pub culprits: Vec<(String, Excerpt)>,
    /// Other places and facts, a line each.
    pub details: Vec<String>,
    /// The tool's own words.
    pub word: String,
    /// The command that failed.
    pub ran: Option<String>,
    /// What to do.
    pub help: Vec<String>,
}

/// Why a command did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failures {
    /// At least one.
    pub failures: Vec<Failure>,
    /// The exit status.
    pub exit: u8,
}

/// Exit statuses.
pub mod exit {
    /// It failed, or found something.
    pub const FAILED: u8 = 1;
    /// The selector matched nothing.
    pub const NOTHING_SELECTED: u8 = 3;
    /// It was refused before anything happened.
    pub const REFUSED: u8 = 4;
    /// The command line is wrong.
    pub const USAGE: u8 = 64;
    /// The user asked to stop.
    pub const INTERRUPTED: u8 = 130;
}

impl Failure {
    /// A failure without details.
    pub fn new(code: Code, kind: Kind, title: impl Into<String>) -> Failure {
        Failure {
            code,
            title: title.into(),
            kind,
            at: None,
            culprits: Vec::new(),
            details: Vec::new(),
            word: String::new(),
            ran: None,
            help: Vec::new(),
        }
    }

    /// A failure whose details are the errors below it.
    pub fn caused(code: Code, kind: Kind, error: &dyn Error) -> Failure {
        let mut failure = Failure::new(code, kind, error.to_string());
        let mut next = error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !failure.title.contains(&text) && !failure.details.iter().any(|d| d.contains(&text)) {
                failure.details.push(text);
            }
            next = cause.source();
        }
        failure
    }

    /// Adds what to do.
    pub fn help(mut self, text: impl Into<String>) -> Failure {
        self.help.push(text.into());
        self
    }

    /// Adds a fact.
    pub fn detail(mut self, text: impl Into<String>) -> Failure {
        self.details.push(text.into());
        self
    }

    /// Adds the tool's own words; the noise around them goes.
    pub fn word(mut self, text: &str) -> Failure {
        self.word = text.trim_end().to_owned();
        self
    }

    /// Adds the lines that a tool's words are about.
    pub fn culprits(mut self, culprits: &[Culprit]) -> Failure {
        self.culprits = culprits.iter().map(|culprit| (culprit.text.clone(), culprit.at.clone())).collect();
        self.help.extend(culprits.iter().filter_map(|culprit| culprit.help.clone()));
        self
    }

    /// A problem in a file.
    pub fn problem(code: Code, problem: &Problem) -> Failure {
        let mut failure = Failure::new(code, Kind::Yours, problem.message.clone());
        failure.at = problem.at.clone();
        failure.details =
            problem.notes.iter().map(|(text, at)| format!("{text}: {}:{}:{}", at.path, at.line, at.column)).collect();
        failure.help = problem.help.iter().cloned().collect();
        failure
    }

    fn draw(&self, style: &Style, text: &mut String) {
        let _ = writeln!(text, "{}: {}", style.bad(&format!("error[{}]", self.code)), self.title);
        if let Some(at) = &self.at {
            draw_excerpt(at, style, text);
        }
        for (said, at) in &self.culprits {
            let _ = writeln!(text, "  {said}");
            draw_excerpt(at, style, text);
        }
        for detail in &self.details {
            let _ = writeln!(text, "  {detail}");
        }
        for line in self.word.lines() {
            let _ = writeln!(text, "    | {line}");
        }
        let kind = match self.kind {
            Kind::Transient => "transient: it may work when tried again",
            Kind::Permanent => "permanent",
            Kind::Yours => "yours to fix",
        };
        let _ = writeln!(text, "  kind: {kind}");
        for help in &self.help {
            let _ = writeln!(text, "  {} {help}", style.place("help:"));
        }
        if let Some(ran) = &self.ran {
            let _ = writeln!(text, "  ran:  {ran}");
        }
    }
}

fn draw_excerpt(at: &Excerpt, style: &Style, text: &mut String) {
    if at.line == 0 {
        let _ = writeln!(text, "  {}", style.place(&at.path));
        return;
    }
    let number = at.line.to_string();
    let margin = " ".repeat(number.len());
    // Tabs would move the carets.
    let line = at.text.replace('\t', " ");
    let carets = format!("{}{}", " ".repeat(at.column.saturating_sub(1) as usize), "^".repeat(at.width as usize));
    let place = style.place(&format!("{}:{}:{}", at.path, at.line, at.column));
    let _ = writeln!(text, "{margin} ┌─ {place}\n{number} │ {line}\n{margin} │ {}", style.bad(&carets));
}

impl Failures {
    /// Failures that end the program with 1.
    pub fn new(failures: Vec<Failure>) -> Failures {
        Failures { failures, exit: exit::FAILED }
    }

    /// The same with another exit status.
    pub fn exit(mut self, exit: u8) -> Failures {
        self.exit = exit;
        self
    }

    /// The failures as text.
    pub fn draw(&self, style: &Style) -> String {
        let mut text = String::new();
        self.failures.iter().for_each(|failure| failure.draw(style, &mut text));
        text
    }
}

impl From<Failure> for Failures {
    fn from(failure: Failure) -> Failures {
        Failures::new(vec![failure])
    }
}
