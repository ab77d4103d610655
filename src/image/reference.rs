//! Image references. The grammar and the defaults (`docker.io`, `library/`) are those of
//! `github.com/distribution/reference`, which containerd and Docker use.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

const DEFAULT_HOST: &str = "docker.io";

/// An image reference with its host and path made explicit: `docker.io/library/busybox:1.36`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Registry host, with its port if it has one.
    pub host: String,
    /// Path of the repository in the registry.
    pub path: String,
    /// Tag, if one was written.
    pub tag: Option<String>,
    /// Digest, if one was written.
    pub digest: Option<Digest>,
}

/// A text that is no image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an image reference: `{text}`: {reason}")]
pub struct InvalidReference {
    /// What was written.
    pub text: String,
    /// Why it is none.
    pub reason: &'static str,
}

impl Reference {
    /// The repository: host and path, without tag and digest.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// What a registry is asked for: the digest where there is one, else the tag, else `latest`.
    pub fn wanted(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// Whether the bytes it names may change: neither digest nor a tag other than `latest`.
    pub fn floats(&self) -> bool {
        self.digest.is_none() && self.tag.as_deref().is_none_or(|tag| tag == "latest")
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Reference, InvalidReference> {
        let invalid = |reason| InvalidReference { text: text.to_owned(), reason };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|_| invalid("the digest is no sha256"))?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the host's port.
        let last = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[last..].split_once(':') {
            Some((name, tag)) => (&rest[..last + name.len()], Some(tag)),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !legal_tag(tag)) {
            return Err(invalid("the tag has characters that no tag may have"));
        }
        let (host, path) = split_host(name);
        let path =
            if host == DEFAULT_HOST && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        if !legal_host(host) {
            return Err(invalid("the host is not legal"));
        }
        if !legal_path(&path) {
            return Err(invalid("the path has characters that no repository may have"));
        }
        Ok(Reference { host: host.to_owned(), path, tag: tag.map(str::to_owned), digest })
    }
}

fn split_host(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some(("index.docker.io", path)) => (DEFAULT_HOST, path),
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => (DEFAULT_HOST, name),
    }
}

fn legal_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let name_ok = name.split('.').all(|label| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    });
    name_ok && port.is_none_or(|port| !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a registry takes this as a repository's path, or as the beginning of one.
pub fn legal_path(path: &str) -> bool {
    path.len() <= 255 && path.split('/').all(legal_component)
}

/// Letters and digits, with a dot, one or two underscores or any number of dashes between them.
fn legal_component(component: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separators = component.split(plain).filter(|run| !run.is_empty());
    component.starts_with(plain)
        && component.ends_with(plain)
        && separators.all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-'))
}

fn legal_tag(tag: &str) -> bool {
    let mut bytes = tag.bytes();
    tag.len() <= 128
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_made_explicit() {
        let hex = "a".repeat(64);
        for (text, expected) in [
            ("busybox", "docker.io/library/busybox".to_owned()),
            ("busybox:1.36", "docker.io/library/busybox:1.36".to_owned()),
            ("minio/mc:x", "docker.io/minio/mc:x".to_owned()),
            ("quay.io/minio/minio:RELEASE.2024", "quay.io/minio/minio:RELEASE.2024".to_owned()),
            ("localhost:5000/a", "localhost:5000/a".to_owned()),
            ("h.io:1/a/b:7", "h.io:1/a/b:7".to_owned()),
            (&format!("a/b:t@sha256:{hex}"), format!("docker.io/a/b:t@sha256:{hex}")),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "",
            ":",
            "a:",
            "/a",
            "a/",
            "A/b",
            "a b",
            "a@b",
            "a@sha256:1",
            "quay.io/x:bad tag",
            "h.io:/a",
            "a//b",
            "a._b",
            "a-_b",
            "a___b",
            "a..b",
            "a-",
            "a.-b",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn floating_references_are_known() {
        for (text, floats) in [("a", true), ("a:latest", true), ("a:1", false)] {
            assert_eq!(text.parse::<Reference>().unwrap().floats(), floats, "{text}");
        }
    }
}
