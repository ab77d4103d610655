//! helm: one method a command. Global state of the user (homes, plugins, repositories, variables) never reaches it.

mod lifecycle;
mod progress;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::surroundings::POST_RENDER;
use crate::tools::births::Births;
use crate::tools::kubectl::Cluster;
use crate::tools::plugin;
use crate::tools::process::{self, Call, CallError, Interrupt, Listener};

pub use lifecycle::RollbackRequest;
pub use progress::{Awaited, Progress};

/// Hears what a helm is doing while it does it.
pub type Hears<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// A helm executable in surroundings of its own.
#[derive(Debug, Clone)]
pub struct Helm {
    /// The executable.
    pub program: PathBuf,
    /// A private folder for helm's homes and output.
    pub home: PathBuf,
    /// The folder of its plugins; of one run, because another version of this program may be at work beside it.
    pub plugins: PathBuf,
    /// The variables this process was started with.
    pub variables: Vec<(OsString, OsString)>,
    /// Hears when the user wants to stop.
    pub interrupt: Interrupt,
    /// Is told which process changes which release.
    pub births: Births,
}

/// What `helm template` is asked for.
#[derive(Debug, Clone)]
pub struct TemplateRequest<'a> {
    /// Name of the release.
    pub release: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// The chart's archive.
    pub chart: &'a Path,
    /// Values, as JSON.
    pub values: &'a [u8],
    /// Version of Kubernetes.
    pub kube_version: &'a str,
    /// Render as for an upgrade, not as for a first install.
    pub is_upgrade: bool,
    /// What the cluster offers beyond helm's own list, in lists separated by commas.
    pub api_versions: &'a [String],
}

/// What `helm upgrade --install` is asked for.
#[derive(Debug, Clone)]
pub struct UpgradeRequest<'a> {
    /// Name of the release.
    pub release: &'a str,
    /// Its namespace, which exists.
    pub namespace: &'a str,
    /// The chart's archive.
    pub chart: &'a Path,
    /// Values, as JSON.
    pub values: &'a [u8],
    /// Labels of the release's record.
    pub labels: &'a [(String, String)],
    /// Take objects over that do not belong to the release.
    pub take_ownership: bool,
    /// Take fields over that others set.
    pub force_conflicts: bool,
    /// Wait for everything to be ready.
    pub wait: bool,
    /// How long at most.
    pub timeout: Duration,
    /// The post-renderer's task.
    pub post_render: &'a Path,
    /// The cluster.
    pub cluster: &'a Cluster,
}

impl Helm {
    /// Renders a chart, hooks and the files of `crds/` included, tests left out; touches no cluster.
    ///
    /// # Errors
    /// [`CallError`] with helm's own word.
    pub async fn template(&self, request: &TemplateRequest<'_>) -> Result<String, CallError> {
        let values = with_newline(request.values);
        let out = process::run(self.call(template_args(request), &values, Vec::new()), &self.interrupt).await?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    /// The same for values with secrets: what helm prints stays in memory.
    ///
    /// # Errors
    /// [`CallError`] with helm's own word.
    pub async fn template_secretly(&self, request: &TemplateRequest<'_>) -> Result<String, CallError> {
        let values = Zeroizing::new(with_newline(request.values));
        let call = self.call(template_args(request), &values, Vec::new());
        let out = process::run_in_memory(call, &self.interrupt).await?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    /// Installs or upgrades a release with exactly the values given.
    ///
    /// # Errors
    /// [`CallError`] with helm's own word.
    pub async fn upgrade(&self, request: &UpgradeRequest<'_>, hears: Hears<'_>) -> Result<(), CallError> {
        let labels: Vec<String> = request.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut args: Vec<String> =
            vec!["upgrade".into(), "--install".into(), request.release.into(), path(request.chart)];
        args.extend(["--namespace", request.namespace, "--values", "-"].map(String::from));
        args.extend(["--reset-values", "--server-side=true", "--skip-crds", "--hide-notes"].map(String::from));
        // The server checks every field itself; asking whether it does would cost helm half of its time (decision 33).
        args.push("--disable-openapi-validation".to_owned());
        args.extend(request.take_ownership.then(|| "--take-ownership".to_owned()));
        args.extend(request.force_conflicts.then(|| "--force-conflicts".to_owned()));
        args.push(if request.wait { "--wait=watcher" } else { "--wait=hookOnly" }.to_owned());
        if request.wait {
            args.push("--wait-for-jobs".to_owned());
        }
        args.push(format!("--timeout={}s", request.timeout.as_secs()));
        args.push(format!("--labels={}", labels.join(",")));
        args.push(format!("--post-renderer={}", plugin::NAME));
        args.extend(request.cluster.helm_args());
        let values = with_newline(request.values);
        let task = vec![(POST_RENDER.into(), request.post_render.as_os_str().to_owned())];
        self.change(request.release, request.namespace, self.call(args, &values, task), hears).await
    }

    /// Puts a release back to a revision, out of the middle of an operation too.
    ///
    /// # Errors
    /// [`CallError`] with helm's own word.
    pub async fn rollback(&self, release: &str, namespace: &str, to: u64, cluster: &Cluster) -> Result<(), CallError> {
        let mut args = ["rollback", release, &to.to_string(), "--namespace", namespace].map(String::from).to_vec();
        args.extend(["--server-side=true", "--wait=hookOnly"].map(String::from));
        args.extend(cluster.helm_args());
        self.change(release, namespace, self.call(args, b"", Vec::new()), &|_| {}).await
    }

    /// Removes a release.
    ///
    /// # Errors
    /// [`CallError`] with helm's own word.
    pub async fn uninstall(&self, release: &str, namespace: &str, cluster: &Cluster) -> Result<(), CallError> {
        let mut args = ["uninstall", release, "--namespace", namespace, "--wait=watcher"].map(String::from).to_vec();
        args.extend(cluster.helm_args());
        self.change(release, namespace, self.call(args, b"", Vec::new()), &|_| {}).await
    }

    /// Runs a command that changes a release; its process is told, and what it is doing. Only helm's debug log says that,
    /// and with it helm prints values and manifest on its standard output, which therefore goes nowhere.
    async fn change(
        &self,
        release: &str,
        namespace: &str,
        mut call: Call<'_>,
        hears: Hears<'_>,
    ) -> Result<(), CallError> {
        let hear = |line: &str| hears(progress::progress(line));
        call.variables.push(("HELM_DEBUG".into(), "true".into()));
        let listener = Some(Listener { is_own: progress::is_log, hear: &hear });
        let call = Call { born: Some((&self.births, release, namespace)), listener, ..call };
        let done = process::run_for_effect(call, &self.interrupt).await;
        done.map_err(|error| error.with_words(progress::readable))
    }

    fn call<'a>(&'a self, args: Vec<String>, stdin: &'a [u8], extra: Vec<(OsString, OsString)>) -> Call<'a> {
        // What the user set for their own helm must not change what this one does, and keys of sops are not for helm.
        let foreign = |key: &str| key.starts_with("HELM_") || key.starts_with("SOPS_");
        let inherited = self.variables.iter().filter(|(key, _)| !foreign(&key.to_string_lossy()));
        let mut variables: Vec<(OsString, OsString)> = inherited.cloned().collect();
        for (key, folder) in [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
        {
            variables.push((key.into(), self.home.join(folder).into()));
        }
        variables.push(("HELM_PLUGINS".into(), self.plugins.clone().into()));
        for (key, value) in [
            ("HELM_DRIVER", "secret"),
            ("HELM_BURST_LIMIT", "300"),
            ("HELM_QPS", "50"),
            ("NO_COLOR", "1"),
            process::COLLECT_SELDOM,
        ] {
            variables.push((key.into(), value.into()));
        }
        variables.extend(extra);
        Call {
            program: &self.program,
            args,
            variables,
            stdin: Some(stdin),
            output_folder: &self.home,
            born: None,
            listener: None,
        }
    }
}

fn template_args(request: &TemplateRequest<'_>) -> Vec<String> {
    let mut args: Vec<String> = vec!["template".into(), request.release.into(), path(request.chart)];
    args.extend(
        ["--namespace", request.namespace, "--values", "-", "--kube-version", request.kube_version].map(String::from),
    );
    args.extend(["--include-crds", "--skip-tests", "--dry-run=client"].map(String::from));
    if request.is_upgrade {
        args.push("--is-upgrade".to_owned());
    }
    args.extend(request.api_versions.iter().map(|list| format!("--api-versions={list}")));
    args
}

/// helm drops a last line without a newline when its length is a multiple of 4096 (helm#32506).
fn with_newline(values: &[u8]) -> Vec<u8> {
    [values, b"\n"].concat()
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
