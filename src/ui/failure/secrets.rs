//! Errors of encrypted files and of what is generated into them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Code, Failure, Failures, Kind};
use crate::secrets::{KeyId, SecretsError};
use crate::tools::CallError;

/// An example of sops' rules for new files.
const RULES: &str = "write a file .sops.yaml beside `environments`:  creation_rules: [{age: age1…}]";

impl From<SecretsError> for Failures {
    fn from(error: SecretsError) -> Failures {
        let damaged = || Failure::caused(Code::SecretsDamaged, Kind::Yours, &error);
        let not_made = || Failure::caused(Code::SecretNotMade, Kind::Yours, &error);
        match &error {
            SecretsError::File(_) => return file(error),
            SecretsError::NoKey { keys, word, .. } => {
                let failure = Failure::caused(Code::NoKey, Kind::Yours, &error).word(word);
                places(keys, with_keys(failure, keys))
            }
            SecretsError::Syntax { .. } => damaged().help("the line is not shown, as it may hold a secret"),
            SecretsError::NotEncrypted { path } | SecretsError::PlainValue { path, .. } => damaged()
                .help(format!("encrypt the file with `sops encrypt --in-place {path}`"))
                .help("if it was ever shared like this, rotate what is in it"),
            SecretsError::PartlyEncrypted { path, .. } => damaged()
                .help(format!("take it out of `.sops.yaml`, and make {path} anew: platctl wants every value encrypted")),
            SecretsError::Damaged { path, written_by } => damaged()
                .detail(format!("written by sops {written_by}"))
                .help(format!("take {path} from version control again; edit it only with `platctl secrets edit`, or sops"))
                .help("a sops older than the one that wrote it fails the same way: compare with `tools` in environment.yaml"),
            SecretsError::NoRules { word, .. } => Failure::caused(Code::SecretRules, Kind::Yours, &error)
                .word(word)
                .help(RULES)
                .help("`age-keygen -o keys.txt` makes a key and prints its age1…; SOPS_AGE_KEY_FILE=keys.txt has it found")
                .help("every recipient can decrypt: name those of the site and your own"),
            SecretsError::Sops { source, .. } => failed_call(&error, source),
            SecretsError::Blocked { path, .. } => not_made().help(format!("one of them has another name: look into {path}")),
            SecretsError::NotWritten { .. } | SecretsError::Generate { .. } => not_made(),
        }
        .into()
    }
}

fn failed_call(error: &SecretsError, call: &CallError) -> Failure {
    match call {
        CallError::NotRun { .. } => Failure::caused(Code::Tool, Kind::Permanent, error),
        CallError::Failed { interrupted: true, .. } => Failure::new(Code::Interrupted, Kind::Transient, "interrupted")
            .help("run the same command again: the file is as it was"),
        CallError::Failed { .. } => {
            let mut failure = Failure::new(Code::Tool, Kind::Permanent, error.to_string())
                .help("its words are left out, as they may quote the file; run it by hand to see them");
            failure.ran = Some(call.to_string());
            failure
        }
    }
}

fn file(error: SecretsError) -> Failures {
    match error {
        SecretsError::File(error) => error.into(),
        other => Failure::caused(Code::File, Kind::Permanent, &other).into(),
    }
}

fn with_keys(mut failure: Failure, keys: &[KeyId]) -> Failure {
    failure.details.extend(keys.iter().map(|key| format!("would do: {key}")));
    failure
}

/// Where sops looks for the keys of these kinds.
fn places(keys: &[KeyId], failure: Failure) -> Failure {
    let kinds: BTreeSet<&str> = keys.iter().map(|key| key.kind).collect();
    let place = |kind: &str| match kind {
        "age" => "age: SOPS_AGE_KEY_FILE=FILE, SOPS_AGE_KEY, or ~/.config/sops/age/keys.txt",
        "pgp" => "pgp: gpg's keyring, GNUPGHOME",
        "aws kms" => "aws kms: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        "gcp kms" => "gcp kms: GOOGLE_APPLICATION_CREDENTIALS",
        "azure key vault" => "azure key vault: AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET",
        "vault" => "vault: VAULT_ADDR, VAULT_TOKEN",
        _ => "see sops' manual for where it looks",
    };
    kinds.into_iter().fold(failure, |failure, kind| failure.help(place(kind)))
}

/// Secrets that nobody can make but the user, with the releases that use them.
pub fn secrets_by_hand(environment: &str, names: &BTreeMap<&str, BTreeSet<&str>>) -> Failures {
    let title = match names.len() {
        1 => "1 secret is yours to set".to_owned(),
        n => format!("{n} secrets are yours to set"),
    };
    let mut failure = Failure::new(Code::SecretMissing, Kind::Yours, title);
    let line = |(name, users): (&&str, &BTreeSet<&str>)| {
        format!("{name}, for {}", users.iter().copied().collect::<Vec<_>>().join(", "))
    };
    failure.details.extend(names.iter().map(line));
    failure.help(format!("`platctl secrets edit -e {environment}`")).into()
}
