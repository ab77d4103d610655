//! kubectl: one method a command, for everything in a cluster that is not helm's.

mod call;
mod deletion;
mod lifecycle;
mod marks;
mod objects;
mod records;
mod state;
mod workings;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use deletion::Cascade;
pub use lifecycle::MarkedDefinition;
pub use objects::DryRun;

use crate::tools::process::{CallError, Interrupt};

pub use state::{Write, server_is_gone};

/// Who owns the fields this program applies itself.
const FIELD_MANAGER: &str = "platctl";
/// How long definitions may take to be served.
const PATIENCE: Duration = Duration::from_secs(60);
/// What `kubectl wait` fails with, instead of waiting, when it looks at an object before the server has written its
/// conditions. A definition is in that state right after it was made.
const TOO_EARLY: &str = ".status.conditions accessor error";

/// Which cluster to talk to; what is not named is kubectl's own default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The kubeconfig file.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it.
    pub context: Option<String>,
}

impl Cluster {
    fn kubectl_args(&self) -> Vec<String> {
        self.args("--context")
    }

    pub(in crate::tools) fn helm_args(&self) -> Vec<String> {
        self.args("--kube-context")
    }

    fn args(&self, context_flag: &str) -> Vec<String> {
        let kubeconfig = self.kubeconfig.as_ref().map(|path| format!("--kubeconfig={}", path.display()));
        let context = self.context.as_ref().map(|context| format!("{context_flag}={context}"));
        kubeconfig.into_iter().chain(context).collect()
    }
}

/// A kubectl executable and the cluster it talks to.
#[derive(Debug, Clone)]
pub struct Kubectl {
    /// The executable.
    pub program: PathBuf,
    /// The cluster.
    pub cluster: Cluster,
    /// A private folder for its output and cache.
    pub home: PathBuf,
    /// The variables this process was started with.
    pub variables: Vec<(OsString, OsString)>,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long a question is asked again while the API server is gone.
    pub patience: Duration,
    /// Hears when the user wants to stop.
    pub interrupt: Interrupt,
}

impl Kubectl {
    /// helm's records in all namespaces as a table without header: namespace, name, …, labels. The API server sends
    /// metadata only.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn release_records(&self) -> Result<String, CallError> {
        self.text(&["get", "secrets", "--all-namespaces", "--selector=owner=helm", "--show-labels", "--no-headers"])
            .await
    }

    /// The cluster's identity: the uid of the namespace `kube-system`.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn cluster_uid(&self) -> Result<String, CallError> {
        Ok(self
            .text(&["get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}"])
            .await?
            .trim()
            .to_owned())
    }

    /// What the API server answers at a path of its own, such as `/version` or `/apis/apps/v1`.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn answer(&self, path: &str) -> Result<String, CallError> {
        self.text(&["get", "--raw", path]).await
    }

    /// Applies objects on the server; conflicts with other field managers are errors unless `force` is set.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn apply(&self, objects: &str, force: bool) -> Result<(), CallError> {
        self.apply_with(objects, if force { &["--force-conflicts"] } else { &[] }).await
    }

    /// The same for objects that were made here. That their fields exist need not be asked, which would cost kubectl half of
    /// its time.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn apply_own(&self, objects: &str) -> Result<(), CallError> {
        self.apply_with(objects, &["--validate=ignore"]).await
    }

    /// The same, taking back what others set in them.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn retake_own(&self, objects: &str) -> Result<(), CallError> {
        self.apply_with(objects, &["--validate=ignore", "--force-conflicts"]).await
    }

    async fn apply_with(&self, objects: &str, flags: &[&str]) -> Result<(), CallError> {
        let mut args = vec!["apply".to_owned(), "--server-side".to_owned(), format!("--field-manager={FIELD_MANAGER}")];
        args.extend(flags.iter().map(|flag| (*flag).to_owned()));
        args.push("--filename=-".to_owned());
        self.run(args, Some(objects.as_bytes())).await.map(|_| ())
    }

    /// Whether [`Kubectl::apply`] could apply objects without force. Nothing is changed.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn try_apply(&self, objects: &str) -> Result<(), CallError> {
        let manager = format!("--field-manager={FIELD_MANAGER}");
        let args = ["apply", "--server-side", "--dry-run=server", &manager, "--filename=-"];
        self.run(args.map(str::to_owned).to_vec(), Some(objects.as_bytes())).await.map(|_| ())
    }

    /// Waits until custom resource definitions are served.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn wait_established(&self, crds: &[String]) -> Result<(), CallError> {
        let timeout = format!("--timeout={}s", PATIENCE.as_secs());
        let mut args = vec!["wait".to_owned(), "--for=condition=Established".to_owned(), timeout];
        args.extend(crds.iter().map(|name| format!("customresourcedefinition/{name}")));
        let end = Instant::now() + PATIENCE;
        loop {
            match self.run(args.clone(), None).await {
                Err(error) if error.stderr().contains(TOO_EARLY) && Instant::now() < end => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                result => return result.map(|_| ()),
            }
        }
    }

    async fn text(&self, args: &[&str]) -> Result<String, CallError> {
        let out = self.patiently(args.iter().map(|arg| (*arg).to_owned()).collect()).await?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}
