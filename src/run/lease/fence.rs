//! The fence: a post-renderer looks once more whether its run still has the lease, before it lets helm write. A helm
//! whose run was followed by another then changes nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ASK, Holder, LeaseObject, TERM, clock};
use crate::files;
use crate::tools::{Cluster, Interrupt, Kubectl};

/// The file in a run's folder in which its renewals are noted.
pub(super) const FILE: &str = "lease.json";

/// How a post-renderer finds out whether its run still has the lease. It holds no secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fence {
    lease: String,
    holder: String,
    file: PathBuf,
    kubectl: PathBuf,
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
    home: PathBuf,
    refused: PathBuf,
}

/// Why helm may not write.
#[derive(Debug, thiserror::Error)]
pub enum Fenced {
    /// Another run has the lease.
    #[error("the lease of its run was taken over: now {0} has it")]
    Taken(String),
    /// Nobody can tell.
    #[error("the API server does not say whether its run still has the lease: {0}")]
    Unknown(String),
}

#[derive(Serialize, Deserialize)]
struct Note {
    /// When the lease was renewed, in milliseconds since the host was started.
    renewed: u64,
}

/// What the holder writes after a renewal.
pub(super) fn note(at: Duration) -> String {
    let note = Note { renewed: u64::try_from(at.as_millis()).unwrap_or(0) };
    serde_json::to_string(&note).unwrap_or_default()
}

impl Fence {
    pub(super) fn new(lease: &str, file: &Path, me: &Holder, kubectl: &Kubectl, release: &str) -> Fence {
        Fence {
            lease: lease.to_owned(),
            holder: me.identity(),
            refused: file.with_file_name(format!("{release}.fenced")),
            file: file.to_owned(),
            kubectl: kubectl.program.clone(),
            kubeconfig: kubectl.cluster.kubeconfig.clone(),
            context: kubectl.cluster.context.clone(),
            home: kubectl.home.clone(),
        }
    }

    /// Whether helm may write. What is refused is left in a file too, because helm swallows what a plugin says.
    ///
    /// # Errors
    /// [`Fenced`]; helm must not write then.
    pub async fn check(&self, variables: &[(OsString, OsString)]) -> Result<(), Fenced> {
        let result = self.look(variables).await;
        if let Err(error) = &result {
            // Without it helm's failure is told without the reason.
            let _ = files::write_private(&self.refused, error.to_string().as_bytes());
        }
        result
    }

    /// Why helm was kept from writing, if it was; told once.
    pub fn refused(&self) -> Option<String> {
        let why = std::fs::read_to_string(&self.refused).ok()?;
        let _ = std::fs::remove_file(&self.refused);
        Some(why)
    }

    /// A renewal within half a term answers by itself; else the API server is asked.
    async fn look(&self, variables: &[(OsString, OsString)]) -> Result<(), Fenced> {
        if is_fresh(&self.file, clock::boot_clock()) {
            return Ok(());
        }
        let kubectl = Kubectl {
            program: self.kubectl.clone(),
            cluster: Cluster { kubeconfig: self.kubeconfig.clone(), context: self.context.clone() },
            home: self.home.clone(),
            variables: variables.to_vec(),
            request_timeout: ASK.0,
            patience: ASK.1,
            interrupt: Interrupt::never(),
        };
        let unknown = |error: crate::tools::CallError| Fenced::Unknown(error.stderr().trim().to_owned());
        let Some(text) = kubectl.object(&self.lease).await.map_err(unknown)? else {
            return Err(Fenced::Taken("nobody".to_owned()));
        };
        let lease = LeaseObject::read(&text).map_err(Fenced::Taken)?;
        match lease.holder() {
            Some(holder) if holder.identity() == self.holder => Ok(()),
            Some(holder) => Err(Fenced::Taken(holder.to_string())),
            None => Err(Fenced::Taken("nobody".to_owned())),
        }
    }
}

/// Whether a renewal was noted within half a term.
fn is_fresh(file: &Path, now: Duration) -> bool {
    let noted = files::read(file).ok().and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok());
    let age = noted.and_then(|note| now.checked_sub(Duration::from_millis(note.renewed)));
    age.is_some_and(|age| age < TERM / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_renewal_within_half_a_term_answers_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        let at = Duration::from_secs(1000);
        assert!(!is_fresh(&file, at), "no file");
        std::fs::write(&file, note(at)).unwrap();
        assert!(is_fresh(&file, at + TERM / 2 - Duration::from_millis(1)));
        assert!(!is_fresh(&file, at + TERM / 2));
        // The host was started again since.
        assert!(!is_fresh(&file, Duration::from_secs(3)));
        std::fs::write(&file, "half").unwrap();
        assert!(!is_fresh(&file, at));
    }
}
