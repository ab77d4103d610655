//! What helm is doing, read off its debug log (helm 4.3: `slog`'s text form on the error output; `statuswait.go` says when
//! waiting begins and for what). Pure.

/// What a helm is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It renders, asks, applies or records.
    Works,
    /// It waits for objects of the cluster: all of a release, or a hook.
    Waits,
    /// It waits, for this object among others.
    WaitsFor(Awaited),
}

/// An object that helm waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for one without.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it is by now, in kstatus' word: `InProgress`, `Terminating` …
    pub status: String,
    /// It is waited for until it is gone.
    pub goes: bool,
}

/// What helm logs, and nowhere else says, when the API server refuses to delete something (`uninstall.go`).
const NOT_DELETED: &str = "level=DEBUG msg=\"uninstall: Failed to delete release\"";

/// Whether a line is of helm's debug log, and no word for people.
pub(super) fn is_log(line: &str) -> bool {
    line.starts_with("level=DEBUG ") && !line.starts_with(NOT_DELETED)
}

/// helm's words as people read them: what was not deleted without the log around it, and no failure twice, in the log and as
/// the error.
pub(super) fn readable(words: &str) -> String {
    let line = |line: &str| match line.strip_prefix(NOT_DELETED) {
        Some(rest) => value(rest, "error").unwrap_or_else(|| rest.to_owned()),
        None => line.to_owned(),
    };
    let said = words.lines().any(|line| line.starts_with("Error: "));
    let again = |line: &&str| said && line.starts_with("level=WARN ") && line.contains(" failed\" ");
    words.lines().filter(|line| !again(line)).map(line).collect::<Vec<_>>().join("\n")
}

/// What a line of the debug log says.
pub(super) fn progress(line: &str) -> Progress {
    let field = |key: &str| value(line, key).unwrap_or_default();
    let message = field("msg");
    match message.as_str() {
        "waiting for resource" => Progress::WaitsFor(Awaited {
            kind: field("kind"),
            namespace: field("namespace"),
            name: field("name"),
            status: field("actualStatus"),
            goes: field("expectedStatus") == "NotFound",
        }),
        // What was waited for is there, and something is left to do.
        "all resources achieved desired status" => Progress::Works,
        _ if message.starts_with("waiting for resources") => Progress::Waits,
        _ => Progress::Works,
    }
}

/// A value of a line: bare, or in quotes as Go writes them.
fn value(line: &str, key: &str) -> Option<String> {
    let start = line.match_indices(key).map(|(at, _)| at).find(|at| {
        (*at == 0 || line.as_bytes()[at - 1] == b' ') && line.as_bytes().get(at + key.len()) == Some(&b'=')
    })?;
    let rest = &line[start + key.len() + 1..];
    match rest.strip_prefix('"') {
        Some(quoted) => Some(unquoted(quoted)),
        None => Some(rest.split(' ').next()?.trim().to_owned()),
    }
}

/// A text up to its closing quote, with what is escaped in it.
fn unquoted(quoted: &str) -> String {
    let (mut text, mut chars) = (String::new(), quoted.chars());
    while let Some(char) = chars.next().filter(|char| *char != '"') {
        text.extend(match char {
            '\\' => chars.next().map(|escaped| if escaped == 'n' { '\n' } else { escaped }),
            char => Some(char),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helms_log_says_when_it_waits_and_for_what() {
        for (line, expected) in [
            (r#"level=DEBUG msg="creating resource(s)" resources=1"#, Progress::Works),
            (r#"level=DEBUG msg="waiting for resources" count=1 timeout=5m0s"#, Progress::Waits),
            (r#"level=DEBUG msg="waiting for resources to be deleted" count=1 timeout=5m0s"#, Progress::Waits),
            (
                r#"level=DEBUG msg="all resources achieved desired status" desiredStatus=Current resourceCount=1"#,
                Progress::Works,
            ),
            (r#"level=DEBUG msg="updating release" key=sh.helm.release.v1.r1.v1"#, Progress::Works),
            (
                r#"level=DEBUG msg="waiting for resource" namespace=ml name=api kind=Deployment expectedStatus=Current actualStatus=InProgress"#,
                Progress::WaitsFor(Awaited {
                    kind: "Deployment".to_owned(),
                    namespace: "ml".to_owned(),
                    name: "api".to_owned(),
                    status: "InProgress".to_owned(),
                    goes: false,
                }),
            ),
            (
                r#"level=DEBUG msg="waiting for resource" namespace=ml name=api kind=ConfigMap expectedStatus=NotFound actualStatus=Terminating"#,
                Progress::WaitsFor(Awaited {
                    kind: "ConfigMap".to_owned(),
                    namespace: "ml".to_owned(),
                    name: "api".to_owned(),
                    status: "Terminating".to_owned(),
                    goes: true,
                }),
            ),
        ] {
            assert!(is_log(line));
            assert_eq!(progress(line), expected, "{line}");
        }
        assert!(!is_log("level=WARN msg=\"upgrade failed\""));
        assert!(!is_log("Error: UPGRADE FAILED: level=DEBUG "));
    }

    #[test]
    fn what_could_not_be_deleted_is_a_word_for_people() {
        let line = r#"level=DEBUG msg="uninstall: Failed to delete release" error="[configmaps \"a\" is forbidden]""#;
        assert!(!is_log(line));
        let words = format!("{line}\nError: failed to delete release: a");
        assert_eq!(readable(&words), "[configmaps \"a\" is forbidden]\nError: failed to delete release: a");
        let (log, error) = ("level=WARN msg=\"upgrade failed\" name=a error=\"no\"", "Error: UPGRADE FAILED: no");
        assert_eq!(readable(&format!("{log}\n{error}")), error);
        assert_eq!(readable(log), log, "better than nothing");
        let other = "level=WARN msg=\"deprecated\"";
        assert_eq!(readable(&format!("{other}\n{error}")), format!("{other}\n{error}"));
    }

    #[test]
    fn an_object_without_a_namespace_and_lines_cut_short() {
        let line = r#"level=DEBUG msg="waiting for resource" namespace="" name=things.example.com kind=CustomResourceDefinition"#;
        let Progress::WaitsFor(object) = progress(line) else { panic!("{line}") };
        assert_eq!((object.namespace.as_str(), object.name.as_str()), ("", "things.example.com"));
        assert_eq!(object.status, "");
        assert_eq!(progress("level=DEBUG msg=\"waiting for"), Progress::Works);
        assert_eq!(progress("level=DEBUG "), Progress::Works);
    }
}
