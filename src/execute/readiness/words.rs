//! What helm says of objects that it gave up on, read off its own words (helm 4.3, `statuswait.go`). Pure.

/// An object that helm waited for in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unready {
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for one without.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// kstatus' word: `InProgress`, `Failed`, `NotFound` …
    pub status: String,
    /// What the object says of itself, in kstatus' words.
    pub message: String,
    /// The event of the hook that it is: `pre-install` …
    pub hook: Option<String>,
    /// It should be gone.
    pub stays: bool,
}

impl Unready {
    /// `Deployment ns/web`, as objects are named elsewhere.
    pub fn title(&self) -> String {
        match self.namespace.as_str() {
            "" => format!("{} {}", self.kind, self.name),
            namespace => format!("{} {namespace}/{}", self.kind, self.name),
        }
    }
}

/// What follows an object's name where it should be ready, and where it should be gone.
const NOT_READY: &str = " not ready. status: ";
const STILL_EXISTS: &str = " still exists. status: ";

/// The objects that helm names, each once: `resource Deployment/ns/web not ready. status: InProgress, message: …`.
pub fn unready(word: &str) -> Vec<Unready> {
    let mut found: Vec<Unready> = Vec::new();
    let mut hook = None;
    // What is logged is said once more at the end.
    for line in word.lines().filter(|line| !line.starts_with("level=")) {
        hook = event(line).or(hook);
        if let Some(mut object) = object(line) {
            object.hook = hook.clone();
            if !found.contains(&object) {
                found.push(object);
            }
        }
    }
    found
}

/// Whether a Deployment is called failed because it made no progress within its `progressDeadlineSeconds`.
pub fn is_overdue(object: &Unready) -> bool {
    object.kind == "Deployment" && object.message.to_lowercase().contains("progress deadline exceeded")
}

/// Whether helm gave up because something did not get ready, or a hook did not end well.
pub fn gave_up(word: &str) -> bool {
    !unready(word).is_empty() || word.lines().any(|line| line.trim().ends_with("context deadline exceeded"))
}

/// helm's words without what is said of readiness in better words.
pub fn rest(word: &str) -> String {
    let told = |line: &&str| {
        let line = line.trim();
        !(line.is_empty()
            || line.starts_with("level=")
            || line.contains(NOT_READY)
            || line.contains(STILL_EXISTS)
            || line.ends_with("context deadline exceeded")
            || line.ends_with(" does not exist. Installing it now."))
    };
    word.lines().filter(told).collect::<Vec<_>>().join("\n")
}

fn object(line: &str) -> Option<Unready> {
    let (stays, (before, after)) = match line.split_once(NOT_READY) {
        Some(parts) => (false, parts),
        None => (true, line.split_once(STILL_EXISTS)?),
    };
    let name = before.rsplit("resource ").next()?;
    let mut parts = name.splitn(3, '/');
    let (kind, namespace, name) = (parts.next()?, parts.next()?, parts.next()?);
    let (status, message) = after.split_once(", message: ").unwrap_or((after, ""));
    let own = |text: &str| text.trim().to_owned();
    Some(Unready {
        kind: own(kind),
        namespace: own(namespace),
        name: own(name),
        status: own(status),
        message: own(message),
        hook: None,
        stays,
    })
}

/// `Error: failed pre-install: …`, `Error: UPGRADE FAILED: post-upgrade hooks failed: …`.
fn event(line: &str) -> Option<String> {
    const EVENTS: [&str; 8] = [
        "pre-install",
        "post-install",
        "pre-upgrade",
        "post-upgrade",
        "pre-rollback",
        "post-rollback",
        "pre-delete",
        "post-delete",
    ];
    let named =
        |event: &&str| line.contains(&format!("failed {event}")) || line.contains(&format!("{event} hooks failed"));
    EVENTS.iter().find(|event| named(event)).map(|event| (*event).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read_off_helms_words() {
        let word = "Release \"b\" does not exist. Installing it now.\n\
            level=WARN msg=\"upgrade failed\" error=\"resource Deployment/t/x not ready. status: InProgress, message: m\\ncontext deadline exceeded\"\n\
            Error: UPGRADE FAILED: resource Deployment/t/a not ready. status: InProgress, message: Available: 0/1\n\
            resource PersistentVolumeClaim/t/data not ready. status: InProgress, message: PVC is not Bound. phase: Pending\n\
            context deadline exceeded\n";
        let found = unready(word);
        let titles: Vec<String> = found.iter().map(Unready::title).collect();
        assert_eq!(titles, ["Deployment t/a", "PersistentVolumeClaim t/data"]);
        assert_eq!((found[0].status.as_str(), found[0].message.as_str()), ("InProgress", "Available: 0/1"));
        assert!(found.iter().all(|object| object.hook.is_none()));
        assert_eq!(rest(word), "");
        assert!(gave_up("Error: context deadline exceeded\n"));
        assert!(!gave_up("Error: failed calling webhook: context deadline exceeded: retried\n"));
    }

    #[test]
    fn what_should_be_gone_is_told_apart() {
        let word = "Error: uninstallation completed with 1 error(s): resource ConfigMap/t/m still exists. status: Terminating, message: Resource scheduled for deletion\ncontext deadline exceeded\n";
        let found = unready(word);
        assert_eq!((found.len(), found[0].title().as_str(), found[0].stays), (1, "ConfigMap t/m", true));
        assert_eq!(rest(word), "");
        assert!(gave_up(word));
    }

    #[test]
    fn hooks_are_told_apart() {
        for (word, event) in [
            (
                "Error: failed pre-install: resource Job/t/b-h not ready. status: Failed, message: Job Failed. failed: 1/1",
                "pre-install",
            ),
            (
                "Error: UPGRADE FAILED: pre-upgrade hooks failed: 1 error occurred:\n\t* resource Job/t/b-h not ready. status: Failed, message: Job Failed. failed: 1/1\n",
                "pre-upgrade",
            ),
        ] {
            let found = unready(word);
            assert_eq!((found.len(), found[0].title().as_str()), (1, "Job t/b-h"));
            assert_eq!(found[0].hook.as_deref(), Some(event));
        }
        assert_eq!(unready("Error: UPGRADE FAILED: no"), []);
    }
}
