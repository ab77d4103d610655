//! sops: one method a command. Values go in by standard input and come out into memory, never through arguments or a
//! disk. It finds its keys where it always does, so the user's variables and home reach it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::process::{self, Call, CallError, Interrupt};

/// What sops exits with, as far as it matters (its `cmd/sops/codes`).
pub mod exit {
    /// There is no key at hand, or none that fits.
    pub const NO_KEY: i32 = 128;
    /// The file was changed by something else than sops.
    pub const MAC_MISMATCH: i32 = 51;
    /// The file has no seal.
    pub const MAC_NOT_FOUND: i32 = 52;
    /// A value can't be decrypted.
    pub const TREE: i32 = 25;
    /// The seal can't be decrypted.
    pub const MAC: i32 = 24;
    /// The rules for new files can't be read, or none fits.
    pub const RULES: i32 = 5;
    /// The editor changed nothing.
    pub const UNCHANGED: i32 = 200;
    /// There is no editor, or it failed.
    pub const EDITOR: i32 = 201;
}

/// A sops executable.
#[derive(Debug, Clone)]
pub struct Sops {
    /// The executable.
    pub program: PathBuf,
    /// The variables this process was started with: they say where keys are.
    pub variables: Vec<(OsString, OsString)>,
    /// Hears when the user wants to stop.
    pub interrupt: Interrupt,
}

impl Sops {
    /// Decrypts a file that may lie anywhere, such as in a bundle; gives its values as JSON.
    ///
    /// # Errors
    /// [`CallError`] with sops' own word.
    pub async fn decrypt(&self, name: &str, encrypted: &[u8]) -> Result<Vec<u8>, CallError> {
        let args = ["decrypt", "--input-type=yaml", "--output-type=json", "--filename-override", name];
        self.run(args.map(String::from).to_vec(), Some(encrypted)).await
    }

    /// Encrypts values, given as JSON, for a file that is to be made at a path, by the rules in `.sops.yaml`.
    ///
    /// # Errors
    /// [`CallError`] with sops' own word.
    pub async fn encrypt(&self, path: &Path, rules: Option<&Path>, plain: &[u8]) -> Result<Vec<u8>, CallError> {
        let mut args: Vec<String> = rules.map(|rules| format!("--config={}", rules.display())).into_iter().collect();
        args.extend(["encrypt", "--input-type=json", "--output-type=yaml", "--filename-override"].map(String::from));
        args.push(path.display().to_string());
        self.run(args, Some(plain)).await
    }

    /// Sets one value, given as JSON, in an encrypted file; all others stay as they are, byte for byte.
    ///
    /// # Errors
    /// [`CallError`] with sops' own word.
    pub async fn set(&self, file: &Path, name: &[&str], value: &[u8]) -> Result<(), CallError> {
        let index: String = name.iter().map(|part| format!("[{}]", serde_json::Value::from(*part))).collect();
        let mut args = ["set", "--input-type=yaml", "--output-type=yaml", "--value-stdin"].map(String::from).to_vec();
        args.extend([file.display().to_string(), index]);
        self.run(args, Some(value)).await.map(|_| ())
    }

    /// Opens an encrypted file in the user's editor, at the terminal. What the editor sees lies in `scratch`.
    ///
    /// # Errors
    /// [`CallError`]; sops' own word went to the terminal.
    pub async fn edit(&self, file: &Path, scratch: &Path) -> Result<(), CallError> {
        let args = vec![
            "edit".to_owned(),
            "--input-type=yaml".to_owned(),
            "--output-type=yaml".to_owned(),
            file.display().to_string(),
        ];
        let mut variables = self.variables();
        variables.push(("TMPDIR".into(), scratch.into()));
        let call = Call {
            program: &self.program,
            args,
            variables,
            stdin: None,
            output_folder: scratch,
            born: None,
            listener: None,
        };
        process::run_at_terminal(call, &self.interrupt).await
    }

    async fn run(&self, args: Vec<String>, stdin: Option<&[u8]>) -> Result<Vec<u8>, CallError> {
        // Nothing is written there: the output stays in memory.
        let output_folder = Path::new("/nonexistent");
        let call = Call {
            program: &self.program,
            args,
            variables: self.variables(),
            stdin,
            output_folder,
            born: None,
            listener: None,
        };
        process::run_in_memory(call, &self.interrupt).await
    }

    fn variables(&self) -> Vec<(OsString, OsString)> {
        let mut variables = self.variables.clone();
        // It would ask the internet whether there is a newer one.
        variables.push(("SOPS_DISABLE_VERSION_CHECK".into(), "1".into()));
        variables
    }
}
