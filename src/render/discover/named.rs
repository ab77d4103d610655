//! Whether a text alone looks like an image's name, and how much. What looks like one and never is (times, ports,
//! digests, taints, source code) is held out here, once.

use crate::image::Reference;

/// How much a text looks like an image's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// A registry, a path and a tag or digest: `quay.io/minio/minio:R`.
    Whole,
    /// A tag or digest, and no registry: `postgres:17`.
    Short,
    /// Neither tag nor digest: `proxyv2`, `quay.io/minio/minio`.
    Untagged,
}

/// What stands before every token of a secret: no image is called so.
const TOKEN: &str = "platctl-secret-";
/// What a taint does, written behind its key as a tag is.
const EFFECTS: [&str; 3] = ["NoSchedule", "NoExecute", "PreferNoSchedule"];
/// Hosts that serve source code under names like images'.
const CODE: [&str; 7] =
    ["github.com", "gitlab.com", "bitbucket.org", "golang.org", "gopkg.in", "k8s.io", "sigs.k8s.io"];
/// What digests begin with.
const ALGORITHMS: [&str; 4] = ["sha1", "sha256", "sha384", "sha512"];
/// Ends of file names.
const FILES: [&str; 16] = [
    "png", "jpg", "jpeg", "svg", "gif", "ico", "webp", "iso", "img", "raw", "qcow2", "vmdk", "tar", "tgz", "gz", "zip",
];

/// Reads a text as an image's name.
pub(super) fn named(text: &str) -> Option<(Reference, Look)> {
    if text.len() < 2 || text.len() > 512 || text.contains("://") || text.contains(TOKEN) {
        return None;
    }
    let image: Reference = text.parse().ok()?;
    let host = image.host.as_str();
    let bare = !text.contains('/');
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let last = image.path.rsplit('/').next().unwrap_or_default();
    let letters = if bare { last } else { &image.path }.bytes().any(|b| b.is_ascii_lowercase());
    if !letters || ALGORITHMS.contains(&last) && bare || CODE.contains(&host) {
        return None;
    }
    let whole = text.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']) || first == "localhost");
    let look = match (&image.tag, &image.digest) {
        (None, None) => Look::Untagged,
        (Some(tag), None) if EFFECTS.contains(&tag.as_str()) => return None,
        // `localhost:8080`, `db.example:5432`.
        (Some(tag), None) if bare && digits(tag) && (last.contains('.') || last == "localhost") => return None,
        _ if whole => Look::Whole,
        _ => Look::Short,
    };
    let file = last.rsplit_once('.').is_some_and(|(_, end)| FILES.contains(&end));
    if look == Look::Untagged && file { None } else { Some((image, look)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let look = |text: &str| named(text).map(|(_, look)| look);
        for text in [
            "quay.io/a/b:1",
            "registry.k8s.io/pause:3.10",
            "r:5000/a:latest",
            "localhost/a:x",
            &format!("q.io/a@{digest}"),
        ] {
            assert_eq!(look(text), Some(Look::Whole), "{text}");
        }
        for text in ["postgres:17", "a/b:1", &format!("a@{digest}")] {
            assert_eq!(look(text), Some(Look::Short), "{text}");
        }
        for text in ["proxyv2", "quay.io/a/b", "monitoring.coreos.com/v1"] {
            assert_eq!(look(text), Some(Look::Untagged), "{text}");
        }
        for text in [
            "https://quay.io/a/b:1",
            "oci://quay.io/a:1",
            &digest,
            "12:30",
            "1.2:3",
            "localhost:8080",
            "db.example:5432",
            "node.cilium.io/agent-not-ready:NoSchedule",
            "github.com/a/b:v1",
            "k8s.io/api:v1",
            "a@b.example",
            "logo.png",
            "a.example/db:platctl-secret-00000000000000000000000000000000",
            "system:serviceaccount:a:b",
            "{{ .x }}",
            "",
        ] {
            assert_eq!(look(text), None, "{text}");
        }
    }
}
