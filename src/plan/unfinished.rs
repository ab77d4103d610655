//! Releases whose helm is done while something of theirs still follows: helm's record must not say yet that everything is.

use super::label;

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
