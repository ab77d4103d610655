//! `render` of a release.yaml: whether what helm renders live has to be what was planned. Must not compare anything.

use crate::yaml::{Fields, Node, Problem, Sources};

/// Whether a release may render otherwise live than offline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RenderGuard {
    /// It may not.
    #[default]
    Strict,
    /// It may; the closed world holds all the same.
    Live {
        /// Why.
        reason: String,
    },
}

impl RenderGuard {
    /// Reads `render`.
    pub(super) fn typed(sources: &Sources, node: &Node) -> Result<RenderGuard, Problem> {
        let mut fields = Fields::of(sources, node, "`render`")?;
        let span = fields.need("guard")?.span;
        let guard = match fields.need_string("guard")? {
            "strict" => RenderGuard::Strict,
            "live" => RenderGuard::Live { reason: fields.need_string("reason")?.to_owned() },
            other => {
                let problem = fields.problem(format!("`{other}` is no guard"), span);
                return Err(problem.help("write strict, or live with a reason"));
            }
        };
        fields.finish()?;
        Ok(guard)
    }

    /// Whether it may render otherwise live.
    pub fn is_live(&self) -> bool {
        matches!(self, RenderGuard::Live { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RenderGuard, String> {
        let mut sources = Sources::default();
        let id = sources.add("release.yaml", text);
        let node = sources.read(id).unwrap();
        RenderGuard::typed(&sources, &node).map_err(|problem| problem.to_string())
    }

    #[test]
    fn live_needs_a_reason() {
        assert_eq!(read("{guard: strict}"), Ok(RenderGuard::Strict));
        assert_eq!(read("{guard: live, reason: it looks}"), Ok(RenderGuard::Live { reason: "it looks".into() }));
        for (text, expected) in [
            ("{}", "release.yaml:1:1: `render` has no `guard`"),
            ("{guard: live}", "release.yaml:1:1: `render` has no `reason`"),
            ("{guard: live, reason: \" \"}", "release.yaml:1:23: `reason` is empty"),
            ("{guard: off, reason: x}", "release.yaml:1:9: `guard` must be a string"),
            ("{guard: lax, reason: x}", "release.yaml:1:9: `lax` is no guard"),
            ("{guard: strict, reason: x}", "release.yaml:1:17: unknown key `reason`"),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
