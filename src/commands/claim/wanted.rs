//! A release's objects as they should be, and what it means that live ones are otherwise: worth a line, in the way of others,
//! or refused. Pure.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::diff::Claim;
use crate::plan::{Action, Step};
use crate::tools::{immutable, transient, without_value};
use crate::ui::failure::{Code, Failure, Kind};

/// Why a release's objects are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It does not change: what it was installed with is compared.
    Drift,
    /// It changes: fields that others set would stand in helm's way.
    Change,
    /// It, or objects of it, are adopted.
    Adoption,
}

/// A release's objects as they should be.
pub(super) struct Wanted<'a> {
    pub step: &'a Step,
    pub why: Why,
    /// The revision of helm's that is what it should be already.
    pub equal: Option<u64>,
    pub objects: Vec<Json>,
    /// Secrets that are made beside helm and have to be there; their identity alone.
    pub secrets: Vec<Json>,
    /// Tokens may stand where the release has secrets: a refusal may be for them.
    pub has_tokens: bool,
}

impl Wanted<'_> {
    /// Whether a field is worth a line, and is taken by force: what a release brings along is not taken from anybody.
    pub fn counts(&self, claim: &Claim) -> bool {
        let is_theirs = claim.path.is_some() && !claim.managers.is_empty() && !is_owner_mark(claim);
        match (self.why, &self.step.action) {
            (Why::Drift, _) => true,
            (Why::Change, _) | (Why::Adoption, Action::Upgrade { .. }) => is_theirs,
            (Why::Adoption, _) => claim.path.is_some() && !is_owner_mark(claim),
        }
    }

    /// The objects that become this release's.
    pub fn taken_over(&self, claims: &[Claim]) -> Vec<String> {
        let marked = claims.iter().filter(|claim| self.why == Why::Adoption && is_owner_mark(claim));
        let objects: BTreeSet<&String> = marked.map(|claim| &claim.object).collect();
        objects.into_iter().cloned().collect()
    }

    /// What adopting the release would take from others.
    pub fn conflict(&self, claims: &[Claim]) -> Option<Failure> {
        let lost = claims.iter().filter(|claim| !claim.managers.is_empty() && self.counts(claim));
        let lost: Vec<String> = lost.map(ToString::to_string).collect();
        if lost.is_empty() || self.equal.is_some() || self.why != Why::Adoption {
            return None;
        }
        let title = format!("{}: adopting it would change fields that others set", self.step.release);
        let failure = Failure::new(Code::AdoptionConflict, Kind::Yours, title);
        let failure = lost.into_iter().fold(failure, Failure::detail);
        Some(
            failure
                .help("set these fields in the release's values as they are in the cluster")
                .help("or take them over: --force-conflicts"),
        )
    }

    /// What an autoscaler sets is not taken from it, and helm can't upgrade around it.
    pub fn autoscaled(&self, claims: &[Claim]) -> Failure {
        let title = format!("{}: an autoscaler sets fields that the release sets too", self.step.release);
        let failure = Failure::new(Code::AdoptionConflict, Kind::Yours, title);
        let failure = claims.iter().map(ToString::to_string).fold(failure, Failure::detail);
        failure.detail("nothing was changed").help("leave replicas out of the release's values")
    }

    /// An object that the API server refuses: helm would fail in the middle. None, where that is not certain.
    pub fn refused(&self, object: &Json, word: &str, recreate: &[String]) -> Option<Failure> {
        let (kind, name) = names(object);
        let is_named = recreate.iter().any(|named| *named == format!("{kind}/{name}"));
        let is_certain = self.why == Why::Adoption && self.equal.is_none() && !self.has_tokens;
        if !is_certain || is_named || transient(word).is_some() {
            return None;
        }
        let title = format!("{}: the API server refuses {kind} {name}", self.step.release);
        let code = if immutable(word) { Code::Immutable } else { Code::Helm };
        let failure = Failure::new(code, Kind::Yours, title).word(&said(word)).detail("nothing was changed");
        Some(match (code, &self.step.action) {
            (Code::Immutable, Action::Install) => {
                failure.help("remove the object, or set in the release's values what it has")
            }
            (Code::Immutable, _) => failure
                .help("set in the release's values what the object has")
                .help(format!("or let it be deleted and made anew with --recreate {kind}/{name}")),
            _ => failure.help("correct the release's values"),
        })
    }
}

/// The API server's words, without values: they may hold secrets.
pub(super) fn said(word: &str) -> String {
    let lines = word.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("Warning: "));
    without_value(&lines.collect::<Vec<_>>().join("; "))
}

/// An object's kind and name.
pub(super) fn names(object: &Json) -> (&str, &str) {
    (object["kind"].as_str().unwrap_or_default(), object["metadata"]["name"].as_str().unwrap_or_default())
}

/// helm's own marks, which an adopted object gets.
fn is_owner_mark(claim: &Claim) -> bool {
    let path = claim.path.as_deref().unwrap_or_default();
    path.starts_with("metadata.annotations[\"meta.helm.sh/")
        || path == "metadata.labels[\"app.kubernetes.io/managed-by\"]"
        || path == "metadata.annotations"
        || path == "metadata.labels"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::Because;

    fn step(action: Action) -> Step {
        Step {
            release: "web".into(),
            namespace: "n".into(),
            needs: Vec::new(),
            action,
            version: "1".into(),
            inputs: "i".into(),
            secrets: Vec::new(),
            live: None,
        }
    }

    fn wanted(step: &Step, why: Why) -> Wanted<'_> {
        Wanted { step, why, equal: None, objects: Vec::new(), secrets: Vec::new(), has_tokens: false }
    }

    fn claim(path: &str, managers: &[&str]) -> Claim {
        let managers = managers.iter().map(|name| (*name).to_owned()).collect();
        Claim { object: "ConfigMap n/x".into(), path: Some(path.to_owned()), managers, autoscaled: false }
    }

    fn changes() -> Action {
        Action::Upgrade { from: None, because: Because::Inputs }
    }

    #[test]
    fn of_a_release_that_changes_only_what_others_set_is_taken() {
        let step = step(changes());
        let mark = claim("metadata.annotations[\"meta.helm.sh/release-name\"]", &[]);
        let claims = [claim("data.a", &["kubectl-create"]), claim("data.b", &[]), mark];
        for why in [Why::Change, Why::Adoption] {
            let wanted = wanted(&step, why);
            let counted: Vec<bool> = claims.iter().map(|claim| wanted.counts(claim)).collect();
            assert_eq!(counted, [true, false, false], "{why:?}");
            assert_eq!(wanted.conflict(&claims).is_some(), why == Why::Adoption);
        }
        assert_eq!(wanted(&step, Why::Adoption).taken_over(&claims), ["ConfigMap n/x"]);
        assert!(wanted(&step, Why::Change).taken_over(&claims).is_empty());
    }

    #[test]
    fn a_refusal_is_told_without_values_and_only_where_it_is_certain() {
        let service = json!({"kind": "Service", "metadata": {"name": "web"}});
        let word = "Warning: old\nThe Service \"web\" is invalid: spec.clusterIPs[0]: Invalid value: [\"hush\"]: may not change once set\n";
        let (upgrade, install) = (step(changes()), step(Action::Install));
        let refused = wanted(&upgrade, Why::Adoption).refused(&service, word, &[]).unwrap();
        assert_eq!(refused.code, Code::Immutable);
        assert!(refused.word.contains("Invalid value: …: may not change once set"), "{}", refused.word);
        assert!(refused.help.iter().any(|help| help.ends_with("--recreate Service/web")), "{:?}", refused.help);
        let alone = wanted(&install, Why::Adoption).refused(&service, word, &[]).unwrap();
        assert!(!alone.help.iter().any(|help| help.contains("--recreate")), "nothing is made anew of an installation");

        assert!(wanted(&upgrade, Why::Adoption).refused(&service, word, &["Service/web".to_owned()]).is_none());
        assert!(wanted(&upgrade, Why::Change).refused(&service, word, &[]).is_none());
        let tokens = Wanted { has_tokens: true, ..wanted(&upgrade, Why::Adoption) };
        assert!(tokens.refused(&service, word, &[]).is_none());
        let passing = "failed calling webhook \"v\": failed to call webhook: Post \"https://x\": no endpoints available for service \"h\"";
        assert!(wanted(&upgrade, Why::Adoption).refused(&service, passing, &[]).is_none());
    }
}
