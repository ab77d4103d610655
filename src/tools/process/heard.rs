//! What a child writes to its error output: heard line by line while it runs, and kept for when it fails. Must not know what
//! the lines mean.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// The most of a child's error output that is kept: its end.
pub(super) const MAX_STDERR: usize = 64 * 1024;
/// How often it is looked for more. The output is a file, which nobody can wait on.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Who hears a child's error output, a line at a time.
#[derive(Clone, Copy)]
pub(in crate::tools) struct Listener<'a> {
    /// Whether a line is for the listener alone: such are not kept for a failure.
    pub is_own: fn(&str) -> bool,
    /// Hears its own lines.
    pub hear: &'a (dyn Fn(&str) + Send + Sync),
}

impl fmt::Debug for Listener<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// Reads what a running child has written, without moving the place where it writes on.
pub(super) struct Follower<'a> {
    file: &'a File,
    listener: Option<&'a Listener<'a>>,
    read: u64,
    line: Vec<u8>,
}

impl<'a> Follower<'a> {
    pub(super) fn of(file: &'a File, listener: Option<&'a Listener<'a>>) -> Follower<'a> {
        Follower { file, listener, read: 0, line: Vec::new() }
    }

    /// Tells lines as they come, for as long as anybody asks for it.
    pub(super) async fn for_ever(mut self) -> Infallible {
        let Some(listener) = self.listener else { return std::future::pending().await };
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            self.look(listener);
        }
    }

    /// Tells the lines that are whole by now. What can't be read is not told: it is read again at the end.
    fn look(&mut self, listener: &Listener<'_>) {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = self.file.read_at(&mut buffer, self.read) {
            self.read += count as u64;
            for byte in &buffer[..count] {
                if *byte != b'\n' {
                    self.line.push(*byte);
                    continue;
                }
                let line = String::from_utf8_lossy(&self.line);
                if (listener.is_own)(&line) {
                    (listener.hear)(&line);
                }
                self.line.clear();
            }
        }
    }
}

/// The end of what a child wrote, whole lines: half a line may be half a secret, which nobody would recognise.
pub(super) fn kept(file: &mut File, listener: Option<&Listener<'_>>) -> std::io::Result<String> {
    file.rewind()?;
    let mut reader = BufReader::new(file);
    let (mut lines, mut length) = (VecDeque::new(), 0);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned();
        if listener.is_some_and(|listener| (listener.is_own)(&text)) {
            continue;
        }
        length += text.len();
        lines.push_back(text);
        while length > MAX_STDERR {
            length -= lines.pop_front().map_or(length, |first: String| first.len());
        }
    }
    Ok(lines.into_iter().collect())
}
