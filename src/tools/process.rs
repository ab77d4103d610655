//! Starts processes and waits for them. A child gets a process group of its own, so that Ctrl-C in a terminal
//! reaches this program alone, which passes it on once and waits.

mod heard;

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::fs::MemfdFlags;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

use super::Births;
pub(super) use heard::Listener;
use heard::{Follower, kept};

/// The collector of a Go program that lives for a moment: it runs less often, for which the program may have five times what
/// it needs. helm's `template` takes a fifth less CPU with it, and 3 MB more memory.
pub(super) const COLLECT_SELDOM: (&str, &str) = ("GOGC", "400");

/// One command to run.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    pub program: &'a Path,
    pub args: Vec<String>,
    pub variables: Vec<(OsString, OsString)>,
    pub stdin: Option<&'a [u8]>,
    /// Folder for the child's output. It goes to files, not pipes, so that a child outlives this process without
    /// being killed by its own next line of output.
    pub output_folder: &'a Path,
    /// Where its process is told, with the release and namespace it works on.
    pub born: Option<(&'a Births, &'a str, &'a str)>,
    /// Who hears what it writes to its error output while it runs.
    pub listener: Option<Listener<'a>>,
}

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It could not be started or watched.
    #[error("cannot run {}", program.display())]
    NotRun {
        /// The executable.
        program: PathBuf,
        /// The system's own word.
        #[source]
        source: std::io::Error,
    },
    /// It ran and failed.
    #[error("{command}: {status}")]
    Failed {
        /// The command as one would paste it; never holds values or secrets.
        command: String,
        /// How it ended.
        status: String,
        /// Its exit status; none when a signal ended it.
        code: Option<i32>,
        /// What it wrote to its error output.
        stderr: String,
        /// It was told to stop.
        interrupted: bool,
    },
}

impl CallError {
    /// The command's own word; empty when it never ran.
    pub fn stderr(&self) -> &str {
        match self {
            CallError::NotRun { .. } => "",
            CallError::Failed { stderr, .. } => stderr,
        }
    }

    /// The same with other words.
    pub(in crate::tools) fn with_words(mut self, change: impl FnOnce(&str) -> String) -> CallError {
        if let CallError::Failed { stderr, .. } = &mut self {
            *stderr = change(stderr);
        }
        self
    }

    /// Whether it was told to stop.
    pub fn interrupted(&self) -> bool {
        matches!(self, CallError::Failed { interrupted: true, .. })
    }

    /// Whether the API server said that the user lacks a right.
    pub fn is_forbidden(&self) -> bool {
        self.stderr().contains("(Forbidden)")
    }

    /// Whether the API server said that there is no such object.
    pub fn is_not_found(&self) -> bool {
        self.stderr().contains("(NotFound)")
    }

    /// Its exit status; none when it never ran or a signal ended it.
    pub fn code(&self) -> Option<i32> {
        match self {
            CallError::NotRun { .. } => None,
            CallError::Failed { code, .. } => *code,
        }
    }
}

/// Tells everything that waits that the user wants to stop.
#[derive(Debug, Clone)]
pub struct Interrupter(watch::Sender<bool>);

/// Knows whether the user wants to stop.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// A pair: one to say it, one to hear it.
    pub fn pair() -> (Interrupter, Interrupt) {
        let (sender, receiver) = watch::channel(false);
        (Interrupter(sender), Interrupt(receiver))
    }

    /// One that is never said.
    pub fn never() -> Interrupt {
        Interrupt::pair().1
    }

    /// Whether it was said.
    pub fn said(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is said; for ever, if never.
    pub async fn wait(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|said| *said).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Interrupter {
    /// Says that the user wants to stop.
    pub fn say(&self) {
        self.0.send_replace(true);
    }
}

/// Runs a command to its end; its standard output is returned.
pub(super) async fn run(call: Call<'_>, interrupt: &Interrupt) -> Result<Vec<u8>, CallError> {
    run_into(&call, interrupt, anonymous(call.output_folder), anonymous(call.output_folder)).await
}

/// The same for a command whose output is secret: it never gets to a disk, not even to a file without a name.
pub(super) async fn run_in_memory(call: Call<'_>, interrupt: &Interrupt) -> Result<Vec<u8>, CallError> {
    run_into(&call, interrupt, in_memory("output"), in_memory("error")).await
}

/// The same for a command that is run for what it does: what it prints, which may be secret, is never kept.
pub(super) async fn run_for_effect(call: Call<'_>, interrupt: &Interrupt) -> Result<(), CallError> {
    let nowhere = File::options().read(true).write(true).open("/dev/null");
    run_into(&call, interrupt, nowhere, anonymous(call.output_folder)).await.map(|_| ())
}

async fn run_into(
    call: &Call<'_>,
    interrupt: &Interrupt,
    out: std::io::Result<File>,
    err: std::io::Result<File>,
) -> Result<Vec<u8>, CallError> {
    let not_run = |source| CallError::NotRun { program: call.program.to_owned(), source };
    let (mut out, mut err) = (out.map_err(not_run)?, err.map_err(not_run)?);
    let input = call.stdin.map(whole_input).transpose().map_err(not_run)?;
    let (status, interrupted) = start_and_wait(call, input, &out, &err, interrupt).await.map_err(not_run)?;
    if !status.success() {
        let stderr = kept(&mut err, call.listener.as_ref()).map_err(not_run)?;
        return Err(failed(call, status, stderr, interrupted));
    }
    let mut stdout = Vec::new();
    out.rewind().and_then(|()| out.read_to_end(&mut stdout)).map_err(not_run)?;
    Ok(stdout)
}

/// Hands the terminal to a command and waits for its end, however long that takes. It stays in this program's process
/// group, so that it may read from the terminal; what the user types there, Ctrl-C included, is for it alone.
#[allow(clippy::disallowed_methods)] // Beside `start_and_wait`, which starts everything that is not interactive.
pub(super) async fn run_at_terminal(call: Call<'_>, interrupt: &Interrupt) -> Result<(), CallError> {
    let not_run = |source| CallError::NotRun { program: call.program.to_owned(), source };
    let mut command = tokio::process::Command::new(call.program);
    command.args(&call.args).env_clear().envs(call.variables.iter().map(|(key, value)| (key, value)));
    let status = command.status().await.map_err(not_run)?;
    if status.success() { Ok(()) } else { Err(failed(&call, status, String::new(), interrupt.said())) }
}

fn failed(call: &Call<'_>, status: ExitStatus, stderr: String, interrupted: bool) -> CallError {
    let (command, code) = (pasteable(call), status.code());
    CallError::Failed { command, status: describe(status), code, stderr, interrupted }
}

#[allow(clippy::disallowed_methods)] // The one place that may start a process.
async fn start_and_wait(
    call: &Call<'_>,
    input: Option<File>,
    out: &File,
    err: &File,
    interrupt: &Interrupt,
) -> std::io::Result<(ExitStatus, bool)> {
    let mut command = tokio::process::Command::new(call.program);
    command
        .args(&call.args)
        .env_clear()
        .envs(call.variables.iter().map(|(key, value)| (key, value)))
        .stdin(input.map_or_else(Stdio::null, Stdio::from))
        .stdout(out.try_clone()?)
        .stderr(err.try_clone()?)
        .process_group(0);
    let mut child = command.spawn()?;
    let pid = child.id();
    if let Some((births, release, namespace)) = call.born {
        births.tell(release, namespace, pid);
    }
    let follow = Follower::of(err, call.listener.as_ref());
    tokio::select! {
        status = child.wait() => Ok((status?, false)),
        () = interrupt.wait() => {
            signal(pid);
            Ok((child.wait().await?, true))
        }
        never = follow.for_ever() => match never {},
    }
}

/// The child's whole input, before it starts: through a pipe it could get a part of it, or nothing, when this process
/// is killed, and take that for all. It lies in memory only, where nobody else can read it.
fn whole_input(bytes: &[u8]) -> std::io::Result<File> {
    let mut file = in_memory("input")?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// A file that lies in memory only.
fn in_memory(name: &str) -> std::io::Result<File> {
    Ok(File::from(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?))
}

/// Asks the child, once, to end what it does.
fn signal(pid: Option<u32>) {
    let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    if let Some(pid) = pid {
        let _ = kill_process(pid, Signal::INT);
    }
}

/// A file without a name: nobody else can open it, and it is gone with its last holder.
fn anonymous(folder: &Path) -> std::io::Result<File> {
    tempfile::tempfile_in(folder)
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended without a status".to_owned(),
    }
}

/// The longest argument that is shown whole.
const LONG_ARGUMENT: usize = 400;

/// The command as a shell would take it. An argument that nobody would read is shortened.
fn pasteable(call: &Call<'_>) -> String {
    let plain =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c));
    let mut text = call.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for arg in &call.args {
        text.push(' ');
        if arg.len() > LONG_ARGUMENT {
            text.extend(arg.chars().take(60).chain(['…']));
        } else if plain(arg) {
            text.push_str(arg)
        } else {
            text.push_str(&format!("'{}'", arg.replace('\'', "'\\''")))
        }
    }
    text
}

#[cfg(test)]
mod tests;
