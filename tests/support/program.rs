//! The program under test: started in surroundings that hold nothing but what the test says.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// One run to be.
pub struct Platctl {
    command: Command,
    typed: Option<(String, String)>,
}

/// What one run did.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

/// A run that is under way. Dropping it kills it.
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Platctl {
    /// The program in a folder, with its cache beside it.
    pub fn new(folder: &Path) -> Platctl {
        let mut command = Command::new(env!("CARGO_BIN_EXE_platctl"));
        command.current_dir(folder).env_clear().stdin(Stdio::null());
        for (name, value) in std::env::vars_os() {
            let kept = name == "PATH" || name == "TMPDIR" || name == "LLVM_PROFILE_FILE";
            if kept {
                command.env(name, value);
            }
        }
        let home = folder.join("home");
        std::fs::create_dir_all(&home).unwrap();
        command.env("HOME", &home).env("NO_COLOR", "1").env("PLATCTL_CACHE_DIR", home.join("cache"));
        Platctl { command, typed: None }
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Platctl {
        self.command.args(args);
        self
    }

    /// The same, started by another program with these arguments before its own.
    pub fn within(self, program: &str, args: &[&str]) -> Platctl {
        let mut command = Command::new(program);
        command.args(args).arg(self.command.get_program()).args(self.command.get_args()).env_clear();
        let variables = self.command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.envs(variables).stdin(Stdio::null());
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        Platctl { command, typed: self.typed }
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Platctl {
        self.command.env(name, value);
        self
    }

    /// Runs it by another program, such as one that gives it a terminal, in the same surroundings.
    pub fn through(self, program: &[&str]) -> Platctl {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).env_clear().stdin(Stdio::null());
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        Platctl { command, typed: self.typed }
    }

    /// Types something, once it is asked for.
    pub fn typed(mut self, asked: &str, text: &str) -> Platctl {
        self.typed = Some((asked.to_owned(), text.to_owned()));
        self
    }

    pub fn folder(mut self, folder: &Path) -> Platctl {
        self.command.current_dir(folder);
        self
    }

    pub fn run(mut self) -> Output {
        let output = match self.typed {
            None => self.command.output().unwrap(),
            Some((asked, text)) => type_into(&mut self.command, &asked, &text),
        };
        Output {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// Starts it, with its output going to files in a folder.
    pub fn start(mut self, folder: &Path) -> Running {
        let (stdout, stderr) = (folder.join("stdout"), folder.join("stderr"));
        self.command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
        Running { child: self.command.spawn().unwrap(), stdout, stderr }
    }
}

fn type_into(command: &mut Command, asked: &str, text: &str) -> std::process::Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains(asked) {
        let mut byte = [0];
        let out = child.stdout.as_mut().unwrap();
        assert_eq!(out.read(&mut byte).unwrap(), 1, "nothing asked: {}", String::from_utf8_lossy(&shown));
        shown.push(byte[0]);
    }
    // It asks first, and makes the terminal silent right after.
    std::thread::sleep(std::time::Duration::from_millis(300));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let mut output = child.wait_with_output().unwrap();
    output.stdout.splice(0..0, shown);
    output
}

impl Running {
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        let _ = kill_process(pid, signal);
    }

    /// As Ctrl-C at a terminal does it: to everything of its process group, which it must have for itself (`setsid`).
    pub fn signal_group(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process_group(pid, signal).unwrap();
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end; 128 and the signal's number, as a shell has it, when one ended it.
    pub fn wait(mut self) -> Output {
        use std::os::unix::process::ExitStatusExt;
        let status = self.child.wait().unwrap();
        let read = |path: &Path| {
            let mut text = String::new();
            File::open(path).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        Output { stdout: read(&self.stdout), stderr: read(&self.stderr), code }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Output {
    /// The run succeeded.
    #[track_caller]
    pub fn ok(self) -> Output {
        self.exits(0)
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Output {
        assert_eq!(self.code, code, "{}", self.screen());
        self
    }

    /// Everything a user sees.
    pub fn screen(&self) -> String {
        let mut text = format!("exit {}\n", self.code);
        for (name, part) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !part.is_empty() {
                text.push_str(&format!("--- {name}\n{part}"));
            }
        }
        text
    }
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed().as_secs() < 60, "waited a minute in vain until {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
