//! The terminal: the only standard output and standard error of the program. Results go to standard output,
//! everything else to standard error. Must not decide anything.

pub mod failure;
mod masked;
mod progress;
mod style;
mod table;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crate::files::FileError;
use crate::secrets::Masker;

pub use failure::{Failure, Failures, Kind};
use masked::Masked;
pub use progress::Progress;
pub use style::{Color, Style};
pub use table::table;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// Failures and results only.
    Quiet,
    /// What happens.
    Normal,
    /// Everything.
    Verbose,
}

/// The terminal. A clone draws on the same one, and hides the same.
#[derive(Clone)]
pub struct Ui {
    /// How texts are coloured.
    pub style: Style,
    /// How much is said.
    pub volume: Volume,
    terminal: bool,
    masked: Masked,
}

/// Column at which the text after a heading starts.
const HEADING: usize = 10;

impl Ui {
    /// A terminal as it is.
    pub fn new(color: Color, no_color: bool, volume: Volume) -> Ui {
        let terminal = io::stderr().is_terminal();
        Ui { style: Style::choose(color, terminal && !no_color), volume, terminal, masked: Masked::default() }
    }

    /// From now on hides what `masker` knows, in everything that is written.
    pub fn mask(&self, masker: Masker) {
        self.masked.set(masker);
    }

    /// Whether people look at it as it happens.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes a result. A reader that went away (`| head`) is no failure.
    ///
    /// # Errors
    /// [`Failures`] when it can't be written.
    pub fn result(&self, text: &str) -> Result<(), Failures> {
        match self.deliver(text) {
            Err(error) if error.source.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }

    /// Writes something that is worth nothing unless it arrives whole.
    ///
    /// # Errors
    /// [`FileError`] when it did not.
    pub fn deliver(&self, text: &str) -> Result<(), FileError> {
        let text = self.masked.hide(text);
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(FileError::at("write", "standard output"))
    }

    /// Says what happens: a right-aligned heading and a text.
    pub fn say(&self, heading: &str, text: impl AsRef<str>) {
        if self.volume > Volume::Quiet {
            let heading = self.style.heading(&format!("{heading:>HEADING$}"));
            self.note(&format!("{heading}  {}\n", text.as_ref()));
        }
    }

    /// Says something only when asked for everything.
    pub fn detail(&self, heading: &str, text: impl AsRef<str>) {
        if self.volume == Volume::Verbose {
            self.say(heading, text);
        }
    }

    /// A line without a heading, such as the first of a tier.
    pub fn line(&self, text: impl AsRef<str>) {
        if self.volume > Volume::Quiet {
            self.note(&format!("{}\n", text.as_ref()));
        }
    }

    /// Something that is not a failure, but should be known.
    pub fn warn(&self, text: impl AsRef<str>) {
        if self.volume > Volume::Quiet {
            self.note(&format!("{}: {}\n", self.style.warning("warning"), text.as_ref()));
        }
    }

    /// Draws failures.
    pub fn fail(&self, failures: &Failures) {
        self.note(&failures.draw(&self.style));
    }

    /// A bar for something with a size.
    pub fn progress(&self, heading: &'static str, total: u64) -> Progress {
        Progress::new(heading, total, self.terminal && self.volume > Volume::Quiet, self.masked.clone())
    }

    /// Asks for a password, at the terminal and nowhere else; what is typed is not shown.
    ///
    /// # Errors
    /// That there is no terminal, or, as `Interrupted`, that the user does not want to.
    pub fn password(&self, prompt: &str) -> io::Result<String> {
        rpassword::prompt_password(prompt)
    }

    /// Whether somebody is there who can be asked.
    pub fn can_ask(&self) -> bool {
        self.terminal && io::stdin().is_terminal()
    }

    /// Asks something; the answer comes from [`read_line`].
    pub fn ask(&self, question: &str) {
        self.note(question);
    }

    fn note(&self, text: &str) {
        let text = self.masked.hide(text);
        let mut err = io::stderr().lock();
        // There is nobody left to tell that nobody listens.
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }
}

/// Reads a line that somebody types. Waits for ever, if nobody does.
///
/// # Errors
/// That standard input can't be read.
pub fn read_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line).map(|_| line)
}

/// A number of bytes for people.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match (unit, value) {
        (0, _) => format!("{n} B"),
        (_, v) if v >= 100.0 => format!("{v:.0} {}", UNITS[unit]),
        (_, v) if v >= 10.0 => format!("{v:.1} {}", UNITS[unit]),
        (_, v) => format!("{v:.2} {}", UNITS[unit]),
    }
}

/// A duration for people.
pub fn duration(d: Duration) -> String {
    let seconds = d.as_secs();
    match seconds {
        0..60 => format!("{:.1}s", d.as_secs_f64()),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `1 image`, `2 images`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(
            [0, 1023, 1536, 220_200_960, 6_667_000_000].map(bytes),
            ["0 B", "1023 B", "1.50 KiB", "210 MiB", "6.21 GiB"]
        );
        assert_eq!(
            [0.31, 12.04, 600.0, 3700.0].map(|s| duration(Duration::from_secs_f64(s))),
            ["0.3s", "12.0s", "10m00s", "1h01m"]
        );
    }
}
