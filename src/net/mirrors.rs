//! Which address stands in for which: `FROM=TO` rules, the longest match first, `*` last. Pure: must not reach
//! anything.

use url::Url;

const ANY: &str = "*";

/// Rules that send sources to other addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors {
    rules: Vec<Rule>,
    any: Option<Url>,
}

/// A text that is no mirror rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a mirror: `{text}`: {reason}")]
pub struct InvalidMirror {
    /// What was written.
    pub text: String,
    /// Why it is none.
    pub reason: &'static str,
}

/// Where a repository is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Scheme, host and port; `None` when no rule is for it and the host's own is meant.
    pub base: Option<Url>,
    /// The repository's path there, which stands between `/v2/` and `/manifests/`.
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// `http`, `https` or `oci`; none for a bare host, which stands for all three.
    scheme: Option<String>,
    /// Host with its port, and below it a path without slashes at its ends.
    authority: String,
    path: String,
    to: Url,
}

impl Mirrors {
    /// Reads `FROM=TO` rules: FROM is `*`, a host, or an `https://`, `http://` or `oci://` prefix; TO is a URL.
    ///
    /// # Errors
    /// [`InvalidMirror`] naming the rule.
    pub fn parse<T: AsRef<str>>(rules: impl IntoIterator<Item = T>) -> Result<Mirrors, InvalidMirror> {
        let mut mirrors = Mirrors::default();
        for text in rules {
            mirrors.add(text.as_ref())?;
        }
        Ok(mirrors)
    }

    /// Whether nothing may go anywhere but to a mirror: there is a rule for everything.
    pub fn sealed(&self) -> bool {
        self.any.is_some()
    }

    /// Where a web address is asked for.
    pub fn web(&self, url: &Url) -> Url {
        let authority = authority(url);
        let path = url.path().trim_start_matches('/');
        let mut found = match self.rule(url.scheme(), &authority, path) {
            Some((rule, rest)) => below(&rule.to, rest),
            None => match &self.any {
                Some(to) => below(to, &format!("{authority}/{path}")),
                None => return url.clone(),
            },
        };
        found.set_query(url.query());
        found
    }

    /// Where a server may send us on to, from a redirect or a token's realm: a mirror's own address stays as it is.
    pub fn onward(&self, url: Url) -> Url {
        if self.holds(&url) { url } else { self.web(&url) }
    }

    /// Whether a URL is on one of the mirrors.
    pub(super) fn holds(&self, url: &Url) -> bool {
        let target = authority(url);
        let is_here = |to: &Url| authority(to) == target && to.scheme() == url.scheme();
        self.any.iter().chain(self.rules.iter().map(|rule| &rule.to)).any(is_here)
    }

    /// Where a repository is asked for.
    pub fn repository(&self, host: &str, path: &str) -> Address {
        let host = host.strip_suffix(":443").unwrap_or(host);
        let (to, rest) = match self.rule("oci", host, path) {
            Some((rule, rest)) => (&rule.to, rest.to_owned()),
            None => match &self.any {
                Some(to) => (to, format!("{host}/{path}")),
                None => return Address { base: None, path: path.to_owned() },
            },
        };
        let path = match to.path().trim_matches('/') {
            "" => rest,
            prefix => format!("{prefix}/{rest}"),
        };
        let mut base = to.clone();
        base.set_path("");
        Address { base: Some(base), path }
    }

    fn add(&mut self, text: &str) -> Result<(), InvalidMirror> {
        let invalid = |reason| InvalidMirror { text: text.to_owned(), reason };
        let (from, to) = text.split_once('=').ok_or_else(|| invalid("write it as FROM=TO"))?;
        let to = Url::parse(to.trim()).map_err(|_| invalid("TO is no URL"))?;
        if !matches!(to.scheme(), "http" | "https") || !to.has_host() {
            return Err(invalid("TO must begin with http:// or https://"));
        }
        if to.query().is_some() || to.fragment().is_some() {
            return Err(invalid("TO must be an address without query and fragment"));
        }
        if from.trim() == ANY {
            self.any = Some(to);
            return Ok(());
        }
        let (scheme, authority, path) = source(from.trim()).map_err(invalid)?;
        self.rules.push(Rule { scheme, authority, path, to });
        Ok(())
    }

    /// The rule with the longest match, and what lies below its path.
    fn rule<'a>(&self, scheme: &str, authority: &str, path: &'a str) -> Option<(&Rule, &'a str)> {
        let matching = |rule: &'_ Rule| {
            let same = rule.scheme.as_deref().is_none_or(|own| own == scheme) && rule.authority == authority;
            same.then(|| under(path, &rule.path)).flatten()
        };
        let all = self.rules.iter().filter_map(|rule| Some((rule, matching(rule)?)));
        all.max_by_key(|(rule, _)| (rule.path.len(), rule.scheme.is_some()))
    }
}

/// Takes FROM apart into scheme, host with port, and path.
fn source(from: &str) -> Result<(Option<String>, String, String), &'static str> {
    let (scheme, rest) = match from.split_once("://") {
        Some((scheme @ ("http" | "https" | "oci"), rest)) => (Some(scheme.to_owned()), rest),
        Some(_) => return Err("FROM must be `*`, a host, or begin with https://, http:// or oci://"),
        None => (None, from),
    };
    // The URL parser makes hosts comparable: lowercase, the scheme's own port left out.
    let like = if scheme.as_deref() == Some("http") { "http" } else { "https" };
    let url = Url::parse(&format!("{like}://{rest}")).map_err(|_| "FROM is neither a host nor a URL")?;
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err("FROM must be an address without login, query and fragment");
    }
    let host = authority(&url);
    let host = if host == "index.docker.io" { "docker.io".to_owned() } else { host };
    Ok((scheme, host, url.path().trim_matches('/').to_owned()))
}

/// Host, and the port where it is not the scheme's own.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn under<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    if prefix.is_empty() {
        return Some(path);
    }
    let rest = path.strip_prefix(prefix)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

fn below(to: &Url, rest: &str) -> Url {
    let mut url = to.clone();
    let base = to.path().trim_end_matches('/');
    url.set_path(&format!("{base}/{rest}"));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(rules: &[&str], url: &str) -> String {
        Mirrors::parse(rules).unwrap().web(&Url::parse(url).unwrap()).to_string()
    }

    fn repository(rules: &[&str], host: &str, path: &str) -> (Option<String>, String) {
        let address = Mirrors::parse(rules).unwrap().repository(host, path);
        (address.base.map(|base| base.to_string()), address.path)
    }

    #[test]
    fn web_addresses() {
        for (rules, url, expected) in [
            (&[][..], "https://h/p", "https://h/p"),
            (&["*=http://m:1"], "https://charts.min.io/a/b.tgz?x=1", "http://m:1/charts.min.io/a/b.tgz?x=1"),
            (&["*=http://m:1/up"], "https://h:8443/p", "http://m:1/up/h:8443/p"),
            (&["charts.min.io=http://m:1/a"], "https://charts.min.io/p/q", "http://m:1/a/p/q"),
            (&["charts.min.io=http://m:1/a"], "https://charts.min.io.evil/p", "https://charts.min.io.evil/p"),
            (&["https://charts.min.io/=http://m:1/b/"], "https://charts.min.io/p", "http://m:1/b/p"),
            (&["https://h/a=http://m:1"], "https://h/a/b", "http://m:1/b"),
            (&["https://h/a=http://m:1"], "https://h/ab", "https://h/ab"),
            (&["https://h/a=http://m:1"], "http://h/a/b", "http://h/a/b"),
            (&["oci://h=http://m:1"], "https://h/a", "https://h/a"),
            (&["h=http://m:1", "https://h/a=http://n:2", "*=http://o:3"], "https://h/a/b", "http://n:2/b"),
            (&["h=http://m:1", "https://h/a=http://n:2", "*=http://o:3"], "https://h/b", "http://m:1/b"),
            (&["h=http://m:1", "*=http://o:3"], "https://i/b", "http://o:3/i/b"),
            (&["H:443=http://m:1"], "https://h/x%20y", "http://m:1/x%20y"),
        ] {
            assert_eq!(web(rules, url), expected, "{rules:?} {url}");
        }
    }

    #[test]
    fn repositories() {
        for (rules, host, path, base, there) in [
            (&[][..], "quay.io", "a/b", None, "a/b"),
            (&["*=http://m:1"], "quay.io", "a/b", Some("http://m:1/"), "quay.io/a/b"),
            (&["*=http://m:1/up"], "docker.io", "library/x", Some("http://m:1/"), "up/docker.io/library/x"),
            (&["quay.io=http://m:1/quay"], "quay.io", "a/b", Some("http://m:1/"), "quay/a/b"),
            (&["oci://quay.io/a=https://m/z"], "quay.io", "a/b", Some("https://m/"), "z/b"),
            (&["oci://quay.io/a=https://m/z"], "quay.io", "ab", None, "ab"),
            (&["https://quay.io/=http://m:1"], "quay.io", "a/b", None, "a/b"),
            (&["index.docker.io=http://m:1"], "docker.io", "library/x", Some("http://m:1/"), "library/x"),
        ] {
            assert_eq!(repository(rules, host, path), (base.map(str::to_owned), there.to_owned()), "{rules:?}");
        }
    }

    #[test]
    fn nothing_leaves_a_sealed_place() {
        let mirrors = Mirrors::parse(["*=http://m:1"]).unwrap();
        assert!(mirrors.sealed());
        let onward = |url: &str| mirrors.onward(Url::parse(url).unwrap()).to_string();
        assert_eq!(onward("https://cdn.example/x?y"), "http://m:1/cdn.example/x?y");
        assert_eq!(onward("http://m:1/token?service=m"), "http://m:1/token?service=m");
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in
            ["", "x", "=http://m", "x=", "x=m:1", "x=ftp://m", "ftp://x=http://m", "x=http://m?q", "a b=http://m"]
        {
            assert!(Mirrors::parse([text]).is_err(), "{text}");
        }
    }
}
