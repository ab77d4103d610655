//! How images are called on a screen: as upstream has them, with as much of a digest as people compare.

use std::collections::BTreeMap;

use crate::image::Site;

/// Hexadecimal digits of a digest that are shown.
const DIGITS: usize = 12;

/// Names of images.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// What each is called where it is pulled, and upstream.
    known: BTreeMap<String, String>,
    /// Sites whose address is left out.
    sites: Vec<String>,
}

impl Names {
    /// From what images are called where they are pulled, and upstream; and from the sites they are pulled from.
    pub fn new(known: impl IntoIterator<Item = (String, String)>, sites: impl IntoIterator<Item = Site>) -> Names {
        let below = |site: Site| match site.prefix.trim_matches('/') {
            "" => format!("{}/", site.address),
            prefix => format!("{}/{prefix}/", site.address),
        };
        Names { known: known.into_iter().collect(), sites: sites.into_iter().map(below).collect() }
    }

    /// A text as a screen shows it.
    pub fn shown(&self, text: &str) -> String {
        if !text.contains("sha256:") && !self.sites.iter().any(|site| text.contains(site)) {
            return text.to_owned();
        }
        let mut text = text.to_owned();
        for (pulled, upstream) in &self.known {
            if text.contains(pulled.as_str()) {
                text = text.replace(pulled.as_str(), upstream);
            }
        }
        shortened(&self.sites.iter().fold(text, |text, site| text.replace(site.as_str(), "")))
    }

    /// Two texts as a screen shows them; where that makes them the same, their digests stay.
    pub fn both(&self, old: &str, new: &str) -> (String, String) {
        let shown = (self.shown(old), self.shown(new));
        if shown.0 != shown.1 {
            return shown;
        }
        let digests = (shortened(old), shortened(new));
        if digests.0 != digests.1 { digests } else { (old.to_owned(), new.to_owned()) }
    }
}

/// Digests cut to what people compare.
fn shortened(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("sha256:") {
        let digits = after.bytes().take_while(u8::is_ascii_hexdigit).count();
        out.push_str(before);
        out.push_str("sha256:");
        let kept = if digits == 64 { DIGITS } else { digits };
        out.push_str(&after[..kept]);
        out.push_str(if digits == 64 { "…" } else { "" });
        rest = &after[digits..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_called_as_upstream() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let pulled = |hex: &str| format!("site:5000/mirror/one.example/web@sha256:{hex}");
        let site = Site { address: "site:5000".to_owned(), prefix: "mirror".to_owned() };
        let names = Names::new([(pulled(&a), "one.example/web:1.0".to_owned())], [site]);
        assert_eq!(names.shown(&pulled(&a)), "one.example/web:1.0");
        assert_eq!(names.shown(&format!("x {}!", pulled(&b))), "x one.example/web@sha256:bbbbbbbbbbbb…!");
        let both = names.both(&format!("site:5000/mirror/x@sha256:{a}"), &format!("other/x@sha256:{a}"));
        assert_eq!(both, ("x@sha256:aaaaaaaaaaaa…".to_owned(), "other/x@sha256:aaaaaaaaaaaa…".to_owned()));
        assert_eq!(names.shown("sha256:abc"), "sha256:abc");
    }
}
