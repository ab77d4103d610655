//! What images are called upstream, as comments at the head of what a release installs: pods are given digests, and helm's
//! record would tell nobody which tag that was. Kubernetes is never sent a comment. Must not decide what is installed.

use super::Rewriting;
use crate::image::{Reference, Site};

/// How such a line begins: what an image is called where it is pulled follows, and what it is called upstream.
const MARK: &str = "# platctl.dev/image: ";

/// A text of objects with what its images are called, a line each, in its first document: a document of comments alone is
/// none to helm.
pub fn with_names(text: String, rewriting: &Rewriting) -> String {
    let Some((address, prefix)) = &rewriting.registry else { return text };
    let site = Site { address: address.clone(), prefix: prefix.clone() };
    let line = |image: Reference, digest| format!("{MARK}{} {image}\n", site.pinned(&image, digest));
    let images = rewriting.images.iter().filter_map(|(name, digest)| Some(line(name.parse().ok()?, digest)));
    let lines: String = images.collect();
    if lines.is_empty() || text.trim().is_empty() {
        return text;
    }
    let (start, rest) = if text.starts_with("---\n") { text.split_at("---\n".len()) } else { ("", text.as_str()) };
    format!("{start}{lines}{rest}")
}

/// What images are called where they are pulled, and upstream, by the lines of a text. Any other line is somebody else's.
pub fn names_of(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let name = |line: &str| {
        let (pulled, upstream) = line.strip_prefix(MARK)?.split_once(' ')?;
        let (reference, upstream): (Reference, Reference) = (pulled.parse().ok()?, upstream.trim_end().parse().ok()?);
        reference.digest.is_some().then(|| (pulled.to_owned(), upstream.to_string()))
    };
    text.lines().filter_map(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::object::Stream;

    #[test]
    fn names_come_back_from_what_is_recorded() {
        let digest = Digest::of("web");
        let rewriting = Rewriting {
            registry: Some(("site:5000".to_owned(), "mirror".to_owned())),
            images: [("one.example/web:1.0".to_owned(), digest)].into(),
            ..Rewriting::default()
        };
        let pulled = format!("site:5000/mirror/one.example/web@{digest}");
        for text in ["---\n# Source: c/a.yaml\nkind: A\napiVersion: v1\n", "kind: A\napiVersion: v1\n"] {
            let named = with_names(text.to_owned(), &rewriting);
            assert_eq!(names_of(&named).collect::<Vec<_>>(), [(pulled.clone(), "one.example/web:1.0".to_owned())]);
            let objects = |text: String| Stream::parse(text).unwrap().objects.into_iter().map(|o| o.node.to_json());
            assert!(objects(named).eq(objects(text.to_owned())));
        }
        assert_eq!(with_names("\n".to_owned(), &rewriting), "\n");
        assert_eq!(with_names("kind: A\n".to_owned(), &Rewriting::default()), "kind: A\n");
    }

    #[test]
    fn what_others_write_is_no_name() {
        for line in ["# platctl.dev/image: a b", "# platctl.dev/image: x/y:1 z/y:1", "x: # platctl.dev/image: a b", "#"]
        {
            assert_eq!(names_of(line).count(), 0, "{line}");
        }
        let control = format!("# platctl.dev/image: s/x@{} x:\u{1b}[2J\n", Digest::of(""));
        assert_eq!(names_of(&control).count(), 0);
    }
}
