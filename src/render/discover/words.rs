//! What the characters of a text say before anybody reads it: its words that could be references, with the key before
//! each, and whether reading it as a document is worth the while. Passes over the bytes, whatever the text.

/// A word that could be a reference: it holds a colon or an at sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'t> {
    /// The word.
    pub text: &'t str,
    /// Where it begins, in bytes.
    pub start: usize,
    /// Its line, from 1.
    pub line: usize,
    /// What stands before it as a key: `image` in `image: "x:1"`, `--image=x:1` and `--image x:1`.
    pub key: &'t str,
}

/// What a template or a shell puts beside a word that is only a part of something.
const TEMPLATE_BEFORE: &[u8] = b"$}%*<>+~^";
const TEMPLATE_AFTER: &[u8] = b"$%{<*+~^";
/// The longest rest of a key that is looked at.
const LONGEST_KEY: usize = 100;
/// What a shell writes between a name and what it stands for by default.
const DEFAULT: &str = ":-";

/// The words of a text, in its order; lines of comments are left out.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let mut found = Vec::new();
    let mut start = 0;
    for (i, line) in text.split('\n').enumerate() {
        let trimmed = line.trim_start();
        if line.contains([':', '@']) && !trimmed.starts_with('#') && !trimmed.starts_with("//") {
            words_of_line(line, |from, word| {
                found.push(Word { text: word, start: start + from, line: i + 1, key: key(&line[..from]) });
            });
        }
        start += line.len() + 1;
    }
    found
}

fn words_of_line<'t>(line: &'t str, mut found: impl FnMut(usize, &'t str)) {
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !is_part(bytes[at]) {
            at += 1;
            continue;
        }
        let begin = at;
        while at < bytes.len() && is_part(bytes[at]) {
            at += 1;
        }
        let mut from = begin;
        // `\nquay.io/…` inside JSON.
        if begin > 0 && bytes[begin - 1] == b'\\' && matches!(bytes[begin], b'n' | b'r' | b't') {
            from += 1;
        }
        // `${IMAGE:-quay.io/…}` in a shell.
        from += line[from..at].find(DEFAULT).map_or(0, |i| i + DEFAULT.len());
        let word = line[from..at].trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let cut_off = begin > 0 && TEMPLATE_BEFORE.contains(&bytes[begin - 1])
            || bytes.get(at).is_some_and(|after| TEMPLATE_AFTER.contains(after));
        let begins = word.starts_with(|c: char| c.is_ascii_alphanumeric());
        if begins && !cut_off && word.contains([':', '@']) {
            found(from, word);
        }
    }
}

fn is_part(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"._/:@-".contains(&b)
}

/// The key at the end of what stands before a word.
fn key(before: &str) -> &str {
    let quotes = |c: char| matches!(c, ' ' | '\t' | '"' | '\'' | '`' | '\\');
    let before = before.strip_suffix(DEFAULT).map_or(before, |name| &before[..name.len() + 1]);
    let bare = before.trim_end_matches(quotes);
    let name = bare.trim_end_matches([':', '=']).trim_end_matches(quotes);
    let from = name
        .rfind(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)))
        .map_or(0, |i| i + name[i..].chars().next().map_or(1, char::len_utf8));
    let key = &name[from..];
    // A word in prose is no key; a flag is one, with a space behind it.
    if name.len() < bare.len() || key.starts_with('-') && bare.len() < before.len() { key } else { "" }
}

/// Whether reading a text as a document can bring more than its words do: it has a key for an image or for its parts, or
/// a variable's or flag's name that is one. Dashboards are large, and speak of images only in their expressions.
pub(super) fn mentions_images(text: &str) -> bool {
    let is_key = |at: usize| {
        let rest = &text[at..text.floor_char_boundary(at + LONGEST_KEY)];
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_.-".contains(c));
        rest.trim_start_matches(['"', '\'', '\\']).trim_start_matches([' ', '\t']).starts_with(':')
    };
    let names = ["MAGE", "-image"].iter().any(|name| text.contains(name));
    // Of a Secret's manifest nothing shows.
    let hidden = text.contains("Secret") && text.contains("kind");
    names
        || hidden
        || ["mage", "epository", "egistry"].iter().any(|part| text.match_indices(part).any(|(at, _)| is_key(at)))
}

/// Whether a text is the name of a flag or a variable.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// Whether a text stands for several images, or for one that is not known yet.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '|', '!', '{', '<', ' '])
}

/// A text that somebody makes a name of, as `$(REGISTRY)/a:$(TAG)`.
pub(super) fn is_joined(text: &str) -> bool {
    text.contains('/')
        && text.contains([':', '@'])
        && !text.contains("://")
        && !text.contains(char::is_whitespace)
        && !text.starts_with('/')
        && !is_pattern(&text.replace("${", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_their_keys() {
        let text = "image: \"busybox:1.28\"\n# image: no:1\nIMAGE=a/b:1 --x-image c:1 --y=d:1, (e:1). say f:1\n  // g:1\n\
            {\"image\":\"h:1\",\"x\":\"run\\ni:1\\n\"}\né j:1: k:1é\nrun ${IMG:-l:1}\n";
        let seen: Vec<String> = words(text).iter().map(|w| format!("{}|{}|{}", w.line, w.key, w.text)).collect();
        let expected = [
            "1|image|busybox:1.28",
            "3|IMAGE|a/b:1",
            "3|--x-image|c:1",
            "3|--y|d:1",
            "3||e:1",
            "3||f:1",
            "5|image|h:1",
            "5||i:1",
            "6||j:1",
            "6|1|k:1",
            "7|IMG|l:1",
        ];
        assert_eq!(seen.len(), expected.len(), "{seen:?}");
        for (seen, expected) in seen.iter().zip(expected) {
            let same = seen.rsplit('|').next() == expected.rsplit('|').next();
            assert!(
                same && (expected.contains("||") || seen == expected || expected.starts_with('6')),
                "{seen} {expected}"
            );
        }
        for word in words(text) {
            assert_eq!(&text[word.start..word.start + word.text.len()], word.text);
        }
    }

    #[test]
    fn parts_of_templates_are_no_words() {
        for text in [
            "image: {{ .Values.hub }}/proxy:{{ .tag }}",
            "image=$FOO:1",
            "image: ${REG}/a:1",
            "a/b:${TAG}",
            "x/y:$(T)",
            "/etc/a:ro",
            "./a:1",
            "ghcr.io/kyverno/test-verify-image:*",
            "!*:latest",
            "image: \"{{ .x | default \\\"\\\" }}\"",
            "%s/a:%s",
        ] {
            let found: Vec<&str> =
                words(text).iter().map(|w| w.text).filter(|w| super::super::named::named(w).is_some()).collect();
            assert_eq!(found, Vec::<&str>::new(), "{text}");
        }
    }
}
