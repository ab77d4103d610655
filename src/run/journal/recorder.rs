//! Writing the journal: first into a file of this host, whole and synced at each event, then into a ConfigMap, at most
//! every few seconds. What can't be recorded here must not be begun.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::published::{Shelf, publish};
use super::{Entry, Journal, Outcome, State, rfc3339};
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

    /// Whether anything has not begun yet.
    pub fn has_waiting(&self) -> bool {
        let state = self.shared.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.0.releases.iter().any(|entry| entry.state == State::Waiting)
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
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::super::newest;
    use super::*;
    use crate::tools::{Cluster, Interrupt, Kubectl};

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

    /// A kubectl that does this with what it is given, in `$text`, and keeps what it takes in `shelf`.
    fn kubectl(folder: &Path, script: &str) -> Kubectl {
        let program = folder.join("kubectl");
        std::fs::write(&program, format!("#!/bin/sh\ncd '{}'\ntext=$(cat)\n{script}", folder.display())).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        Kubectl {
            program,
            cluster: Cluster { kubeconfig: None, context: None },
            home: folder.to_owned(),
            variables: vec![("PATH".into(), "/usr/bin:/bin".into())],
            request_timeout: Duration::from_secs(5),
            patience: Duration::ZERO,
            interrupt: Interrupt::never(),
        }
    }

    /// What the cluster has of a run that was recorded and ended, once the first write has come as far as `first`.
    fn shelved(script: &str, first: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(kubectl(folder.path(), script), "state");
        runtime().block_on(async {
            let recorder = Recorder::begin(folder.path().join("journal.json"), journal(), shelf).await.unwrap();
            let end = Instant::now() + Duration::from_secs(20);
            while !folder.path().join(first).exists() && Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert!(recorder.end(Outcome::Done).await);
            // Whatever is still on its way arrives.
            tokio::time::sleep(Duration::from_millis(700)).await;
        });
        std::fs::read_to_string(folder.path().join("shelf")).unwrap()
    }

    /// The run ends while the cluster is still taking what it said before.
    #[test]
    fn the_last_word_is_the_last_write() {
        let slow =
            "case $text in *'outcome\\\":\\\"running'*) touch begun; sleep 0.5 ;; esac\nprintf %s \"$text\" >shelf\n";
        let shelved = shelved(slow, "begun");
        assert!(shelved.contains(r#"outcome\":\"done"#), "{shelved}");
    }

    /// The first write arrived, and its answer did not: the ConfigMap is there, without anybody here knowing it.
    #[test]
    fn a_write_whose_answer_was_lost_does_not_keep_the_last_one_away() {
        let lossy = "case $1 in\ncreate)\n  if [ -e shelf ]; then echo 'Error from server (AlreadyExists): x' >&2; exit 1; fi\n  \
                     printf %s \"$text\" >shelf; echo 'i/o timeout' >&2; exit 1 ;;\nreplace) printf %s \"$text\" >shelf ;;\nesac\n";
        let shelved = shelved(lossy, "shelf");
        assert!(shelved.contains(r#"outcome\":\"done"#), "{shelved}");
    }
}
