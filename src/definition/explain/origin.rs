//! The one place to show somebody who asks who set a value, and where what its template names was set.

use std::collections::HashSet;

use super::{Explainer, Explanation, State, Subject};
use crate::definition::{Definition, Path, Release, Step};
use crate::yaml::{Excerpt, Span, Value};

/// Who set a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The value, or what holds it when it was never set.
    pub path: Path,
    /// Whether it was deleted there.
    pub deletes: bool,
    /// Where.
    pub at: Excerpt,
    /// What the template there names, down to the end, and where that was set.
    pub from: Vec<(String, Excerpt)>,
}

/// A template that names more is shown alone: which of them it was is not known.
const MAX_FROM: usize = 3;

impl Definition {
    /// Who set a value of a release; for one that nobody set, who set the nearest thing that would hold it.
    pub fn origin(&self, release: &Release, path: &Path) -> Option<Origin> {
        let whole = (1..=path.0.len()).rev().map(|n| Path(path.0[..n].to_vec()));
        whole.into_iter().find_map(|path| self.set_at(release, path))
    }

    fn set_at(&self, release: &Release, path: Path) -> Option<Origin> {
        let subject = Subject::of(self, Some(release));
        let at = subject.at(&path)?;
        let mut explainer = Explainer { definition: self, release: Some(release), seen: HashSet::new() };
        let one = explainer.one(path.to_string(), &subject, &at, &path);
        let setting = one.settings.first().filter(|setting| setting.place.line > 0)?;
        let mut from = Vec::new();
        self.ends(&setting.from, &mut from);
        if from.len() > MAX_FROM {
            from.clear();
        }
        let deletes = setting.state != State::Holds;
        let span = self.key_of(release, &path).unwrap_or(setting.span);
        Some(Origin { path, deletes, at: self.sources.excerpt(span), from })
    }

    /// The key in front of a map or a list, which begins somewhere below. A template stands for itself.
    fn key_of(&self, release: &Release, path: &Path) -> Option<Span> {
        let (Step::Key(key), above) = path.0.split_last()? else { return None };
        let map = Path(above.to_vec()).find(&release.values)?.as_map()?;
        let entry = map.0.iter().find(|entry| entry.key == *key)?;
        let holds = matches!(entry.node.value, Value::Map(_) | Value::List(_));
        (holds && release.provenance.template_at(entry.node.span).is_none()).then_some(entry.key_span)
    }

    /// Where the last of a chain of templates was set.
    fn ends(&self, explanations: &[Explanation], found: &mut Vec<(String, Excerpt)>) {
        for explanation in explanations {
            let Some(setting) = explanation.settings.first() else { continue };
            let before = found.len();
            self.ends(&setting.from, found);
            if found.len() == before && setting.place.line > 0 {
                found.push((explanation.name.clone(), self.sources.excerpt(setting.span)));
            }
        }
    }
}
