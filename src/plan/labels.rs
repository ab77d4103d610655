//! The labels of helm's records and of what is made for releases: by them the next run knows what is there and whether
//! everything that follows helm was done. Pure.

use std::collections::BTreeMap;

use super::{Plan, Step, label};

/// A label's name and value.
type Label = (String, String);

/// The labels for as long as something follows helm: the record then does not say that it is what was wanted, so that the
/// next run does it again unless the label that is also returned is set when everything is done.
pub fn labels_until_done(mut labels: Vec<Label>, follows: bool) -> (Vec<Label>, Option<Label>) {
    let Some(inputs) = labels.iter_mut().find(|(key, _)| follows && key == label::INPUTS) else {
        return (labels, None);
    };
    let done = inputs.clone();
    inputs.1.push_str(".unfinished");
    (labels, Some(done))
}

/// The labels a release of a tier is given.
pub fn labels(plan: &Plan, tier: &str, step: &Step, run: &str) -> Vec<(String, String)> {
    let legal: String =
        step.version.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    let mut labels: BTreeMap<&str, String> = [
        (label::PLATFORM, plan.platform.clone()),
        (label::ENVIRONMENT, plan.environment.clone()),
        (label::RUN, run.to_owned()),
        (label::INPUTS, step.inputs.clone()),
        (label::CHART_VERSION, legal),
    ]
    .into();
    labels.extend(is_label_value(tier).then(|| (label::TIER, tier.to_owned())));
    labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Whether Kubernetes takes a text as a label's value.
fn is_label_value(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63 && edge(text.chars().next()) && edge(text.chars().last()) && text.chars().all(inner)
}

/// The labels of Kubernetes Secrets that are made for a release. Nothing that differs from run to run: what is applied
/// again must be equal.
pub fn object_labels(plan: &Plan, step: &Step) -> BTreeMap<String, String> {
    let labels = [
        (label::PLATFORM, &plan.platform),
        (label::ENVIRONMENT, &plan.environment),
        (label::RELEASE, &step.release),
        ("app.kubernetes.io/managed-by", &"platctl".to_owned()),
    ];
    labels.into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_that_it_is_done_only_when_nothing_follows() {
        let labels = || vec![(label::RUN.to_owned(), "r".to_owned()), (label::INPUTS.to_owned(), "i".to_owned())];
        assert_eq!(labels_until_done(labels(), false), (labels(), None));
        let (until, done) = labels_until_done(labels(), true);
        assert_eq!(until[1], (label::INPUTS.to_owned(), "i.unfinished".to_owned()));
        assert_eq!(done, Some((label::INPUTS.to_owned(), "i".to_owned())));
    }
}
