//! Why an object is not ready, from everything in its namespace: its pods by their owners, their claims, and what the
//! cluster warned of. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::pods::{self, Speaker};
use super::words::Unready;

/// The most pods that are told of one object.
const MOST_PODS: usize = 3;
/// The most warnings that are told of one object.
const MOST_EVENTS: usize = 4;

/// Why an object is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// `Deployment ns/web is not ready: 0 of 1 pods`.
    pub title: String,
    /// What its pods, its claims and the cluster say, a line each; whose log says more comes with its line.
    pub lines: Vec<(String, Option<Speaker>)>,
}

/// Everything in a namespace that may say why.
#[derive(Debug, Clone, Default)]
pub struct State(Vec<Value>);

impl State {
    /// From what `kubectl get … --output=json` prints.
    pub fn read(list: &str) -> State {
        let list: Value = serde_json::from_str(list).unwrap_or_default();
        State(list["items"].as_array().cloned().unwrap_or_default())
    }

    fn of_kind<'s>(&'s self, kind: &'s str) -> impl Iterator<Item = &'s Value> {
        self.0.iter().filter(move |item| item["kind"] == kind)
    }

    fn owned<'s>(&'s self, kind: &'s str, by: &'s Value) -> impl Iterator<Item = &'s Value> {
        let owner = &by["metadata"]["uid"];
        let is_owner = move |reference: &Value| reference["uid"].is_string() && reference["uid"] == *owner;
        self.of_kind(kind).filter(move |item| {
            item["metadata"]["ownerReferences"].as_array().is_some_and(|all| all.iter().any(is_owner))
        })
    }

    /// Why an object is not ready.
    pub fn explain(&self, object: &Unready) -> Explained {
        let found = self.of_kind(&object.kind).find(|item| item["metadata"]["name"] == object.name.as_str());
        let mut lines = Vec::new();
        let mut involved = BTreeSet::from([(object.kind.clone(), object.name.clone())]);
        let mut newest = None;
        if let Some(found) = found.filter(|_| !object.stays) {
            let (sets, pods) = self.workers(found, &object.kind);
            newest = sets.first().copied().filter(|set| set["kind"] == "ReplicaSet");
            involved.extend(sets.iter().chain(&pods).filter_map(|item| identity(item)));
            lines.extend(sets.iter().copied().chain([found]).filter_map(refused));
            lines.extend(told(&pods));
            for claim in self.claims(&pods, found) {
                involved.extend(identity(claim));
                lines.extend(unbound(claim).map(|line| (line, None)));
            }
        }
        lines.extend(self.warnings(&involved, &lines));
        Explained { title: title(object, found, newest), lines }
    }

    /// What an object runs its pods by, and the pods: those of its newest generation, as far as that can be told.
    fn workers<'s>(&'s self, found: &'s Value, kind: &str) -> (Vec<&'s Value>, Vec<&'s Value>) {
        match kind {
            "Deployment" => {
                let revision = |set: &Value| {
                    let text = set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str();
                    text.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
                };
                let newest = self.owned("ReplicaSet", found).max_by_key(|set| revision(set));
                let pods = newest.into_iter().flat_map(|set| self.owned("Pod", set)).collect();
                (newest.into_iter().collect(), pods)
            }
            "CronJob" => {
                let jobs: Vec<&Value> = self.owned("Job", found).collect();
                let pods = jobs.iter().flat_map(|job| self.owned("Pod", job)).collect();
                (jobs, pods)
            }
            "Pod" => (Vec::new(), vec![found]),
            _ => (Vec::new(), self.owned("Pod", found).collect()),
        }
    }

    /// The claims that pods name, or the object itself, if it is one.
    fn claims<'s>(&'s self, pods: &[&'s Value], found: &'s Value) -> Vec<&'s Value> {
        let volumes = pods.iter().flat_map(|pod| pod["spec"]["volumes"].as_array().into_iter().flatten());
        let names: BTreeSet<&str> = volumes.filter_map(|v| v["persistentVolumeClaim"]["claimName"].as_str()).collect();
        let named = |claim: &&Value| claim["metadata"]["name"].as_str().is_some_and(|name| names.contains(name));
        let own = (found["kind"] == "PersistentVolumeClaim").then_some(found);
        self.of_kind("PersistentVolumeClaim").filter(named).chain(own).collect()
    }

    /// What the cluster warned of; not what pods said already, and the same of several objects once.
    fn warnings(
        &self,
        involved: &BTreeSet<(String, String)>,
        told: &[(String, Option<Speaker>)],
    ) -> Vec<(String, Option<Speaker>)> {
        let mut found: Vec<(String, String)> = Vec::new();
        for event in self.of_kind("Event") {
            let about = &event["involvedObject"];
            let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
            let (kind, reason, message) = (text(&about["kind"]), text(&event["reason"]), text(&event["message"]));
            // That a claim has no volume is no warning, says the controller.
            let counts = event["type"] == "Warning" || (kind == "PersistentVolumeClaim" && reason == "FailedBinding");
            let known = told.iter().any(|(line, _)| line.contains(&message)) || reason == "BackOff";
            if !counts || known || !involved.contains(&(kind.clone(), text(&about["name"]))) {
                continue;
            }
            let message = message.trim_start_matches("(combined from similar events): ").to_owned();
            if !found.iter().any(|(r, m)| *r == reason && alike(m, &message)) {
                found.push((reason, message));
            }
        }
        let skipped = found.len().saturating_sub(MOST_EVENTS);
        found.into_iter().skip(skipped).map(|(reason, message)| (format!("{reason}: {message}"), None)).collect()
    }
}

/// The same but for names that are made up: words with digits are left out.
fn alike(a: &str, b: &str) -> bool {
    let plain = |text: &str| -> Vec<String> {
        let words = text.split_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit() || c == '-'));
        words.map(str::to_owned).collect()
    };
    plain(a) == plain(b)
}

fn identity(item: &Value) -> Option<(String, String)> {
    Some((item["kind"].as_str()?.to_owned(), item["metadata"]["name"].as_str()?.to_owned()))
}

/// What pods say, the same reason once.
fn told(pods: &[&Value]) -> Vec<(String, Option<Speaker>)> {
    let mut found: Vec<(String, Option<Speaker>, usize)> = Vec::new();
    for complaint in pods.iter().filter_map(|pod| pods::complaint(pod)) {
        let reason = |line: &str| line.split_once(": ").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        match found.iter_mut().find(|(line, ..)| alike(&reason(line), &reason(&complaint.line))) {
            Some((_, _, more)) => *more += 1,
            None => found.push((complaint.line, complaint.speaker, 0)),
        }
    }
    let line = |(line, speaker, more)| match more {
        0 => (line, speaker),
        1 => (format!("{line}; 1 more like it"), speaker),
        n => (format!("{line}; {n} more like it"), speaker),
    };
    found.into_iter().take(MOST_PODS).map(line).collect()
}

/// Why a controller could not make pods, or why a Job is over: conditions that are true and bad.
fn refused(item: &Value) -> Option<(String, Option<Speaker>)> {
    let conditions = item["status"]["conditions"].as_array()?;
    let bad = |c: &&Value| {
        c["status"] == "True" && (c["type"] == "ReplicaFailure" || (c["type"] == "Failed" && item["kind"] == "Job"))
    };
    let condition = conditions.iter().find(bad)?;
    // A Deployment repeats what its ReplicaSet says.
    if item["kind"] == "Deployment" {
        return None;
    }
    let (kind, name) = identity(item)?;
    let text = |key: &str| condition[key].as_str().unwrap_or_default();
    Some((format!("{kind} {name}: {}: {}", text("reason"), text("message")), None))
}

/// A claim that waits for a volume.
fn unbound(claim: &Value) -> Option<String> {
    let (_, name) = identity(claim)?;
    let phase = claim["status"]["phase"].as_str().unwrap_or("Pending");
    let class = match claim["spec"]["storageClassName"].as_str() {
        None | Some("") => "no storage class".to_owned(),
        Some(class) => format!("storage class `{class}`"),
    };
    (phase != "Bound").then(|| format!("claim {name}: {phase}, {class}"))
}

/// `newest` is what a Deployment runs its new pods by.
fn title(object: &Unready, found: Option<&Value>, newest: Option<&Value>) -> String {
    let title = object.title();
    if object.stays {
        return format!("{title} is still there");
    }
    if let Some(event) = &object.hook {
        return format!(
            "the {event} hook {title} {}",
            if object.status == "Failed" { "failed" } else { "did not end" }
        );
    }
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let pods = |ready: &Value, wanted: u64| format!("{title} is not ready: {} of {wanted} pods", number(ready));
    let Some(found) = found else {
        let message = if object.message.is_empty() { &object.status } else { &object.message };
        return format!("{title} is not ready: {message}");
    };
    let (spec, status) = (&found["spec"], &found["status"]);
    // Pods of before serve until new ones are ready, and count as ready.
    if let Some(set) = newest.filter(|set| number(&status["replicas"]) > number(&set["status"]["replicas"])) {
        let (ready, wanted) = (number(&set["status"]["readyReplicas"]), spec["replicas"].as_u64().unwrap_or(1));
        return format!("{title} is not ready: {ready} of {wanted} new pods");
    }
    match object.kind.as_str() {
        "Deployment" | "StatefulSet" | "ReplicaSet" => {
            let (ready, wanted) = (&status["readyReplicas"], spec["replicas"].as_u64().unwrap_or(1));
            let updated = number(&status["updatedReplicas"]);
            if number(ready) >= wanted && updated < wanted {
                return format!("{title} is not ready: {updated} of {wanted} pods are new");
            }
            pods(ready, wanted)
        }
        "DaemonSet" => pods(&status["numberReady"], number(&status["desiredNumberScheduled"])),
        "Job" if object.status == "Failed" => format!("{title} failed"),
        "Job" => format!("{title} did not end"),
        "PersistentVolumeClaim" => format!("{title} is not bound"),
        _ => format!("{title} is not ready: {}", object.message),
    }
}

#[cfg(test)]
mod tests;
