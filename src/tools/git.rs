//! git: what a folder held at a revision. Must not change anything of a repository.

use std::ffi::OsString;
use std::path::PathBuf;

use super::process::{self, Call, CallError, Interrupt};

/// The user's git.
#[derive(Debug, Clone)]
pub struct Git {
    /// The executable, found on the user's path.
    pub program: PathBuf,
    /// The folder in question.
    pub folder: PathBuf,
    /// A private folder for its output.
    pub home: PathBuf,
    /// The variables this process was started with.
    pub variables: Vec<(OsString, OsString)>,
    /// Hears when the user wants to stop.
    pub interrupt: Interrupt,
}

impl Git {
    /// The commit that a revision names; one that begins with a dash would be an option.
    ///
    /// # Errors
    /// [`CallError`] with git's own word: it is not installed, the folder is in no repository, there is no such revision.
    pub async fn commit(&self, revision: &str) -> Result<String, CallError> {
        let wanted = format!("{revision}^{{commit}}");
        let out = self.run(&["rev-parse", "--verify", "--short=12", &wanted]).await?;
        Ok(String::from_utf8_lossy(&out).trim().to_owned())
    }

    /// The files of the folder at a commit, as a tar with paths relative to it.
    ///
    /// # Errors
    /// As [`Git::commit`].
    pub async fn archive(&self, commit: &str) -> Result<Vec<u8>, CallError> {
        self.run(&["archive", "--format=tar", commit]).await
    }

    async fn run(&self, args: &[&str]) -> Result<Vec<u8>, CallError> {
        let folder = "-C".to_owned();
        let args = [folder, self.folder.display().to_string()].into_iter().chain(args.iter().map(|a| (*a).to_owned()));
        let variables = self.variables.clone();
        let call = Call {
            program: &self.program,
            args: args.collect(),
            variables,
            stdin: None,
            output_folder: &self.home,
            born: None,
            listener: None,
        };
        process::run(call, &self.interrupt).await
    }
}
