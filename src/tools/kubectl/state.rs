//! Single objects by their path on the API server, as JSON: what this program keeps in a cluster itself. The server
//! decides who comes first, by `resourceVersion`.

use std::time::{Duration, Instant};

use super::Kubectl;
use crate::tools::process::{self, CallError};

/// The first pause before a question is asked again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// It is written; the object as the server has it now.
    Done(String),
    /// Somebody else was first.
    Conflict,
    /// The object, or the namespace for it, is not there.
    Absent,
}

/// Words for a server that can't be reached now. Each may come from kubectl, helm, the API server or etcd behind it.
const GONE: [&str; 17] = [
    "connection refused",
    "was refused - did you specify",
    "unable to connect to the server",
    "connection reset",
    "connection lost",
    "broken pipe",
    "no route to host",
    "network is unreachable",
    "i/o timeout",
    "tls handshake timeout",
    "client.timeout exceeded",
    "etcdserver: ",
    "unexpected eof",
    "cluster unreachable",
    "apiserver not ready",
    "http2: client connection",
    "server sent goaway",
];

/// Whether a tool says that the API server could not be reached or could not answer: nothing of its answer is about what
/// was asked.
pub fn server_is_gone(stderr: &str) -> bool {
    let word = stderr.to_lowercase();
    GONE.iter().any(|gone| word.contains(gone)) || word.trim_end().ends_with(": eof")
}

impl Kubectl {
    /// The same, for what is done at the end of a run too: it hears no interrupt, gives a request this long, and asks
    /// again for as long as that when the API server is gone.
    pub fn steadfast(&self, request: Duration, patience: Duration) -> Kubectl {
        Kubectl { request_timeout: request, patience, interrupt: process::Interrupt::never(), ..self.clone() }
    }

    /// The object at a path, if there is one.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn object(&self, path: &str) -> Result<Option<String>, CallError> {
        let args = ["get", "--raw", path].map(str::to_owned).to_vec();
        match self.patiently(args).await {
            Ok(out) => Ok(Some(String::from_utf8_lossy(&out).into_owned())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes an object in a collection's path.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn create(&self, collection: &str, object: &str) -> Result<Write, CallError> {
        self.write("create", collection, object).await
    }

    /// Puts an object in the place of the one at its path; when it names a `resourceVersion`, only of that one.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn replace(&self, path: &str, object: &str) -> Result<Write, CallError> {
        self.write("replace", path, object).await
    }

    /// The names of the ConfigMaps that a selector means.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn configmaps(&self, namespace: &str, selector: &str) -> Result<Vec<String>, CallError> {
        let (namespace, selector) = (format!("--namespace={namespace}"), format!("--selector={selector}"));
        let names = self.text(&["get", "configmaps", &namespace, &selector, "--output=name"]).await?;
        Ok(names.lines().filter_map(|line| Some(line.split_once('/')?.1.to_owned())).collect())
    }

    /// Removes ConfigMaps; what is gone already is no error.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn remove_configmaps(&self, namespace: &str, names: &[String]) -> Result<(), CallError> {
        let mut args = ["delete", "configmap", "--ignore-not-found", "--wait=false"].map(str::to_owned).to_vec();
        args.push(format!("--namespace={namespace}"));
        args.extend(names.iter().cloned());
        self.run(args, None).await.map(|_| ())
    }

    /// What a write is made of may be secret: it is in memory alone, and so is the answer.
    async fn write(&self, verb: &str, path: &str, object: &str) -> Result<Write, CallError> {
        let args = [verb, "--raw", path, "--filename=-"].map(str::to_owned).to_vec();
        match self.ended_in_memory(self.call(args, Some(object.as_bytes()))).await {
            Ok(out) => Ok(Write::Done(String::from_utf8_lossy(&out).into_owned())),
            Err(error) if is_conflict(error.stderr()) => Ok(Write::Conflict),
            Err(error) if error.is_not_found() => Ok(Write::Absent),
            Err(error) => Err(error),
        }
    }

    /// Asks something, and again while the API server is gone, for as long as this kubectl has patience.
    pub(super) async fn patiently(&self, args: Vec<String>) -> Result<Vec<u8>, CallError> {
        let end = Instant::now() + self.patience;
        let mut pause = PAUSES.0;
        loop {
            match self.run(args.clone(), None).await {
                Err(error) if server_is_gone(error.stderr()) && Instant::now() + pause < end => {
                    tokio::time::sleep(pause).await;
                    pause = PAUSES.1.min(pause * 2);
                }
                result => return result,
            }
        }
    }
}

fn is_conflict(stderr: &str) -> bool {
    stderr.contains("(Conflict)") || stderr.contains("(AlreadyExists)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_gone_is_told_from_one_that_refuses() {
        for gone in [
            "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?\n",
            "Error: UPGRADE FAILED: Get \"https://10.0.0.1:6443/version\": dial tcp 10.0.0.1:6443: connect: connection refused",
            "Error from server: etcdserver: request timed out",
            "error: Get \"https://127.0.0.1:6443/api\": EOF\n",
            "Unable to connect to the server: net/http: TLS handshake timeout",
        ] {
            assert!(server_is_gone(gone), "{gone}");
        }
        for other in ["Error from server (Forbidden): secrets is forbidden", "context deadline exceeded", ""] {
            assert!(!server_is_gone(other), "{other}");
        }
        assert!(is_conflict("Error from server (Conflict): Operation cannot be fulfilled on leases"));
        assert!(!is_conflict("Apply failed with 1 conflict: conflict with \"helm\""));
    }
}
