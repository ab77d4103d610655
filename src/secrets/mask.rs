//! Hides secrets in texts that people and logs get to see: as they are, line by line, and in the encodings that tools
//! print them in. Must not print anything itself.

use std::collections::BTreeSet;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use zeroize::Zeroizing;

use super::percent;
use super::{Revealed, base64_cores};

/// What stands in a secret's place.
pub const MASK: &str = "******";
/// Shorter secrets are not hidden: `1` or `yes` would blank half of every text, and hide nothing.
pub const SHORTEST: usize = 4;
/// Shorter lines of longer secrets are not hidden on their own, such as a `}`.
const SHORTEST_LINE: usize = 6;
/// Shorter parts of base64 say too little about a secret, and stand in innocent texts too.
const SHORTEST_CORE: usize = 6;

/// Knows how secrets look.
#[derive(Default)]
pub struct Masker {
    forms: Vec<Zeroizing<String>>,
}

impl Masker {
    /// Hides all that was revealed, but for texts that are no secret: names that the definition itself spells out.
    pub fn new(revealed: &Revealed, public: &BTreeSet<&str>) -> Masker {
        let mut forms = BTreeSet::new();
        for (_, secret) in revealed.iter().filter(|(_, secret)| !public.contains(secret)) {
            collect(secret, SHORTEST, &mut forms);
            collect(secret.trim(), SHORTEST, &mut forms);
            for line in secret.lines().map(str::trim).filter(|line| secret.contains('\n') && !line.starts_with("-----"))
            {
                collect(line, SHORTEST_LINE, &mut forms);
            }
        }
        Masker { forms: forms.into_iter().map(Zeroizing::new).collect() }
    }

    /// The text with every secret hidden. Places that overlap are hidden as one, so that no end of a secret is left.
    pub fn hide(&self, text: &str) -> String {
        let mut places: Vec<Range<usize>> = Vec::new();
        for form in &self.forms {
            let mut from = 0;
            while let Some(at) = text[from..].find(form.as_str()) {
                let start = from + at;
                places.push(start..start + form.len());
                // The next may begin inside this one.
                from = start + text[start..].chars().next().map_or(1, char::len_utf8);
            }
        }
        places.extend(percent::places(&self.forms, text));
        places.sort_by_key(|place| (place.start, place.end));
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for place in places {
            if place.start >= done {
                out.push_str(&text[done..place.start]);
                out.push_str(MASK);
            }
            done = done.max(place.end);
        }
        out.push_str(&text[done..]);
        out
    }
}

/// The ways a text is printed.
fn collect(secret: &str, shortest: usize, forms: &mut BTreeSet<String>) {
    if secret.chars().count() < shortest {
        return;
    }
    let json = quoted(secret);
    let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
    forms.extend([
        secret.to_owned(),
        // As JSON and Go's `%q` write it, as Go's encoder does for HTML, and both once more inside a JSON string.
        quoted(&json),
        quoted(&go_json(&json)),
        go_json(&json),
        // As YAML writes it in single quotes.
        secret.replace('\'', "''"),
        ascii_json(&json),
        json,
        hex.to_uppercase(),
        hex,
        STANDARD.encode(secret),
        URL_SAFE.encode(secret),
    ]);
    forms.extend(as_number(secret).into_iter().filter(|form| form.len() >= shortest));
    for core in base64_cores(secret.as_bytes()).into_iter().filter(|core| core.len() >= SHORTEST_CORE) {
        forms.insert(core.replace('+', "-").replace('/', "_"));
        forms.insert(core);
    }
}

/// As a YAML reader that takes it for a number hands it on, and Go prints that.
fn as_number(secret: &str) -> Vec<String> {
    let plain = secret.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let Some(number) = secret.parse::<f64>().ok().filter(|number| plain && number.is_finite()) else {
        return Vec::new();
    };
    let (mantissa, exponent) = {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        (mantissa.to_owned(), exponent.parse::<i32>().unwrap_or(0))
    };
    let sign = if exponent < 0 { '-' } else { '+' };
    let mut forms = vec![number.to_string(), format!("{mantissa}e{sign}{:02}", exponent.abs())];
    // A number that begins with a zero is octal to YAML 1.1.
    let octal = secret.strip_prefix('0').and_then(|digits| u64::from_str_radix(digits, 8).ok());
    forms.extend(octal.map(|number| number.to_string()));
    forms
}

/// As inside the quotes of a JSON string.
fn quoted(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// With everything beyond ASCII escaped, as Python does.
fn ascii_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}

/// Go's JSON encoder escapes what HTML would read.
fn go_json(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::substitute::percent_encoded;

    fn masker(secrets: serde_json::Value) -> Masker {
        Masker::new(&Revealed::from_json(secrets), &BTreeSet::from(["minio"]))
    }

    const HARD: &str = "pa\"ss<w>'o: r&d\\x é";

    /// Of digits alone, not in quotes: helm hands it to the API server as a number, and that quotes it.
    #[test]
    fn what_a_secret_becomes_as_a_number_is_hidden() {
        let hidden = |secret: &str, said: &str| masker(serde_json::json!({"s": secret})).hide(said);
        let go = "expected string, got &value.valueUnstructured{Value:1.4466064695291695e+23}";
        assert_eq!(
            hidden("144660646952916955306012", go),
            "expected string, got &value.valueUnstructured{Value:******}"
        );
        assert_eq!(hidden("00001234", "got 668, 1234"), "got 668, ******");
        assert_eq!(hidden("0012345670", "got 2739128"), "got ******");
        assert_eq!(hidden("1e400", "inf 0"), "inf 0");
        assert_eq!(hidden("word", "0 NaN"), "0 NaN");
    }

    #[test]
    fn every_form_is_hidden() {
        let masker = masker(serde_json::json!({"a": HARD}));
        let encoded = |before: &str| STANDARD.encode(format!("{before}{HARD}&after"));
        for form in [
            HARD.to_owned(),
            serde_json::Value::from(HARD).to_string(),
            serde_json::Value::from(serde_json::json!({"p": HARD}).to_string()).to_string(),
            "pa\\\"ss\\u003cw\\u003e'o: r\\u0026d\\\\x é".to_owned(),
            "'pa\"ss<w>''o: r&d\\x é'".to_owned(),
            percent_encoded(HARD),
            percent_encoded(HARD).replace("%20", "+").to_lowercase(),
            HARD.bytes().map(|b| format!("%{b:02x}")).collect(),
            "pa\\\"ss<w>'o: r&d\\\\x \\u00e9".to_owned(),
            HARD.bytes().map(|b| format!("{b:02x}")).collect(),
            encoded(""),
            encoded("a"),
            encoded("ab"),
        ] {
            let hidden = masker.hide(&format!("before {form} after"));
            assert!(hidden.contains(MASK) && hidden.starts_with("before ") && hidden.ends_with(" after"), "{hidden}");
            assert!(!hidden.contains("ss") && !hidden.contains("cGFz"), "{form}: {hidden}");
        }
    }

    #[test]
    fn lines_overlaps_and_what_is_left_alone() {
        let pem = "-----BEGIN KEY-----\nAAAABBBBCCCC\nDDDD\n-----END KEY-----\n";
        let masker = masker(serde_json::json!({"a": pem, "b": "abcdef", "c": "cdefgh", "d": "yes", "e": "minio"}));
        assert_eq!(masker.hide("got AAAABBBBCCCC of -----BEGIN KEY-----"), "got ****** of -----BEGIN KEY-----");
        assert_eq!(masker.hide("xabcdefghx abcdefabcdef"), "x******x ************");
        assert_eq!(masker.hide("yes, minio DDDD é"), "yes, minio DDDD é");
        assert_eq!(Masker::default().hide("abcdef"), "abcdef");
    }
}
