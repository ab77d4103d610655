//! Colours: cyan for places and headings of help, green for what goes well, yellow and red for what does not.
//! Everything stays legible without them.

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Colours texts, or leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    colored: bool,
}

impl Style {
    /// Decides once; `suitable` says whether an automatic choice would colour.
    pub fn choose(color: Color, suitable: bool) -> Style {
        Style { colored: color == Color::Always || color == Color::Auto && suitable }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colored { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A heading or a success.
    pub fn heading(&self, text: &str) -> String {
        self.paint("1;32", text)
    }

    /// A success.
    pub fn good(&self, text: &str) -> String {
        self.paint("32", text)
    }

    /// A failure.
    pub fn bad(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// A warning.
    pub fn warning(&self, text: &str) -> String {
        self.paint("1;33", text)
    }

    /// A place, a flag, a hint.
    pub fn place(&self, text: &str) -> String {
        self.paint("36", text)
    }
}
