//! Errors of tools and of the cluster. What helm and kubectl say is sorted by their own words, because they exit with
//! 1 for everything.

use super::{Code, Failure, Failures, Kind};
use crate::plan::{Action, Blocked, Step};
use crate::tools::CallError;

/// What a tool's word means.
struct Meaning {
    /// Any of these, in lower case.
    says: &'static [&'static str],
    means: &'static str,
    code: Code,
    kind: Kind,
    help: &'static str,
}

/// Sorted by how special they are: the first that fits counts.
const MEANINGS: &[Meaning] = &[
    Meaning {
        says: &["another operation (install/upgrade/rollback) is in progress"],
        means: "helm is in the middle of another operation on it",
        code: Code::Pending,
        kind: Kind::Yours,
        help: "another helm works on it, or one was killed; see `platctl status`",
    },
    Meaning {
        says: &["invalid ownership metadata"],
        means: "an object of its name belongs to somebody else",
        code: Code::Foreign,
        kind: Kind::Yours,
        help: "the object belongs to another release or was made by hand: remove it, or take it over with the release: --adopt RELEASE",
    },
    Meaning {
        says: &["conflict occurred while applying object"],
        means: "somebody else owns fields that it sets",
        code: Code::Helm,
        kind: Kind::Yours,
        help: "put back what somebody changed: the same command with --check-drift; or set these fields in the release's values",
    },
    Meaning {
        says: &["don't meet the specifications of the schema"],
        means: "its values don't fit the chart's schema",
        code: Code::Render,
        kind: Kind::Yours,
        help: "correct the release's values.yaml; the chart's schema names the key",
    },
    Meaning {
        says: &["exceeded quota"],
        means: "a quota of its namespace is used up",
        code: Code::Cluster,
        kind: Kind::Yours,
        help: "ask for a larger quota, or let the release want less: `kubectl describe quota` shows what is used",
    },
    Meaning {
        says: &["violates podsecurity"],
        means: "its namespace's Pod Security level does not allow its pods",
        code: Code::Cluster,
        kind: Kind::Yours,
        help: "change the pods' securityContext in the release's values, or the level: `namespaceLabels` of its tier",
    },
    Meaning {
        says: &["because it is being terminated"],
        means: "its namespace is being deleted",
        code: Code::Cluster,
        kind: Kind::Transient,
        help: "wait until the namespace is gone, then run the same command again",
    },
    Meaning {
        says: &["validatingadmissionpolicy"],
        means: "an admission policy denied it",
        code: Code::WebhookDenied,
        kind: Kind::Yours,
        help: "change what the policy objects to in the release's values, or ask whoever made the policy",
    },
    Meaning {
        says: &["is forbidden: user \""],
        means: "not allowed",
        code: Code::Cluster,
        kind: Kind::Yours,
        help: "the user of this kubeconfig lacks that right",
    },
    Meaning {
        // A LimitRange, a PriorityClass that is not there … Not "Forbidden: spec is immutable".
        says: &["is forbidden: "],
        means: "the API server's admission refuses it",
        code: Code::Cluster,
        kind: Kind::Yours,
        help: "its words say what it objects to; change that in the release's values",
    },
    Meaning {
        says: &["unable to decode", "cannot unmarshal", "failed to create typed patch object"],
        means: "a field of one of its objects has another type than the API server wants",
        code: Code::Helm,
        kind: Kind::Yours,
        help: "a number or true, false and the like where a text belongs must be in quotes; `platctl template` shows the objects",
    },
    Meaning {
        says: &["no matches for kind"],
        means: "the cluster does not know the kind of one of its objects",
        code: Code::Helm,
        kind: Kind::Yours,
        help: "let it need the release that brings the definition, or write another apiVersion; `platctl doctor` compares what the cluster offers",
    },
    Meaning {
        says: &["you must be logged in"],
        means: "the cluster does not accept the login",
        code: Code::Cluster,
        kind: Kind::Yours,
        help: "the kubeconfig's credentials are not accepted",
    },
    Meaning {
        says: &["context was not found"],
        means: "the kubeconfig has no such context",
        code: Code::WrongCluster,
        kind: Kind::Yours,
        help: "the kubeconfig has no such context; name the file with --kubeconfig FILE",
    },
    Meaning {
        says: &["error: context \"", "error: cluster \"", "auth info \""],
        means: "something that it names does not exist",
        code: Code::Cluster,
        kind: Kind::Yours,
        help: "check the kubeconfig and the context",
    },
    Meaning {
        says: &["connection refused"],
        means: "the API server does not answer",
        code: Code::Cluster,
        kind: Kind::Transient,
        help: "the API server does not answer; check the kubeconfig and the server, then try again",
    },
    Meaning {
        says: &["was refused - did you specify"],
        means: "the API server does not answer",
        code: Code::Cluster,
        kind: Kind::Transient,
        help: "the API server does not answer; check the kubeconfig and the server, then try again",
    },
    Meaning {
        says: &["unable to connect to the server"],
        means: "the API server can't be reached",
        code: Code::Cluster,
        kind: Kind::Transient,
        help: "check the kubeconfig, the server's name and address, and the network, then try again",
    },
    Meaning {
        says: &["currently unable to handle the request"],
        means: "the API server, or one behind it, can't answer now",
        code: Code::Cluster,
        kind: Kind::Transient,
        help: "see what `kubectl get apiservices` says is not available, then try again",
    },
    Meaning {
        says: &["cluster unreachable", "network is unreachable", "no route to host"],
        means: "the API server does not answer",
        code: Code::Cluster,
        kind: Kind::Transient,
        help: "the API server does not answer; check the kubeconfig and the server, then try again",
    },
    Meaning {
        says: &[
            "i/o timeout",
            "tls handshake timeout",
            "client.timeout exceeded",
            "request timed out",
            "request did not complete within",
            "in the time allotted",
        ],
        means: "the API server was too slow",
        code: Code::Cluster,
        kind: Kind::Transient,
        help: "the API server was too slow; try again",
    },
];

fn meaning(word: &str) -> Option<&'static Meaning> {
    let word = word.to_lowercase();
    MEANINGS.iter().find(|meaning| meaning.says.iter().any(|says| word.contains(says)))
}

/// A failed command of a tool.
pub(super) fn call(title: String, otherwise: Code, error: &CallError) -> Failure {
    if error.interrupted() {
        let failure = Failure::new(Code::Interrupted, Kind::Transient, format!("{title}: interrupted"));
        return failure.word(error.stderr());
    }
    let failure = match meaning(error.stderr()) {
        Some(meaning) => {
            Failure::new(meaning.code, meaning.kind, format!("{title}: {}", meaning.means)).help(meaning.help)
        }
        None if matches!(error, CallError::NotRun { .. }) => Failure::caused(Code::Tool, Kind::Yours, error),
        None => {
            let text = error.to_string();
            let tool = text.split(' ').next().unwrap_or_default();
            Failure::new(otherwise, Kind::Permanent, format!("{title}: {tool} failed"))
        }
    };
    let mut failure = failure.word(error.stderr());
    failure.ran = Some(error.to_string());
    failure
}

/// A question to the cluster that failed.
pub fn cluster(what: &str, error: &CallError) -> Failures {
    call(what.to_owned(), Code::Cluster, error).into()
}

/// A step that may not be done.
pub fn blocked(step: &Step) -> Option<Failure> {
    let Action::Blocked { reason } = &step.action else { return None };
    let Step { release, namespace, .. } = step;
    Some(match reason {
        Blocked::Pending { status, deployed } => {
            let how = if deployed.is_some() { "rollback" } else { "uninstall" };
            let way_out = format!("if no helm works on it any more, on any host: `platctl apply` with --recover {how}");
            Failure::new(Code::Pending, Kind::Yours, format!("{release}: helm left it in `{status}`"))
                .detail("an earlier run was killed in the middle, or is still at work elsewhere")
                .help("if the last run left it there: `platctl apply` with --resume")
                .help(way_out)
        }
        Blocked::Foreign { owner } => {
            let owner = owner.as_ref().map_or("somebody else".to_owned(), |owner| format!("platform {owner}"));
            Failure::new(
                Code::Foreign,
                Kind::Yours,
                format!("{release}: a release of that name in {namespace} belongs to {owner}"),
            )
            .help(format!("take it over: --adopt {release}; `platctl plan --adopt {release}` shows what that changes"))
            .help(format!(
                "or remove it (helm uninstall {release} -n {namespace}) or give this one another name or namespace"
            ))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_cluster_are_told_apart() {
        for (word, means) in [
            (
                "Error: pods \"a\" is forbidden: exceeded quota: q, requested: pods=1",
                "a quota of its namespace is used up",
            ),
            (
                "pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\"",
                "its namespace's Pod Security level does not allow its pods",
            ),
            (
                "deployments.apps \"a\" is forbidden: unable to create new content in namespace n because it is being terminated",
                "its namespace is being deleted",
            ),
            (
                "deployments.apps \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
                "an admission policy denied it",
            ),
            ("secrets is forbidden: User \"dev\" cannot create resource \"secrets\"", "not allowed"),
            (
                "pods \"a\" is forbidden: no PriorityClass with name high was found",
                "the API server's admission refuses it",
            ),
            (
                "Error: unable to decode \"\": json: cannot unmarshal bool into Go struct field",
                "a field of one of its objects has another type than the API server wants",
            ),
            (
                "no matches for kind \"Bar\" in version \"e.org/v1\"",
                "the cluster does not know the kind of one of its objects",
            ),
            (
                "Get \"https://10.0.0.1:6443/version\": dial tcp 10.0.0.1:6443: i/o timeout",
                "the API server was too slow",
            ),
            ("error: context \"site\" does not exist", "something that it names does not exist"),
        ] {
            assert_eq!(meaning(word).map(|meaning| meaning.means), Some(means), "{word}");
        }
        for word in [
            "Deployment.apps \"a\" is invalid: livenessProbe.timeoutSeconds: Invalid value: -1: must be greater than 0",
            "Forbidden: spec is immutable after creation except resources.requests",
            "Release \"a\" does not exist. Installing it now.",
            "failed to call webhook: Post \"https://gone.n.svc:443/v?timeout=10s\": service \"gone\" not found",
        ] {
            assert!(meaning(word).is_none(), "{word}");
        }
    }
}
