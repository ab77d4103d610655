//! Images with every place that needs them, in a bundle's words and as `lock` and `inspect` list them. Must not find any.

use std::collections::BTreeSet;

use crate::bundle::NeededAt;
use crate::resolve::Need;

/// An image with who needs it.
pub struct Needed {
    /// Its reference, and what it is.
    pub lines: [String; 2],
    /// Releases that need it, told after the places of others.
    pub releases: Vec<String>,
    /// Where.
    pub places: Vec<NeededAt>,
}

/// The places that need an image, in a bundle's words.
pub fn needed_at(places: &BTreeSet<Need>) -> Vec<NeededAt> {
    let place = |need: &Need| {
        let Need { release, object, path, confidence } = need.clone();
        NeededAt { release, object, path, confidence: confidence.word().to_owned() }
    };
    places.iter().map(place).collect()
}

/// A block for each image: what it is, then a line for each place.
pub fn images_text(images: &[Needed]) -> String {
    images.iter().map(|image| format!("{}\n  {}\n{}", image.lines[0], image.lines[1], places_text(image))).collect()
}

fn places_text(image: &Needed) -> String {
    let known: BTreeSet<&str> = image.places.iter().map(|place| place.release.as_str()).collect();
    let others = image.releases.iter().filter(|release| !known.contains(release.as_str()));
    let rows = image.places.iter().map(|place| {
        let sure = if place.confidence == "certain" { String::new() } else { format!("({})", place.confidence) };
        [&place.release, &place.object, &place.path, &sure].map(|text| harmless(text))
    });
    let rows: Vec<_> = rows.chain(others.map(|release| [release.clone(), "".into(), "".into(), "".into()])).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2].map(width);
    let line = |row: &[String; 4]| {
        let [release, object, path, sure] = row;
        let [a, b, c] = widths;
        format!("    {release:<a$}  {object:<b$}  {path:<c$}  {sure}").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// A text out of a bundle, which may be anybody's.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_line_and_so_has_a_release_without_one() {
        let place = |release: &str, object: &str, path: &str, confidence: &str| NeededAt {
            release: release.into(),
            object: object.into(),
            path: path.into(),
            confidence: confidence.into(),
        };
        let image = Needed {
            lines: ["quay.io/a/b:1".into(), "linux/amd64".into()],
            releases: vec!["prod/apps/a".into(), "prod/apps/other".into()],
            places: vec![
                place("prod/apps/a", "Deployment web", "spec.template.spec.containers[0].image", "certain"),
                place("prod/apps/a", "ConfigMap x\u{1b}[2J", "data.image", "probable"),
            ],
        };
        let expected = "quay.io/a/b:1\n  linux/amd64\n\
            \x20   prod/apps/a      Deployment web   spec.template.spec.containers[0].image\n\
            \x20   prod/apps/a      ConfigMap x\u{fffd}[2J  data.image                              (probable)\n\
            \x20   prod/apps/other\n";
        assert_eq!(images_text(&[image]), expected);
    }
}
