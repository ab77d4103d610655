//! Beginning and ending a run that changes a cluster: its folder, the environment's lease, its journal. Every verb that
//! changes something goes through here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Context;
use crate::definition::Definition;
use crate::execute::Undertaking;
use crate::execute::journal::Outcome;
use crate::execute::lease::{Claim, Notice};
use crate::files;
use crate::plan;
use crate::tools::{Helm, Kubectl, write_post_renderer};
use crate::ui::duration;
use crate::ui::failure::{self, Failures, exit};

/// A run that has begun. Nothing is recorded before [`Undertaking::record`].
pub struct Began {
    /// Lease and journal.
    pub undertaking: Undertaking,
    /// Somebody else was at work, or had left something: the cluster must be looked at again.
    pub followed: bool,
    folder: tempfile::TempDir,
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
    Ok(Began { undertaking, followed: followed.into_inner(), folder })
}

/// Where the folders of runs are.
pub fn runs(context: &Context) -> PathBuf {
    context.surroundings.cache.join("runs")
}

/// A private folder for one run. A killed run leaves its own behind for the helms still at work; old ones go.
fn run_folder(runs: &Path) -> Result<tempfile::TempDir, Failures> {
    files::private_folder(runs)?;
    files::remove_older(runs, Duration::from_secs(24 * 3600));
    let prefix = format!("run-{}-", plan::run_stamp(SystemTime::now()));
    let made = tempfile::Builder::new().prefix(&prefix).rand_bytes(4).tempdir_in(runs);
    Ok(made.map_err(files::FileError::at("make a folder in", runs))?)
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
        let published = self.undertaking.end(outcome).await;
        if !published || outcome != Outcome::Done {
            let _ = self.folder.keep();
        }
    }
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
