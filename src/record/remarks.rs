//! What a record says beside objects, as comments at the head of what helm installs: what images are called upstream, because
//! pods are given digests; and which definitions came with the release, because helm's record has only those of the chart's own
//! `crds/`, not of its subcharts'. Kubernetes is never sent a comment. Must not decide what is installed.

use crate::image::Reference;

/// How a line begins that says what an image is called: where it is pulled follows, and what it is called upstream.
const IMAGE: &str = "# platctl.dev/image: ";
/// How a line begins that names a definition.
const DEFINITION: &str = "# platctl.dev/definition: ";

/// What is said of a release beside its objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remarks {
    /// What images are called where they are pulled, by digest, and upstream.
    pub images: Vec<(String, String)>,
    /// Names of the custom resource definitions of all its `crds/` folders.
    pub definitions: Vec<String>,
}

impl Remarks {
    /// The remarks in a text. Any other line is somebody else's.
    pub fn read(text: &str) -> Remarks {
        let definitions = text.lines().filter_map(|line| line.strip_prefix(DEFINITION)).filter(|name| is_name(name));
        Remarks {
            images: text.lines().filter_map(image).collect(),
            definitions: definitions.map(str::to_owned).collect(),
        }
    }

    /// A text of objects with the remarks, a line each, in its first document: a document of comments alone is none to helm.
    /// Never empty: helm takes a post-renderer that says nothing for one that failed, and a chart may have nothing but `crds/`.
    pub fn write(&self, text: String) -> String {
        let images = self.images.iter().map(|(pulled, upstream)| format!("{IMAGE}{pulled} {upstream}\n"));
        let definitions = self.definitions.iter().map(|name| format!("{DEFINITION}{name}\n"));
        let lines: String = images.chain(definitions).collect();
        if text.trim().is_empty() {
            return format!("# no objects\n{lines}");
        }
        let (start, rest) = if text.starts_with("---\n") { text.split_at("---\n".len()) } else { ("", text.as_str()) };
        format!("{start}{lines}{rest}")
    }
}

fn image(line: &str) -> Option<(String, String)> {
    let (pulled, upstream) = line.strip_prefix(IMAGE)?.split_once(' ')?;
    let (reference, upstream): (Reference, Reference) = (pulled.parse().ok()?, upstream.trim_end().parse().ok()?);
    reference.digest.is_some().then(|| (pulled.to_owned(), upstream.to_string()))
}

/// Whether a text can be the name of an object of Kubernetes: an RFC 1123 subdomain, by its letters.
fn is_name(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    !text.is_empty() && text.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::object::Stream;

    #[test]
    fn remarks_come_back_from_what_is_recorded() {
        let pulled = format!("site:5000/mirror/one.example/web@{}", Digest::of("web"));
        let remarks = Remarks {
            images: vec![(pulled, "one.example/web:1.0".to_owned())],
            definitions: vec!["things.example.org".to_owned(), "others.example.org".to_owned()],
        };
        for text in ["---\n# Source: c/a.yaml\nkind: A\napiVersion: v1\n", "kind: A\napiVersion: v1\n"] {
            let remarked = remarks.write(text.to_owned());
            assert_eq!(Remarks::read(&remarked), remarks);
            let objects = |text: String| Stream::parse(text).unwrap().objects.into_iter().map(|o| o.node.to_json());
            assert!(objects(remarked).eq(objects(text.to_owned())));
        }
        let alone = remarks.write("\n".to_owned());
        assert_eq!((Stream::parse(alone.clone()).unwrap().objects.len(), Remarks::read(&alone)), (0, remarks));
        assert_eq!(Remarks::default().write(String::new()), "# no objects\n");
        assert_eq!(Remarks::default().write("kind: A\n".to_owned()), "kind: A\n");
    }

    #[test]
    fn what_others_write_is_none() {
        for line in [
            "# platctl.dev/image: a b",
            "# platctl.dev/image: x/y:1 z/y:1",
            "x: # platctl.dev/image: a b",
            "#",
            "# platctl.dev/definition: ",
            "# platctl.dev/definition: a b",
            " # platctl.dev/definition: a.b",
        ] {
            assert_eq!(Remarks::read(line), Remarks::default(), "{line}");
        }
        let control = format!("# platctl.dev/image: s/x@{} x:\u{1b}[2J\n", Digest::of(""));
        assert_eq!(Remarks::read(&control), Remarks::default());
    }
}
