//! What helm's and kubectl's words say of an API server that refuses: for now, by a webhook's decision, or because a
//! field never changes. Both exit with 1 for everything, so their words are all there is. Pure.

use super::kubectl::server_is_gone;

/// Why something that failed may work when it is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transient {
    /// A webhook did not answer.
    Webhook {
        /// Its name.
        name: String,
        /// Why not, in the API server's words.
        why: String,
    },
    /// The API server, or what is behind it, could not answer.
    Server,
}

/// Words of an API server that answers, but is not well just now.
const UNWELL: [&str; 7] = [
    "leader changed",
    "too many requests",
    "currently unable to handle the request",
    "unable to return a response in the time allotted",
    "is shutting down",
    "the object has been modified",
    "timed out waiting for the server",
];

/// Why a failure may pass by itself; none, when it will not.
pub fn transient(word: &str) -> Option<Transient> {
    let lower = word.to_lowercase();
    if let Some((name, why)) = silent_webhook(word) {
        return Some(Transient::Webhook { name, why });
    }
    // Not whatever a webhook or a hook's pod says of connections of its own.
    let refused = denied(word).is_some() || lower.contains("failed calling webhook");
    (!refused && (server_is_gone(word) || UNWELL.iter().any(|says| lower.contains(says)))).then_some(Transient::Server)
}

/// A webhook that did not answer: no endpoints yet, nobody there, too slow, or a certificate that is still to come.
fn silent_webhook(word: &str) -> Option<(String, String)> {
    const SILENT: [&str; 10] = [
        "no endpoints available",
        "connection refused",
        "connection reset by peer",
        "deadline exceeded",
        "i/o timeout",
        "eof",
        "x509: ",
        "no route to host",
        "currently unable to handle the request",
        // Its Service.
        "not found",
    ];
    // What is logged is said once more at the end, without escapes.
    let said: Vec<&str> = word.lines().filter(|line| !line.starts_with("level=")).collect();
    let (kind, after) = ["failed calling webhook ", "conversion webhook for "]
        .iter()
        .find_map(|says| Some((*says, said.iter().find_map(|line| line.split(says).nth(1))?)))?;
    let name = match kind {
        "conversion webhook for " => format!("conversion of {}", after.split(" failed").next()?.trim()),
        _ => quoted(after)?,
    };
    let why = after.rsplit_once("\": ").map_or(after, |(_, why)| why).trim();
    SILENT.iter().any(|says| why.to_lowercase().contains(says)).then(|| (name, why.to_owned()))
}

/// A webhook that said no: its name and its own words.
pub fn denied(word: &str) -> Option<(String, String)> {
    let line =
        word.lines().filter(|line| !line.starts_with("level=")).find(|line| line.contains("denied the request"))?;
    let name = quoted(line.split("admission webhook ").nth(1)?)?;
    let (_, why) = line.split_once("denied the request")?;
    Some((name, why.trim_start_matches(':').trim().to_owned()))
}

/// What the API server says of a field, without its value: that may be long, and hold secrets.
pub fn without_value(word: &str) -> String {
    const SAYS: &str = "Invalid value: ";
    let Some((before, value)) = word.split_once(SAYS) else { return word.to_owned() };
    let reason = value.rsplit_once(": ").map_or("", |(_, reason)| reason);
    format!("{before}{SAYS}…: {reason}")
}

/// Whether something was refused because a field of an object never changes.
pub fn immutable(word: &str) -> bool {
    const NEVER: [&str; 10] = [
        "field is immutable",
        "is immutable when `immutable` is set",
        "updates to statefulset spec for fields other than",
        "is immutable after creation",
        "cannot change roleref",
        "updates to parameters are forbidden",
        "may not be changed",
        "may not change once set",
        "updates to provisioner are forbidden",
        "field can not be less than status.capacity",
    ];
    let word = word.to_lowercase();
    NEVER.iter().any(|says| word.contains(says))
}

/// The first text in double quotes; logs put a backslash before them.
fn quoted(text: &str) -> Option<String> {
    let name = text.split('"').nth(1)?;
    Some(name.trim_end_matches('\\').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_that_do_not_answer_are_told_from_those_that_say_no() {
        let silent = "Error: failed to create resource: server-side apply failed for object n/a: Internal error occurred: failed calling webhook \"v.example.org\": failed to call webhook: Post \"https://hook.n.svc:443/v?timeout=10s\": no endpoints available for service \"hook\"\n";
        let why = "no endpoints available for service \"hook\"";
        let webhook = Transient::Webhook { name: "v.example.org".into(), why: why.into() };
        assert_eq!(transient(silent), Some(webhook));
        for why in [
            "dial tcp 10.0.0.1:443: connect: connection refused",
            "service \"gone\" not found",
            "context deadline exceeded",
            "x509: certificate signed by unknown authority",
        ] {
            let word = format!(
                "Error: failed calling webhook \"v.example.org\": failed to call webhook: Post \"https://x\": {why}"
            );
            assert!(matches!(transient(&word), Some(Transient::Webhook { .. })), "{why}");
        }
        let conversion = "conversion webhook for e.org/v1, Kind=W failed: Post \"https://h.n.svc:443/c?timeout=30s\": no endpoints available for service \"h\"";
        assert!(
            matches!(transient(conversion), Some(Transient::Webhook { name, .. }) if name == "conversion of e.org/v1, Kind=W")
        );
        let said_no = "level=WARN msg=\"admission webhook \\\"x\\\" denied the request: logged\"\nError: admission webhook \"v.example.org\" denied the request: connection refused by policy\n";
        assert_eq!(transient(said_no), None);
        assert_eq!(denied(said_no), Some(("v.example.org".into(), "connection refused by policy".into())));
    }

    #[test]
    fn servers_that_are_unwell_are_told_from_those_that_refuse() {
        for word in [
            "Error: kubernetes cluster unreachable: Get \"https://10.0.0.1:6443/version\": dial tcp 10.0.0.1:6443: connect: connection refused",
            "The connection to the server localhost:8080 was refused - did you specify the right host or port?",
            "Error from server: etcdserver: leader changed",
            "Error from server (TooManyRequests): Too many requests, please try again later.",
            "Error from server (ServiceUnavailable): the server is currently unable to handle the request",
        ] {
            assert_eq!(transient(word), Some(Transient::Server), "{word}");
        }
        for word in ["is forbidden: User", "context deadline exceeded", "Invalid value: -3", ""] {
            assert_eq!(transient(word), None, "{word}");
        }
    }

    #[test]
    fn fields_that_never_change() {
        for word in [
            "The Service \"a\" is invalid: spec.clusterIPs[0]: Invalid value: [\"10.96.77.77\"]: may not change once set",
            "Deployment.apps \"a\" is invalid: spec.selector: Invalid value: {}: field is immutable",
            "StatefulSet.apps \"a\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals' are forbidden",
            "RoleBinding.rbac.authorization.k8s.io \"a\" is invalid: roleRef: Invalid value: {}: cannot change roleRef",
            "PersistentVolumeClaim \"a\" is invalid: spec.resources.requests.storage: Forbidden: field can not be less than status.capacity",
        ] {
            assert!(immutable(word), "{word}");
        }
        assert!(!immutable("spec.replicas: Invalid value: -3"));
    }

    #[test]
    fn a_value_is_left_out_of_what_is_said_of_it() {
        for (word, said) in [
            (
                "The Job \"a\" is invalid: spec.template: Invalid value: {\"Env\":[{\"Value\":\"hush: hush\"}]}: field is immutable",
                "The Job \"a\" is invalid: spec.template: Invalid value: …: field is immutable",
            ),
            (
                "x: [a: Invalid value: \"hush\": no, b: Invalid value: {hush}: field is immutable]",
                "x: [a: Invalid value: …: field is immutable]",
            ),
            ("Invalid value: hush", "Invalid value: …: "),
            ("data: Forbidden: field is immutable", "data: Forbidden: field is immutable"),
        ] {
            assert_eq!(without_value(word), said);
        }
    }
}
