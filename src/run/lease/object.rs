//! The Lease as the API server has it, and who holds it. Text to data and back; must not ask anybody.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::TERM;
use crate::tools::{Host, Process};

/// Where a Lease says who holds it, whole; `holderIdentity` is for people and other tools.
const HOLDER: &str = "platctl.dev/holder";

/// A process that runs a verb.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its host.
    pub host: Host,
    /// The process.
    pub process: Process,
    /// The run's name.
    pub run: String,
    /// The verb.
    pub verb: String,
}

impl Holder {
    /// Its name in the Lease: host, pid and run.
    pub fn identity(&self) -> String {
        format!("{}/{}/{}", self.host, self.process.pid, self.run)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} on {}, run {}", self.process.pid, self.host, self.run)
    }
}

/// The environment's Lease, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseObject(Value);

impl LeaseObject {
    /// Reads the API server's JSON.
    ///
    /// # Errors
    /// The reader's own word.
    pub fn read(text: &str) -> Result<LeaseObject, String> {
        let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let object = LeaseObject(value);
        let held = object.identity().is_some();
        if held && object.holder().is_none() {
            return Err(format!("its holder `{}` is not platctl's", object.identity().unwrap_or_default()));
        }
        Ok(object)
    }

    /// Who holds it; none when it is free.
    pub fn holder(&self) -> Option<Holder> {
        self.identity()?;
        serde_json::from_str(self.0["metadata"]["annotations"][HOLDER].as_str()?).ok()
    }

    fn identity(&self) -> Option<&str> {
        self.0["spec"]["holderIdentity"].as_str().filter(|identity| !identity.is_empty())
    }

    /// How long it stands without being renewed.
    pub fn term(&self) -> Duration {
        self.0["spec"]["leaseDurationSeconds"].as_u64().map_or(TERM, Duration::from_secs)
    }

    /// When its holder took it, in the holder's time.
    pub fn since(&self) -> String {
        let text = self.0["spec"]["acquireTime"].as_str().unwrap_or("an unknown time");
        text.split_once('.').map_or(text.to_owned(), |(seconds, _)| format!("{seconds}Z"))
    }

    /// Nobody has written it since.
    pub fn is_same_as(&self, other: &LeaseObject) -> bool {
        self.0["metadata"]["resourceVersion"] == other.0["metadata"]["resourceVersion"]
    }

    /// The text of a Lease that this holder takes now, after the one that was found.
    pub fn taken(
        before: Option<&LeaseObject>,
        name: &str,
        namespace: &str,
        labels: BTreeMap<String, String>,
        holder: &Holder,
    ) -> String {
        let now = micro_time(SystemTime::now());
        let transitions = before.map_or(0, |b| b.0["spec"]["leaseTransitions"].as_u64().unwrap_or(0) + 1);
        let whole = serde_json::to_string(holder).unwrap_or_default();
        let mut metadata =
            json!({"name": name, "namespace": namespace, "labels": labels, "annotations": {HOLDER: whole}});
        if let Some(before) = before {
            metadata["resourceVersion"] = before.0["metadata"]["resourceVersion"].clone();
        }
        let spec = json!({"holderIdentity": holder.identity(), "leaseDurationSeconds": TERM.as_secs(),
            "acquireTime": now, "renewTime": now, "leaseTransitions": transitions});
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}).to_string()
    }

    /// The text of the same Lease, renewed now.
    pub fn renewed(&self) -> String {
        let mut value = self.0.clone();
        value["spec"]["renewTime"] = micro_time(SystemTime::now()).into();
        value.to_string()
    }

    /// The text of the same Lease without a holder.
    pub fn released(&self) -> String {
        let mut value = self.0.clone();
        value["spec"]["holderIdentity"] = "".into();
        if let Some(annotations) = value["metadata"]["annotations"].as_object_mut() {
            annotations.remove(HOLDER);
        }
        value.to_string()
    }
}

/// RFC 3339 with six digits of a second, as the API server insists on.
fn micro_time(now: SystemTime) -> String {
    let seconds = crate::run::journal::rfc3339(now);
    let micros = now.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.subsec_micros()).unwrap_or(0);
    format!("{}.{micros:06}Z", seconds.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn holder() -> Holder {
        let host = Host { name: "node-1".into(), boot: "b".into(), pids: "pid:[1]".into(), user: 7 };
        let process = Process { pid: 41, started: 9 };
        Holder { host, process, run: "20261121-193000-abcd".into(), verb: "apply".into() }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = LeaseObject::taken(None, "platctl-a-b", "platctl-system", BTreeMap::new(), &holder());
        let mut value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["spec"]["holderIdentity"], "node-1/41/20261121-193000-abcd");
        assert_eq!(value["spec"]["leaseTransitions"], 0);
        let renewed = value["spec"]["renewTime"].as_str().unwrap();
        assert_eq!(renewed.len(), "2026-11-21T19:30:00.000000Z".len(), "{renewed}");
        value["metadata"]["resourceVersion"] = "7".into();
        let object = LeaseObject::read(&value.to_string()).unwrap();
        assert_eq!(object.holder(), Some(holder()));
        assert_eq!(object.term(), TERM);
        let free = LeaseObject::read(&object.released()).unwrap();
        assert_eq!(free.holder(), None);
        let next = LeaseObject::taken(Some(&free), "platctl-a-b", "platctl-system", BTreeMap::new(), &holder());
        let next: Value = serde_json::from_str(&next).unwrap();
        assert_eq!((&next["spec"]["leaseTransitions"], &next["metadata"]["resourceVersion"]), (&json!(1), &json!("7")));
    }

    #[test]
    fn a_holder_that_is_not_ours_is_not_overrun() {
        let text = json!({"metadata": {}, "spec": {"holderIdentity": "somebody"}}).to_string();
        assert!(LeaseObject::read(&text).unwrap_err().contains("somebody"));
        assert!(LeaseObject::read("{}").unwrap().holder().is_none());
    }
}
