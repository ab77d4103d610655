//! Why a release did not get ready, or did not go: helm names the objects, the cluster says why. A few questions, asked only after helm
//! gave up. Must not decide anything, nor wait.

mod pods;
mod state;
mod words;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::object::{Object, Stream};
use crate::tools::Kubectl;

use pods::Speaker;
use state::{Explained, State};
pub use words::Unready;
pub(super) use words::gave_up;
use words::{rest, unready};

/// The most containers whose last words are asked for.
const MOST_LOGS: usize = 2;
/// The most lines of each.
const LINES: usize = 10;
/// The most of a line.
const WIDTH: usize = 300;
/// The most objects that are told.
const MOST_OBJECTS: usize = 4;

/// Why a release did not get ready.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reason {
    /// The first object that is not ready, and how: `Deployment ns/web is not ready: 0 of 1 pods`.
    pub title: Option<String>,
    /// What the cluster says, a line each; lines of logs begin with `  | `.
    pub lines: Vec<String>,
    /// What helm said besides.
    pub rest: String,
    /// A hook of the chart is what failed.
    pub hook: bool,
    /// A Deployment was called failed because it made no progress for long.
    pub deadline: bool,
}

/// Asks the cluster why. Nothing that fails here is an error: it would hide the one that counts.
pub(super) async fn reason(word: &str, runs: &[Unready], kubectl: &Kubectl) -> Reason {
    let mut objects = unready(word);
    let named = !objects.is_empty();
    if !named {
        objects = runs.to_vec();
    }
    let (hook, deadline) = (objects.iter().any(|o| o.hook.is_some()), objects.iter().any(words::is_overdue));
    let mut reason = Reason { rest: rest(word), hook, deadline, ..Reason::default() };
    let mut states: BTreeMap<String, State> = BTreeMap::new();
    let mut logs = 0;
    for object in &objects {
        let state = match states.entry(object.namespace.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) if object.namespace.is_empty() => new.insert(State::default()),
            Entry::Vacant(new) => {
                let list = kubectl.workings(&object.namespace).await.unwrap_or_default();
                new.insert(State::read(&list))
            }
        };
        let explained = explained(object, state, kubectl).await;
        // What helm did not name may be as it should be.
        if (!named && explained.lines.is_empty()) || reason.lines.len() > MOST_OBJECTS * LINES {
            continue;
        }
        match reason.title {
            None => reason.title = Some(explained.title),
            Some(_) => reason.lines.push(explained.title),
        }
        for (line, speaker) in explained.lines {
            reason.lines.push(line);
            if let Some(speaker) = speaker.filter(|_| logs < MOST_LOGS) {
                let said = last_words(kubectl, &speaker).await;
                logs += usize::from(!said.is_empty());
                reason.lines.extend(said);
            }
        }
    }
    reason
}

/// Why one object is not ready so far, without what its containers log. Empty when it is gone or nothing can be asked.
pub(super) async fn by_now(object: &Unready, kubectl: &Kubectl) -> Vec<String> {
    let list = match object.namespace.as_str() {
        "" => String::new(),
        namespace => kubectl.workings(namespace).await.unwrap_or_default(),
    };
    let explained = explained(object, &State::read(&list), kubectl).await;
    [explained.title].into_iter().chain(explained.lines.into_iter().map(|(line, _)| line)).collect()
}

/// Why an object is not ready, or not gone.
async fn explained(object: &Unready, state: &State, kubectl: &Kubectl) -> Explained {
    let mut explained = state.explain(object);
    if object.stays {
        let Unready { kind, namespace, name, .. } = object;
        let finalizers = kubectl.finalizers(kind, namespace, name).await.unwrap_or_default();
        if !finalizers.is_empty() {
            let line = format!("finalizers that nobody has taken away: {}", finalizers.join(", "));
            explained.lines.insert(0, (line, None));
        }
    }
    explained
}

/// What a release runs, where helm named nothing.
pub fn workloads(rendered: &Stream, namespace: &str) -> Vec<Unready> {
    let kinds = ["Deployment", "StatefulSet", "DaemonSet", "Job", "Pod", "PersistentVolumeClaim"];
    let runs = rendered.objects.iter().filter(|object| object.hook.is_none() && kinds.contains(&object.kind.as_str()));
    let unready = |object: &Object| Unready {
        kind: object.kind.clone(),
        namespace: object.namespace.clone().unwrap_or_else(|| namespace.to_owned()),
        name: object.name.clone(),
        status: String::new(),
        message: "not in time".to_owned(),
        hook: None,
        stays: false,
    };
    runs.map(unready).collect()
}

/// The end of a container's log.
async fn last_words(kubectl: &Kubectl, speaker: &Speaker) -> Vec<String> {
    let Speaker { namespace, pod, container, previous } = speaker;
    let mut text = kubectl.log(namespace, pod, container, *previous, LINES).await.unwrap_or_default();
    if *previous && text.trim().is_empty() {
        text = kubectl.log(namespace, pod, container, false, LINES).await.unwrap_or_default();
    }
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let short = |line: &&str| {
        let plain: String = line.chars().filter(|c| !c.is_control()).take(WIDTH).collect();
        format!("  | {plain}")
    };
    lines.iter().skip(lines.len().saturating_sub(LINES)).map(short).collect()
}
