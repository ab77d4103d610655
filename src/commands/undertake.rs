//! Beginning and ending a run that changes a cluster: its folder, the environment's lease, its journal. Every verb that
//! changes something goes through here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Context;
use crate::definition::Definition;
use crate::files;
use crate::plan::Overwritten;
use crate::run;
use crate::run::journal::{FILE, Outcome};
use crate::run::lease::{Claim, Notice};
use crate::run::{End, Undertaking};
use crate::tools::{Helm, Kubectl, write_post_renderer};
use crate::ui::failure::{self, Failures, exit};
use crate::ui::{Ui, duration};

/// A run that has begun. Nothing is recorded before [`Undertaking::record`].
pub struct Began {
    /// Lease and journal.
    pub undertaking: Undertaking,
    /// Somebody else was at work, or had left something: the cluster must be looked at again.
    pub followed: bool,
    folder: tempfile::TempDir,
    ui: Ui,
}

/// Begins a run: takes the environment's lease, after what must be waited for.
///
/// # Errors
/// [`Failures`] when another run has the lease; nothing has changed then.
pub async fn begin(
    context: &Context,
    kubectl: &Kubectl,
    definition: &Definition,
    verb: &str,
) -> Result<Began, Failures> {
    let runs = runs(context);
    let folder = run_folder(&runs)?;
    let name = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let namespaces: BTreeSet<String> = definition.releases.iter().map(|release| release.namespace.clone()).collect();
    let claim = Claim {
        kubectl,
        namespace: &context.global.state_namespace,
        platform: &definition.environment.platform,
        environment: &definition.environment.name,
        run: name.trim_start_matches("run-"),
        verb,
        folder: folder.path(),
        namespaces: &namespaces,
        runs: &runs,
        interrupt: &context.interrupt,
    };
    let followed = std::sync::atomic::AtomicBool::new(false);
    let notice = |notice: Notice<'_>| {
        followed.store(true, std::sync::atomic::Ordering::Relaxed);
        draw(context, &notice);
    };
    let undertaking = Undertaking::begin(&claim, &notice).await.map_err(|error| failure::lease(&claim, &error))?;
    Ok(Began { undertaking, followed: followed.into_inner(), folder, ui: context.ui.clone() })
}

/// Where the folders of runs are.
pub fn runs(context: &Context) -> PathBuf {
    context.surroundings.cache.join("runs")
}

/// A private folder for one run. A killed run leaves its own behind for the helms still at work; old ones go.
fn run_folder(runs: &Path) -> Result<tempfile::TempDir, Failures> {
    files::private_folder(runs)?;
    files::remove_older(runs, Duration::from_secs(24 * 3600));
    let now = SystemTime::now();
    let made = folder_named(runs, &run::run_stamp(now), fraction(now));
    Ok(made.map_err(files::FileError::at("make a folder in", runs))?)
}

/// How much of its second is over, in parts of 65536: names of runs sort by time, those of one second too, and two runs
/// hardly share one.
fn fraction(now: SystemTime) -> u32 {
    let nanos = now.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.subsec_nanos()).unwrap_or(0);
    u32::try_from((u64::from(nanos) << 16) / 1_000_000_000).unwrap_or(0)
}

/// The folder of a run whose name is legal for a Kubernetes object too: no capitals.
fn folder_named(runs: &Path, stamp: &str, fraction: u32) -> std::io::Result<tempfile::TempDir> {
    let named = |number: u32| {
        let name = format!("run-{stamp}-{:04x}", number & 0xffff);
        tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir_in(runs)
    };
    let mut made = named(fraction);
    for next in 1..16 {
        match &made {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                made = named(fraction.wrapping_add(next))
            }
            _ => break,
        }
    }
    made
}

impl Began {
    /// The run's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The same helm, with plugins of this run alone, whose processes are told to the journal.
    ///
    /// # Errors
    /// [`Failures`] when the plugins can't be written.
    pub fn helm(&self, context: &Context, mut helm: Helm) -> Result<Helm, Failures> {
        helm.plugins = self.folder().join("plugins");
        helm.births = self.undertaking.births();
        write_post_renderer(&helm.plugins, &context.surroundings.executable)?;
        Ok(helm)
    }

    /// Ends the run. Its folder stays for a day when there may be something to go on with.
    pub async fn end(self, outcome: Outcome) {
        let End { published, overwritten } = self.undertaking.end(outcome).await;
        overwritten.iter().for_each(|found| self.ui.warn(told(found)));
        if !published {
            let file = self.folder.path().join(FILE).display().to_string();
            self.ui.warn(format!("the run's journal could not be written into the cluster; it is in {file}"));
        }
        if !published || outcome != Outcome::Done {
            let _ = self.folder.keep();
        }
    }
}

fn told(found: &Overwritten) -> String {
    let Overwritten { namespace, release, revisions } = found;
    let numbers: Vec<String> = revisions.iter().map(u64::to_string).collect();
    let (numbers, last) = (numbers.join(", "), numbers.last().cloned().unwrap_or_default());
    format!(
        "{release}: somebody else changed it at the same moment, and this run has overwritten that (revision {numbers}); \
         to see it: helm get values {release} --namespace {namespace} --revision {last}"
    )
}

/// How a run ended, as its exit status says it.
pub fn outcome(result: &Result<u8, Failures>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(failures) if failures.exit == exit::INTERRUPTED => Outcome::Interrupted,
        Err(_) => Outcome::Failed,
    }
}

fn draw(context: &Context, notice: &Notice<'_>) {
    let ui = &context.ui;
    match notice {
        Notice::Watching(holder) => {
            ui.say("Waiting", format!("the lease is held by {holder}; watching whether it is renewed"));
        }
        Notice::Orphans(holder, releases) => {
            let names = releases.join(", ");
            ui.say("Waiting", format!("for the helm that an earlier run left at work on {names} ({holder})"));
        }
        Notice::MayWork(holder, releases, time) => {
            let (names, time) = (releases.join(", "), duration(*time));
            ui.say(
                "Waiting",
                format!("a helm of {holder} may be at work on {names}: until it has ended, or for {time}"),
            );
        }
        Notice::TakenOver(holder) => ui.detail("Lease", format!("taken over from {holder}, which is gone")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_runs_are_legal_everywhere_and_differ() {
        let runs = tempfile::tempdir().unwrap();
        let made: Vec<tempfile::TempDir> =
            (0..3).map(|_| folder_named(runs.path(), "20261121-193000", 0xabcd_ef01).unwrap()).collect();
        let names: Vec<String> =
            made.iter().map(|dir| dir.path().file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["run-20261121-193000-ef01", "run-20261121-193000-ef02", "run-20261121-193000-ef03"]);
    }

    #[test]
    fn names_of_one_second_sort_by_time() {
        let at = |nanos: u64| fraction(SystemTime::UNIX_EPOCH + Duration::from_nanos(5_000_000_000 + nanos));
        assert_eq!([at(0), at(500_000_000), at(999_999_999)], [0, 0x8000, 0xffff]);
        assert!(at(1_020_000) > at(1_000_000), "20 µs later");
    }
}
