//! Programs of a definition: run in surroundings of their own, with an end in time, in a process group that goes as a
//! whole. Their output is kept in memory, its end alone: it may hold secrets, and there may be much of it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::process::Interrupt;

/// The most of its output that is kept: its end.
const MAX_OUTPUT: usize = 64 * 1024;
/// How long a group may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How long output may still come after the program ended: something it left behind may hold the pipe for ever.
const AFTER: Duration = Duration::from_millis(200);

/// A program to run.
#[derive(Debug, Clone)]
pub struct Script {
    /// What people call it: its path in the definition.
    pub name: String,
    /// The executable.
    pub program: PathBuf,
    /// The folder it runs in.
    pub folder: PathBuf,
    /// All its variables.
    pub variables: Vec<(OsString, OsString)>,
    /// How long it may take.
    pub timeout: Duration,
}

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It could not be started or watched.
    #[error("cannot run {name}")]
    NotRun {
        /// The program.
        name: String,
        /// The system's own word.
        #[source]
        source: std::io::Error,
    },
    /// It ended with something else than 0.
    #[error("{name}: {status}")]
    Failed {
        /// The program.
        name: String,
        /// How it ended.
        status: String,
        /// The end of its output.
        output: String,
    },
    /// It was still running when its time was over.
    #[error("{name}: it did not end within {} s", after.as_secs())]
    TimedOut {
        /// The program.
        name: String,
        /// How long it was given.
        after: Duration,
        /// The end of its output.
        output: String,
    },
    /// The user asked to stop.
    #[error("{name}: interrupted")]
    Interrupted {
        /// The program.
        name: String,
    },
}

/// What ended the wait.
enum End {
    Ended(ExitStatus),
    TimedOut,
    Interrupted,
}

impl Script {
    /// Runs it to its end; the end of its output is returned.
    ///
    /// # Errors
    /// [`ScriptError`] when it fails, takes too long, or the user asks to stop; its whole group is then gone.
    #[allow(clippy::disallowed_methods)] // Beside `process`, which starts what may outlive this program.
    pub async fn run(&self, interrupt: &Interrupt) -> Result<String, ScriptError> {
        let not_run = |source| ScriptError::NotRun { name: self.name.clone(), source };
        let (reader, writer) = std::io::pipe().map_err(not_run)?;
        let mut command = tokio::process::Command::new(&self.program);
        command
            .current_dir(&self.folder)
            .env_clear()
            .envs(self.variables.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(not_run)?)
            .stderr(writer)
            .process_group(0);
        let mut child = command.spawn().map_err(not_run)?;
        // The command holds the writing end too.
        drop(command);
        let group = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let output = Output::listen(reader);
        let end = tokio::select! {
            status = child.wait() => End::Ended(status.map_err(not_run)?),
            () = tokio::time::sleep(self.timeout) => End::TimedOut,
            () = interrupt.wait() => End::Interrupted,
        };
        if !matches!(end, End::Ended(_)) {
            tell(group, Signal::TERM);
            let _ = tokio::time::timeout(GRACE, child.wait()).await;
        }
        // Whatever it left behind goes with it.
        tell(group, Signal::KILL);
        let _ = child.wait().await;
        let output = output.end().await;
        let name = self.name.clone();
        match end {
            End::Ended(status) if status.success() => Ok(output),
            End::Ended(status) => Err(ScriptError::Failed { name, status: status.to_string(), output }),
            End::TimedOut => Err(ScriptError::TimedOut { name, after: self.timeout, output }),
            End::Interrupted => Err(ScriptError::Interrupted { name }),
        }
    }
}

fn tell(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        let _ = kill_process_group(group, signal);
    }
}

/// The end of what comes out of a pipe.
struct Output {
    kept: Arc<Mutex<VecDeque<u8>>>,
    done: tokio::sync::oneshot::Receiver<()>,
}

impl Output {
    /// Listens on a thread of its own, which ends with the last holder of the pipe.
    fn listen(mut reader: impl Read + Send + 'static) -> Output {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let (tell, done) = tokio::sync::oneshot::channel();
        let ours = kept.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n) = reader.read(&mut buffer) {
                if n == 0 {
                    break;
                }
                let mut kept = ours.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(&buffer[..n]);
                let surplus = kept.len().saturating_sub(MAX_OUTPUT);
                kept.drain(..surplus);
            }
            let _ = tell.send(());
        });
        Output { kept, done }
    }

    async fn end(self) -> String {
        let _ = tokio::time::timeout(AFTER, self.done).await;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = kept.len() == MAX_OUTPUT;
        let bytes: &[u8] = kept.make_contiguous();
        // Half a line may be half a secret, which nobody would recognise.
        let whole = if cut { bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1) } else { 0 };
        String::from_utf8_lossy(&bytes[whole..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    use super::*;

    async fn run(
        text: &str,
        timeout: Duration,
        interrupt: &Interrupt,
    ) -> (Result<String, ScriptError>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("script");
        std::fs::write(&program, format!("#!/bin/sh\n{text}")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let variables = vec![("PATH".into(), "/usr/bin:/bin".into()), ("GREETING".into(), "hello".into())];
        let script = Script { name: "x/script".into(), program, folder: folder.path().to_owned(), variables, timeout };
        // Another test's fork may hold the file that was just written.
        for _ in 0..50 {
            match script.run(interrupt).await {
                Err(ScriptError::NotRun { source, .. }) if source.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                result => return (result, folder),
            }
        }
        panic!("busy for ever")
    }

    #[tokio::test]
    async fn output_and_status_are_told_and_surroundings_are_its_own() {
        let (_interrupter, interrupt) = Interrupt::pair();
        let minute = Duration::from_secs(60);
        let said =
            run("echo $GREETING from $(basename $PWD | cut -c1-4) $HOME; echo twice >&2", minute, &interrupt).await.0;
        assert_eq!(said.unwrap(), "hello from .tmp \ntwice\n".replace(" \n", "\n"));
        let failed = run("echo no; exit 3", minute, &interrupt).await.0.unwrap_err();
        assert!(matches!(&failed, ScriptError::Failed { output, .. } if output == "no\n"));
        assert_eq!(failed.to_string(), "x/script: exit status: 3");
        let long = run("yes 0123456789 | head -c 200000", minute, &interrupt).await.0.unwrap();
        assert!(long.len() < MAX_OUTPUT && long.len() > MAX_OUTPUT - 20 && long.starts_with("0123456789\n"));
    }

    #[tokio::test]
    #[allow(clippy::disallowed_methods)]
    async fn what_takes_too_long_goes_with_all_it_started() {
        let (_interrupter, interrupt) = Interrupt::pair();
        let begun = Instant::now();
        let text = "echo begun; (sleep 60; touch late) & trap '' TERM; sleep 60";
        let (result, folder) = run(text, Duration::from_millis(300), &interrupt).await;
        assert!(matches!(result, Err(ScriptError::TimedOut { output, .. }) if output == "begun\n"));
        assert!(begun.elapsed() < GRACE + Duration::from_secs(10), "{:?}", begun.elapsed());
        let left = std::process::Command::new("pgrep").args(["-f", &folder.path().display().to_string()]).output();
        assert!(left.map_or(true, |left| left.stdout.is_empty()), "nothing of it runs any more");
    }

    #[tokio::test]
    async fn an_interrupt_ends_it_and_a_child_that_stays_is_not_waited_for() {
        let (interrupter, interrupt) = Interrupt::pair();
        let begun = Instant::now();
        assert_eq!(run("sleep 30 & echo done", Duration::from_secs(60), &interrupt).await.0.unwrap(), "done\n");
        assert!(begun.elapsed() < Duration::from_secs(20));
        interrupter.say();
        let result = run("sleep 30", Duration::from_secs(60), &interrupt).await.0;
        assert!(matches!(result, Err(ScriptError::Interrupted { .. })));
    }
}
