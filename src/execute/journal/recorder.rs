//! Writing the journal: first into a file of this host, whole and synced at each event, then into a ConfigMap, at most
//! every few seconds. What can't be recorded here must not be begun.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::published::{Shelf, publish};
use super::{Entry, Journal, Outcome, rfc3339};
use crate::files::{self, FileError};

/// How often the ConfigMap is written at most.
const PUBLISH: Duration = Duration::from_secs(5);

/// A journal that is being written.
pub struct Recorder {
    shared: Arc<Shared>,
    publisher: JoinHandle<()>,
}

struct Shared {
    file: PathBuf,
    state: std::sync::Mutex<(Journal, u64)>,
    /// The version that lies on the disk. Whoever holds it writes for all that wait.
    written: Mutex<u64>,
    changed: Notify,
    shelf: Mutex<Shelf>,
}

impl Recorder {
    /// Begins a journal: in its file before this returns, in the cluster soon after.
    ///
    /// # Errors
    /// [`FileError`] when the file can't be written; the run must not begin then.
    pub async fn begin(file: PathBuf, journal: Journal, shelf: Shelf) -> Result<Recorder, FileError> {
        let shared = Arc::new(Shared {
            file,
            state: std::sync::Mutex::new((journal, 1)),
            written: Mutex::new(0),
            changed: Notify::new(),
            shelf: Mutex::new(shelf),
        });
        shared.write().await?;
        Ok(Recorder { publisher: tokio::spawn(keep_published(shared.clone())), shared })
    }

    /// Notes something of a release. It lies on the disk when this returns.
    ///
    /// # Errors
    /// [`FileError`] when it can't be written; what it says must not be begun then.
    pub async fn note(&self, release: &str, namespace: &str, change: impl FnOnce(&mut Entry)) -> Result<(), FileError> {
        self.shared.change(|journal| {
            if let Some(entry) = journal.entry(release, namespace) {
                change(entry);
            }
        });
        self.shared.changed.notify_one();
        self.shared.write().await
    }

    /// The run's end: on the disk, and in the cluster. Whether both know it.
    pub async fn end(&self, outcome: Outcome) -> bool {
        // Not in the middle of a write, which could come after the last one.
        let mut shelf = self.shared.shelf.lock().await;
        self.publisher.abort();
        self.shared.change(|journal| {
            journal.outcome = outcome;
            journal.ended = Some(rfc3339(std::time::SystemTime::now()));
        });
        let written = self.shared.write().await.is_ok();
        let journal = self.shared.journal();
        publish(&mut shelf, &journal).await.is_ok() && written
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.publisher.abort();
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut Journal)) {
        // Nobody panics while holding it; what a panic left would still be a journal.
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut state.0);
        state.1 += 1;
    }

    fn snapshot(&self) -> (Journal, u64) {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn journal(&self) -> Journal {
        self.snapshot().0
    }

    /// Writes what is known now. Events that come while another one is being written share the next write.
    async fn write(&self) -> Result<(), FileError> {
        let wanted = self.snapshot().1;
        let mut written = self.written.lock().await;
        if *written >= wanted {
            return Ok(());
        }
        let (journal, version) = self.snapshot();
        let file = self.file.clone();
        let write = move || files::write_private(&file, journal.json().as_bytes());
        let result = tokio::task::spawn_blocking(write).await;
        result.unwrap_or_else(|error| {
            Err(FileError { action: "write", path: self.file.clone(), source: std::io::Error::other(error) })
        })?;
        *written = version;
        Ok(())
    }
}

/// Writes the ConfigMap at once, and then after changes. What fails is tried again at the next one, and at the end.
async fn keep_published(shared: Arc<Shared>) {
    loop {
        let begun = Instant::now();
        let journal = shared.journal();
        let _ = publish(&mut *shared.shelf.lock().await, &journal).await;
        tokio::time::sleep_until(begun + PUBLISH).await;
        shared.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{State, newest};
    use super::*;

    fn journal() -> Journal {
        let mut journal = Journal::begun("r", "apply", "p", "e", "2026-11-21T19:30:00Z".to_owned(), "h");
        journal.releases = (0..40).map(|n| Entry::waiting(&format!("r{n}"), "n", "install", None)).collect();
        journal
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
    }

    #[test]
    fn what_was_noted_lies_on_the_disk_and_writes_are_shared() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("journal.json");
        runtime().block_on(async {
            let recorder = Recorder::begin(file.clone(), journal(), Shelf::none()).await.unwrap();
            let notes = (0..40).map(|n| {
                let recorder = &recorder;
                let file = &file;
                async move {
                    let name = format!("r{n}");
                    recorder.note(&name, "n", |entry| entry.state = State::Running).await.unwrap();
                    let text = std::fs::read_to_string(file).unwrap();
                    let mut read = Journal::read("r", &text).unwrap();
                    assert_eq!(read.entry(&name, "n").unwrap().state, State::Running);
                }
            });
            futures_util::future::join_all(notes).await;
            recorder.end(Outcome::Failed).await;
        });
        let read = Journal::read("r", &std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(read.outcome, Outcome::Failed);
        assert!(read.ended.is_some());
        assert_eq!(newest([read.clone(), journal()]), Some(read));
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let begun =
            runtime().block_on(Recorder::begin(folder.path().join("no/journal.json"), journal(), Shelf::none()));
        assert!(begun.is_err());
    }
}
