//! What a registry wants before it lets us in: the `WWW-Authenticate` header. Pure.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// The challenge of an answer; a token is preferred to sending the password itself.
pub(super) fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let all: Vec<Challenge> = texts.flat_map(parse).collect();
    let bearer = all.iter().find(|challenge| matches!(challenge, Challenge::Bearer { .. }));
    bearer.or(all.first()).cloned()
}

/// One header value may hold several: `Bearer realm="…",service="…", Basic realm="…"`.
fn parse(text: &str) -> Vec<Challenge> {
    let mut all = Vec::new();
    let mut rest = text.trim_start_matches([' ', ',']);
    while let Some((scheme, after)) = word(rest) {
        let mut parameters = Vec::new();
        rest = after.trim_start_matches([' ', ',']);
        while let Some((key, value, after)) = parameter(rest) {
            parameters.push((key.to_ascii_lowercase(), value));
            rest = after.trim_start_matches([' ', ',']);
        }
        let get = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        if scheme.eq_ignore_ascii_case("basic") {
            all.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = get("realm")
        {
            all.push(Challenge::Bearer { realm, service: get("service"), scope: get("scope") });
        }
    }
    all
}

fn word(text: &str) -> Option<(&str, &str)> {
    let end = text.find([' ', ',', '=', '"']).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// `key="value"` or `key=value`, and what follows.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (key, rest) = word(text)?;
    let rest = rest.strip_prefix('=')?;
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([',', ' ']).unwrap_or(rest.len());
        return Some((key, rest[..end].to_owned(), &rest[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((key, value, &quoted[at + 1..])),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Challenge::Bearer { realm: realm.to_owned(), service: owned(service), scope: owned(scope) }
    }

    #[test]
    fn challenges_are_read() {
        for (text, expected) in [
            (
                r#"Bearer realm="https://auth.io/token",service="reg.io",scope="repository:a/b:pull,push""#,
                vec![bearer("https://auth.io/token", Some("reg.io"), Some("repository:a/b:pull,push"))],
            ),
            (r#"bearer Realm=https://a/t , service="x y""#, vec![bearer("https://a/t", Some("x y"), None)]),
            (r#"Basic realm="Registry Realm""#, vec![Challenge::Basic]),
            (
                r#"Basic realm="a\"b", Bearer realm="https://c""#,
                vec![Challenge::Basic, bearer("https://c", None, None)],
            ),
            ("Bearer service=x", vec![]),
            (r#"Bearer realm="open"#, vec![]),
            ("Negotiate", vec![]),
            ("", vec![]),
            ("=,=\"", vec![]),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
