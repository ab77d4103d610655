//! Taking releases back and away.

use std::time::Duration;

use super::{Hears, Helm};
use crate::tools::kubectl::Cluster;
use crate::tools::process::CallError;

/// What `helm rollback` is asked for.
#[derive(Debug, Clone)]
pub struct RollbackRequest<'a> {
    /// Name of the release.
    pub release: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// The revision whose objects it gets again.
    pub to: u64,
    /// Wait for everything to be ready.
    pub wait: bool,
    /// How long at most.
    pub timeout: Duration,
    /// The cluster.
    pub cluster: &'a Cluster,
}

impl Helm {
    /// Puts a release back to a revision and waits as an upgrade does.
    ///
    /// # Errors
    /// [`CallError`] with helm's own word.
    pub async fn roll_back(&self, request: &RollbackRequest<'_>, hears: Hears<'_>) -> Result<(), CallError> {
        let to = request.to.to_string();
        let mut args = ["rollback", request.release, &to, "--namespace", request.namespace].map(String::from).to_vec();
        args.push("--server-side=true".to_owned());
        args.push(if request.wait { "--wait=watcher" } else { "--wait=hookOnly" }.to_owned());
        if request.wait {
            args.push("--wait-for-jobs".to_owned());
        }
        args.push(format!("--timeout={}s", request.timeout.as_secs()));
        args.extend(request.cluster.helm_args());
        self.change(request.release, request.namespace, self.call(args, b"", Vec::new()), hears).await
    }

    /// Removes a release, in whatever state it is, and waits until its objects are gone; one that is not there is no error.
    ///
    /// # Errors
    /// [`CallError`] with helm's own word.
    pub async fn remove(
        &self,
        release: &str,
        namespace: &str,
        timeout: Duration,
        cluster: &Cluster,
        hears: Hears<'_>,
    ) -> Result<(), CallError> {
        let mut args = ["uninstall", release, "--namespace", namespace, "--wait=watcher"].map(String::from).to_vec();
        args.extend(["--ignore-not-found".to_owned(), format!("--timeout={}s", timeout.as_secs())]);
        args.extend(cluster.helm_args());
        self.change(release, namespace, self.call(args, b"", Vec::new()), hears).await
    }
}
