//! A lease that is held: renewed in the background, lost when that fails for a whole term, and let go at the end.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use super::clock::boot_clock;
use super::{Fence, Holder, LeaseObject, RENEW, TERM};
use crate::files;
use crate::tools::{Kubectl, Write};

/// The pause after a renewal that failed.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Why a run has its lease no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// Somebody else has it.
    Taken(String),
    /// It could not be renewed for its whole term.
    NotRenewed(String),
}

/// A lease that is held. Dropping it leaves it as it is; others then see that its holder is gone.
pub struct Lease {
    shared: Arc<Shared>,
    renewer: JoinHandle<()>,
    lost: watch::Receiver<Option<Lost>>,
}

struct Shared {
    kubectl: Kubectl,
    path: String,
    me: Holder,
    object: Mutex<String>,
    file: PathBuf,
}

/// What a renewal came to.
enum Renewal {
    Done,
    Taken(String),
    Failed(String),
}

impl Lease {
    pub(super) fn held(
        kubectl: Kubectl,
        path: String,
        me: Holder,
        object: String,
        file: PathBuf,
        since: Duration,
    ) -> Lease {
        // A question that is asked again would hide how long it was not answered.
        let kubectl = Kubectl { patience: Duration::ZERO, ..kubectl };
        let shared = Arc::new(Shared { kubectl, path, me, object: Mutex::new(object), file });
        shared.note(since);
        let (tell, lost) = watch::channel(None);
        let renewer = tokio::spawn(keep(shared.clone(), tell, since));
        Lease { shared, renewer, lost }
    }

    /// Who holds it: this run.
    pub fn holder(&self) -> &Holder {
        &self.shared.me
    }

    /// Why it is held no more; none while it is.
    pub fn lost(&self) -> Option<Lost> {
        self.lost.borrow().clone()
    }

    /// What the post-renderer of a release asks before helm writes.
    pub fn fence(&self, release: &str) -> Fence {
        let Shared { path, file, me, kubectl, .. } = &*self.shared;
        Fence::new(path, file, me, kubectl, release)
    }

    /// Lets go of it, so that the next run need not wait. What fails is left to the next run to find out.
    pub async fn release(self) {
        self.renewer.abort();
        let _ = fs::remove_file(&self.shared.file);
        if self.lost().is_some() {
            return;
        }
        let kubectl = Kubectl { patience: TRY_AGAIN * 3, ..self.shared.kubectl.clone() };
        let text = self.shared.object.lock().await.clone();
        let Ok(object) = LeaseObject::read(&text) else { return };
        if !matches!(kubectl.replace(&self.shared.path, &object.released()).await, Ok(Write::Conflict)) {
            return;
        }
        // A renewal was on its way.
        let Ok(Some(text)) = kubectl.object(&self.shared.path).await else { return };
        if let Ok(object) = LeaseObject::read(&text)
            && object.holder().as_ref() == Some(&self.shared.me)
        {
            let _ = kubectl.replace(&self.shared.path, &object.released()).await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewer.abort();
    }
}

/// Renews the lease until it is lost.
async fn keep(shared: Arc<Shared>, tell: watch::Sender<Option<Lost>>, mut renewed: Duration) {
    loop {
        tokio::time::sleep(RENEW.saturating_sub(boot_clock().saturating_sub(renewed))).await;
        let lost = loop {
            let begun = boot_clock();
            match shared.renew().await {
                Renewal::Done => {
                    renewed = begun;
                    shared.note(begun);
                    break None;
                }
                Renewal::Taken(by) => break Some(Lost::Taken(by)),
                Renewal::Failed(word) if boot_clock().saturating_sub(renewed) >= TERM => {
                    break Some(Lost::NotRenewed(word));
                }
                Renewal::Failed(_) => tokio::time::sleep(TRY_AGAIN).await,
            }
        };
        if lost.is_some() {
            let _ = fs::remove_file(&shared.file);
            tell.send_replace(lost);
            return;
        }
    }
}

impl Shared {
    async fn renew(&self) -> Renewal {
        let mut text = self.object.lock().await;
        let Ok(object) = LeaseObject::read(&text) else { return Renewal::Failed("it can't be read".to_owned()) };
        match self.kubectl.replace(&self.path, &object.renewed()).await {
            Ok(Write::Done(now)) => *text = now,
            // Written by somebody; by a person's tool, it may still be ours.
            Ok(Write::Conflict) => {
                match self.kubectl.object(&self.path).await.map(|found| found.map(|t| (LeaseObject::read(&t), t))) {
                    Ok(Some((Ok(found), now))) if found.holder().as_ref() == Some(&self.me) => {
                        *text = now;
                        return Renewal::Failed("somebody else wrote it".to_owned());
                    }
                    Ok(Some((Ok(found), _))) => {
                        return Renewal::Taken(found.holder().map_or("nobody".to_owned(), |holder| holder.to_string()));
                    }
                    Ok(Some((Err(reason), _))) => return Renewal::Taken(reason),
                    Ok(None) => return Renewal::Taken("somebody who removed it".to_owned()),
                    Err(error) => return Renewal::Failed(error.to_string()),
                }
            }
            Ok(Write::Absent) => return Renewal::Taken("somebody who removed it".to_owned()),
            Err(error) => return Renewal::Failed(error.stderr().trim().to_owned()),
        }
        Renewal::Done
    }

    /// Notes for the fence when it was renewed last. What can't be written makes the fence ask the API server.
    fn note(&self, at: Duration) {
        let _ = files::write_unsynced(&self.file, super::fence::note(at).as_bytes());
    }
}
