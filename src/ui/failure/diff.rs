//! Errors of what is compared with: revisions of a repository, helm's records.

use super::{Code, Failure, Failures, Kind};
use crate::record::UnreadableRecord;
use crate::tools::CallError;

/// git can't say what a folder held at a revision.
pub fn git(folder: &str, revision: &str, error: &CallError) -> Failures {
    let title = format!("cannot read {folder} at {revision}");
    let failure = match error {
        CallError::NotRun { .. } => Failure::new(Code::NoRevision, Kind::Yours, format!("{title}: git can't be run"))
            .detail(error.to_string())
            .help("install git, or compare with bundle:FILE or env:NAME"),
        _ if error.interrupted() => Failure::new(Code::Interrupted, Kind::Transient, format!("{title}: interrupted")),
        _ => Failure::new(Code::NoRevision, Kind::Yours, title)
            .word(error.stderr())
            .help("name a branch, a tag or a commit; a shallow clone has only its newest"),
    };
    failure.into()
}

/// A record of helm's that can't be read.
pub fn unreadable_record(release: &str, error: &UnreadableRecord) -> Failure {
    let title = format!("{release}: helm's record can't be read");
    Failure::new(Code::RecordUnreadable, Kind::Permanent, title).detail(error.to_string())
}
