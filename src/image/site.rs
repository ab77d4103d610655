//! The name an image has at the site: `<registry>/<prefix>/<original host>/<path>`. The whole original name is
//! kept, so that two images never share one, and it is one that every registry takes.

use super::Reference;
use crate::digest::Digest;

/// What clients and registries take of a name with its registry's address.
const LONGEST: usize = 255;
/// Where images lie whose own name would be too long, or read like another one. No host is called that: a host has a
/// dot, a port, or is `localhost`.
const BY_DIGEST: &str = "long";

/// The site's registry, as the environment declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Host and port.
    pub address: String,
    /// Path below which everything lies; may be empty.
    pub prefix: String,
}

impl Site {
    /// The repository's path inside the site registry. A port's colon is not legal in a path and becomes a dash. Where
    /// the whole would be too long, or read like another, it is `long/<sha256 of the name>/<last part of the name>`.
    pub fn path(&self, image: &Reference) -> String {
        let host = image.host.to_lowercase();
        let plain = match host.split_once(':') {
            Some((name, port)) => Some(format!("{name}-{port}")),
            None if ends_like_a_port(&host) => None,
            None => Some(host.clone()),
        };
        let plain = plain.map(|host| self.below(&format!("{host}/{}", image.path)));
        if let Some(path) = plain.filter(|path| self.fits(path)) {
            return path;
        }
        let hex = Digest::of(format!("{host}/{}", image.path)).hex();
        let last = image.path.rsplit('/').next().unwrap_or_default();
        let named = self.below(&format!("{BY_DIGEST}/{hex}/{last}"));
        if self.fits(&named) { named } else { self.below(&format!("{BY_DIGEST}/{hex}")) }
    }

    fn below(&self, path: &str) -> String {
        match self.prefix.trim_matches('/') {
            "" => path.to_owned(),
            prefix => format!("{prefix}/{path}"),
        }
    }

    fn fits(&self, path: &str) -> bool {
        self.address.len() + 1 + path.len() <= LONGEST
    }

    /// The repository with the registry's address.
    pub fn repository(&self, image: &Reference) -> String {
        format!("{}/{}", self.address, self.path(image))
    }

    /// The reference pods are given.
    pub fn pinned(&self, image: &Reference, digest: &Digest) -> String {
        format!("{}@{digest}", self.repository(image))
    }

    /// Whether a text already points into the site registry.
    pub fn holds(&self, text: &str) -> bool {
        text.strip_prefix(&self.address).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The tag an image gets at the site: its own, or one made of its digest, because registries collect
    /// manifests without a tag.
    pub fn tag(image: &Reference) -> String {
        match (&image.tag, &image.digest) {
            (Some(tag), _) => tag.clone(),
            (None, Some(digest)) => Site::tag_of(digest),
            (None, None) => "latest".to_owned(),
        }
    }

    /// A tag that only this digest has. Not `sha256-…`: there, clients look for signatures.
    pub fn tag_of(digest: &Digest) -> String {
        format!("pinned-{}", digest.hex())
    }
}

/// `h.io-5000` is how `h.io:5000` is written at the site.
fn ends_like_a_port(host: &str) -> bool {
    let port = host.rsplit_once('-').map(|(_, port)| port);
    port.is_some_and(|port| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_name_is_kept_whole() {
        let site = Site { address: "r.internal:5000".into(), prefix: "mirror".into() };
        let image: Reference = "localhost:5000/a/b:1".parse().unwrap();
        assert_eq!(site.repository(&image), "r.internal:5000/mirror/localhost-5000/a/b");
        assert!(site.holds("r.internal:5000/x"));
        assert!(!site.holds("r.internal:50001/x"));
    }

    /// Names that differ in as little as can be: of these parts, in this many ways.
    fn names() -> Vec<Reference> {
        let hosts = [
            "",
            "h.io",
            "H.io",
            "h.io:5000",
            "h.io-5000",
            "h.io-5000:5000",
            "h.io-5000-5000",
            "h-5000.io",
            "localhost",
            "localhost:5000",
            "localhost-5000.x",
            "long:64",
            "xn--h.io",
            "h.io:5",
            "h.io-5",
            "127.0.0.1:5000",
            "h.io-500000",
        ];
        let long = ["a".repeat(200), "b-c/".repeat(50) + "d", "long/x".to_owned()];
        let mut paths: Vec<String> =
            ["a", "a/b", "a__b", "a_b", "a-b", "a--b", "a.b", "a/b/c", "5000/a", "h.io/a", "localhost-5000/a"]
                .map(str::to_owned)
                .into();
        paths.extend(long.clone());
        paths.extend(long.map(|path| path + "/e"));
        let one = |host: &str, path: &str| format!("{host}{}{path}", if host.is_empty() { "" } else { "/" });
        let all = hosts.iter().flat_map(|host| paths.iter().map(move |path| one(host, path)));
        all.filter_map(|text| text.parse().ok()).collect()
    }

    /// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` of the specification, read anew.
    fn legal(component: &str) -> bool {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let ends = component.starts_with(plain) && component.ends_with(plain);
        let mut separators = component.split(plain).filter(|run| !run.is_empty());
        ends && separators.all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-'))
    }

    #[test]
    fn every_name_is_legal_and_its_own() {
        let names = names();
        assert!(names.len() > 200, "{}", names.len());
        for prefix in ["", "mirror", "/a/b-c/", &"p".repeat(100)] {
            let site = Site { address: "registry.site.example:5000".into(), prefix: prefix.into() };
            let mut seen = std::collections::BTreeMap::new();
            for image in &names {
                let path = site.path(image);
                assert!(path.split('/').all(legal), "{image} becomes {path}");
                assert!(site.address.len() + 1 + path.len() <= 255, "{image} becomes {path}");
                assert!(format!("r.io/{path}").parse::<Reference>().is_ok(), "{path}");
                let own = format!("{}/{}", image.host.to_lowercase(), image.path);
                assert_eq!(*seen.entry(path).or_insert(own.clone()), own, "two names share a repository");
            }
        }
    }

    #[test]
    fn what_would_read_like_another_lies_by_its_digest() {
        let site = Site { address: "r:5000".into(), prefix: "m".into() };
        let path = |text: &str| site.path(&text.parse().unwrap());
        assert_eq!(path("h.io:5000/a/b"), "m/h.io-5000/a/b");
        let twin = path("h.io-5000/a/b");
        assert!(twin.starts_with("m/long/") && twin.ends_with("/b") && twin.len() == "m/long//b".len() + 64, "{twin}");
        let long = format!("h.io/{}/name", "x".repeat(240));
        assert!(path(&long).ends_with("/name"), "the last part stays, for those who join it: {}", path(&long));
    }

    #[test]
    fn tags_are_legal() {
        let digest = Digest::of("x");
        for text in ["a:1".to_owned(), "a".to_owned(), format!("a@{digest}"), format!("a:1@{digest}")] {
            let image: Reference = text.parse().unwrap();
            let tag = Site::tag(&image);
            assert!(format!("a:{tag}").parse::<Reference>().is_ok(), "{tag}");
        }
    }
}
