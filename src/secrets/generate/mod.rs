//! Making what releases declare: in which order, and each kind. Pure, apart from the system's randomness and the time
//! it is given. Must not write anything.

mod certificate;
mod htpasswd;

use std::collections::BTreeSet;
use std::time::SystemTime;

use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::random;
use crate::definition::{Declarations, Generate};

pub(super) use certificate::Pair;

/// Why a secret can't be made. Holds no value.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The system gives no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] std::io::Error),
    /// What it is made of is not there.
    #[error("it is made of `{0}`, which is not there")]
    Missing(String),
    /// The authority's certificate or key can't be read.
    #[error("the authority `{0}` has no certificate and key in PEM that can be used")]
    Authority(String),
    /// A name that no certificate can hold.
    #[error("a certificate can't be made for these names: {0}")]
    Names(String),
    /// The user's name would end the field.
    #[error("the user `{0}` has a colon or a line break, which htpasswd can't hold")]
    User(String),
    /// The password is cut by bcrypt.
    #[error("the password `{0}` is longer than the 71 bytes that bcrypt takes")]
    Password(String),
}

/// What was made.
pub enum Made {
    /// One text.
    Text(Zeroizing<String>),
    /// A certificate with its key and its authority.
    Pair(Pair),
}

impl Made {
    /// As it stands in the file. The result holds values: wipe its bytes.
    pub fn to_json(&self) -> Json {
        match self {
            Made::Text(text) => Json::from(text.as_str()),
            Made::Pair(pair) => serde_json::json!({
                "cert": pair.cert.as_str(), "key": pair.key.as_str(), "ca": pair.ca.as_str(),
            }),
        }
    }

    /// A text of it: the whole, or one of its parts.
    pub fn text(&self, part: Option<&str>) -> Option<&str> {
        match (self, part) {
            (Made::Text(text), None) => Some(text),
            (Made::Pair(pair), Some("cert")) => Some(&pair.cert),
            (Made::Pair(pair), Some("key")) => Some(&pair.key),
            (Made::Pair(pair), Some("ca")) => Some(&pair.ca),
            _ => None,
        }
    }
}

/// Makes a secret. `known` gives the values it is made of: of those that are there and those made before.
///
/// # Errors
/// [`GenerateError`].
pub fn make(
    generate: &Generate,
    known: &dyn Fn(&str) -> Option<Zeroizing<String>>,
    now: SystemTime,
) -> Result<Made, GenerateError> {
    match generate {
        Generate::Random { length, alphabet } => {
            Ok(Made::Text(random::text(alphabet.characters(), *length, &mut random::system)?))
        }
        Generate::Ca { common_name, days } => Ok(Made::Pair(certificate::authority(common_name, *days, now)?)),
        Generate::Tls { common_name, dns_names, ca, days } => {
            let part = |part: &str| known(&format!("{ca}.{part}"));
            let (cert, key) = part("cert").zip(part("key")).ok_or_else(|| GenerateError::Missing(ca.clone()))?;
            let authority = certificate::Authority { name: ca, cert: &cert, key: &key };
            Ok(Made::Pair(certificate::signed(&authority, common_name, dns_names, *days, now)?))
        }
        Generate::Htpasswd { user, password } => {
            let text = known(password).ok_or_else(|| GenerateError::Missing(password.clone()))?;
            Ok(Made::Text(htpasswd::line(user, password, &text, &mut random::system)?))
        }
    }
}

/// Of the names to be made, those that can be, each after what it is made of; `there` says what exists already.
pub fn missing_in_order<'d>(
    declarations: &'d Declarations,
    wanted: &BTreeSet<&'d str>,
    there: impl Fn(&str) -> bool,
) -> Vec<&'d str> {
    let mut open: BTreeSet<&str> = wanted.iter().copied().filter(|name| !there(name)).collect();
    // What something is made of is made too, even if no release asks for it by itself.
    let mut more: Vec<&str> = open.iter().copied().collect();
    while let Some(name) = more.pop() {
        let need = declarations.get(name).and_then(|declaration| declaration.generate.needs());
        let need = need.filter(|need| !there(need)).and_then(|need| declarations.get_key_value(need));
        if let Some((need, _)) = need
            && open.insert(need)
        {
            more.push(need);
        }
    }
    let mut ordered: Vec<&str> = Vec::new();
    loop {
        let ready = |name: &&str| {
            declarations.get(*name).is_some_and(|declaration| {
                declaration.generate.needs().is_none_or(|need| there(need) || ordered.contains(&need))
            })
        };
        let Some(next) = open.iter().copied().find(ready) else { return ordered };
        open.remove(next);
        ordered.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{Alphabet, Declaration};
    use crate::yaml::Span;

    fn declarations(all: &[(&str, Generate)]) -> Declarations {
        let declared = |generate: &Generate| Declaration { generate: generate.clone(), span: Span::default() };
        all.iter().map(|(name, generate)| ((*name).to_owned(), declared(generate))).collect()
    }

    fn tls(ca: &str) -> Generate {
        Generate::Tls { common_name: "x".into(), dns_names: vec!["x.svc".into()], ca: ca.into(), days: 10 }
    }

    fn htpasswd(password: &str) -> Generate {
        Generate::Htpasswd { user: "admin".into(), password: password.into() }
    }

    const RANDOM: Generate = Generate::Random { length: 16, alphabet: Alphabet::Hex };

    #[test]
    fn each_comes_after_what_it_is_made_of() {
        let all = declarations(&[
            ("a.tls", tls("z.ca")),
            ("b.line", htpasswd("y.password")),
            ("c.line", htpasswd("by.hand")),
            ("d.line", htpasswd("d.line")),
            ("y.password", RANDOM),
            ("z.ca", Generate::Ca { common_name: "Z".into(), days: 10 }),
        ]);
        let every: BTreeSet<&str> = all.keys().map(String::as_str).collect();
        let order = missing_in_order(&all, &every, |_| false);
        assert_eq!(order, ["y.password", "b.line", "z.ca", "a.tls"]);
        let order = missing_in_order(&all, &every, |name| name == "by.hand" || name == "z.ca");
        assert_eq!(order, ["a.tls", "c.line", "y.password", "b.line"]);
        // The authority is asked for by nobody but the certificate.
        assert_eq!(missing_in_order(&all, &BTreeSet::from(["a.tls"]), |_| false), ["z.ca", "a.tls"]);
        assert!(missing_in_order(&all, &every, |_| true).is_empty());
    }

    #[test]
    fn random_texts_have_the_length_and_the_alphabet() {
        for alphabet in [Alphabet::Alnum, Alphabet::Alpha, Alphabet::Digits, Alphabet::Hex, Alphabet::Unreserved] {
            let made = make(&Generate::Random { length: 500, alphabet }, &|_| None, SystemTime::now()).unwrap();
            let text = made.text(None).unwrap();
            assert_eq!(text.len(), 500);
            assert!(text.chars().all(|c| alphabet.characters().contains(c)));
            assert!(alphabet.characters().len() < 11 || text.chars().collect::<BTreeSet<_>>().len() > 10);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for generate in [tls("site.ca"), htpasswd("a.password")] {
            let need = generate.needs().unwrap().to_owned();
            let error = make(&generate, &|_| None, SystemTime::now()).err().unwrap();
            assert_eq!(error.to_string(), format!("it is made of `{need}`, which is not there"));
        }
    }
}
