//! Calling kubectl: what every command is given, and its words without its own log. Must not know what is asked.

use std::ffi::OsString;

use super::Kubectl;
use crate::tools::process::{self, Call, CallError};

impl Kubectl {
    /// A command as it is called, ready to run.
    pub(super) fn call<'a>(&'a self, mut args: Vec<String>, stdin: Option<&'a [u8]>) -> Call<'a> {
        if args[0] != "wait" {
            args.push(format!("--request-timeout={}s", self.request_timeout.as_secs()));
        }
        args.extend(self.cluster.kubectl_args());
        let foreign = |key: &str| key.starts_with("KUBECTL_") || key.starts_with("SOPS_");
        let inherited = self.variables.iter().filter(|(key, _)| !foreign(&key.to_string_lossy()));
        let mut variables: Vec<(OsString, OsString)> = inherited.cloned().collect();
        variables.push(("KUBECACHEDIR".into(), self.home.join("kube").into()));
        let (key, value) = process::COLLECT_SELDOM;
        variables.push((key.into(), value.into()));
        Call { program: &self.program, args, variables, stdin, output_folder: &self.home, born: None, listener: None }
    }

    /// Calls it; what it prints.
    pub(super) async fn run(&self, args: Vec<String>, stdin: Option<&[u8]>) -> Result<Vec<u8>, CallError> {
        self.ended(self.call(args, stdin)).await
    }

    /// Runs a command; what it prints.
    pub(super) async fn ended(&self, call: Call<'_>) -> Result<Vec<u8>, CallError> {
        process::run(call, &self.interrupt).await.map_err(|error| error.with_words(without_log))
    }

    /// The same where what is printed must get to no disk.
    pub(super) async fn ended_in_memory(&self, call: Call<'_>) -> Result<Vec<u8>, CallError> {
        process::run_in_memory(call, &self.interrupt).await.map_err(|error| error.with_words(without_log))
    }
}

/// kubectl's words without the lines of its log, which say the same several times over (`klog`: `E1122 02:28:34.388954 …`).
/// Where it says nothing else, each line of it once.
fn without_log(words: &str) -> String {
    let said: Vec<&str> = words.lines().filter(|line| message(line).is_none()).collect();
    if said.iter().any(|line| !line.trim().is_empty()) {
        return said.join("\n");
    }
    let mut logged: Vec<&str> = Vec::new();
    for message in words.lines().filter_map(message) {
        if !logged.contains(&message) {
            logged.push(message);
        }
    }
    logged.join("\n")
}

/// What a line of the log says after level, time, process and place.
fn message(line: &str) -> Option<&str> {
    let mut start = line.bytes();
    let level = start.next().is_some_and(|byte| b"IWEF".contains(&byte));
    let date = start.by_ref().take(4).filter(u8::is_ascii_digit).count() == 4 && start.next() == Some(b' ');
    let (place, message) = line.split_once("] ")?;
    (level && date && place.contains(".go:")).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "E1122 02:28:34.388954   18725 memcache.go:265] \"Unhandled Error\" err=\"no route\"";

    #[test]
    fn what_kubectl_logs_is_left_out() {
        let refused = "The connection to the server 127.0.0.1:1 was refused";
        assert_eq!(without_log(&format!("{LINE}\n{LINE}\n{refused}\n")), refused);
        assert_eq!(without_log("a\n\nb"), "a\n\nb");
    }

    #[test]
    fn a_log_alone_is_told_once() {
        assert_eq!(without_log(&format!("{LINE}\n{LINE}\n")), "\"Unhandled Error\" err=\"no route\"");
        assert_eq!(without_log(""), "");
    }

    #[test]
    fn only_lines_of_the_log_are_taken_for_it() {
        for line in ["Error from server (NotFound): a.go:1] x", "E112 a.go:1] x", "E1122 x] y", "Exxxx a.go:1] y", ""] {
            assert_eq!(message(line), None, "{line}");
        }
    }
}
