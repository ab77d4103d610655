//! Findings of rules that a release lets pass on purpose, each with its reason. Must not know the rules.

use serde::{Deserialize, Serialize};

use super::file::wildcard;
use crate::yaml::{Fields, Node, Problem, Sources};

/// One such exception. It crosses a process border on its way to the post-renderer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// The rule's code: `PL203`.
    pub rule: String,
    /// Which places it covers, as `KIND/NAME` or `KIND/NAME:PATH`; a `*` stands for any text. None covers all.
    pub place: Option<String>,
    /// Why.
    pub reason: String,
}

impl Exception {
    /// Reads an entry of `lint.ignore`.
    pub(super) fn typed(sources: &Sources, node: &Node) -> Result<Exception, Problem> {
        let mut fields = Fields::of(sources, node, "an exception")?;
        let span = fields.need("rule")?.span;
        let rule = fields.need_string("rule")?.to_owned();
        if !rule.strip_prefix("PL").is_some_and(|n| n.len() == 3 && n.bytes().all(|b| b.is_ascii_digit())) {
            return Err(fields.problem(format!("`{rule}` is no rule"), span).help("write its code, such as PL203"));
        }
        let place = fields.string("place")?.map(str::to_owned);
        let reason = fields.need_string("reason")?.to_owned();
        fields.finish()?;
        Ok(Exception { rule, place, reason })
    }

    /// Whether a finding of a rule at a place of an object is let pass.
    pub fn covers(&self, rule: &str, kind: &str, name: &str, path: &str) -> bool {
        let object = format!("{kind}/{name}");
        let at = |place: &String| wildcard(place, &object) || wildcard(place, &format!("{object}:{path}"));
        self.rule == rule && self.place.as_ref().is_none_or(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Exception, String> {
        let mut sources = Sources::default();
        let id = sources.add("release.yaml", text);
        let node = sources.read(id).unwrap();
        Exception::typed(&sources, &node).map_err(|problem| problem.to_string())
    }

    #[test]
    fn an_exception_covers_its_places() {
        let all = read("{rule: PL203, reason: it is patched}").unwrap();
        assert!(all.covers("PL203", "Job", "a", "spec.x") && !all.covers("PL204", "Job", "a", "spec.x"));
        let some = read("{rule: PL203, place: \"Job/install-*\", reason: it is patched}").unwrap();
        assert!(some.covers("PL203", "Job", "install-1", "spec.x") && !some.covers("PL203", "Job", "b", "spec.x"));
        let one = read("{rule: PL203, place: \"ConfigMap/c:data.s\", reason: only a sample}").unwrap();
        assert!(one.covers("PL203", "ConfigMap", "c", "data.s") && !one.covers("PL203", "ConfigMap", "c", "data.t"));
    }

    #[test]
    fn an_exception_without_a_reason_is_none() {
        for (text, expected) in [
            ("{rule: PL203}", "release.yaml:1:1: an exception has no `reason`"),
            ("{rule: PL203, reason: \" \"}", "release.yaml:1:23: `reason` is empty"),
            ("{rule: images, reason: x}", "release.yaml:1:8: `images` is no rule"),
            ("{rule: PL203, why: x, reason: z}", "release.yaml:1:15: unknown key `why`"),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
