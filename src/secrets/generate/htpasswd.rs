//! A line of an htpasswd file, with bcrypt, as Apache, nginx and Go's servers read it.

use bcrypt::Version;
use zeroize::Zeroizing;

use super::GenerateError;
use crate::secrets::random::Source;

/// The work factor: Apache's `htpasswd -B` takes 5, which is too little today; more than 12 slows every request.
const COST: u32 = 10;
/// bcrypt takes no more bytes, its closing zero included.
const LONGEST: usize = 71;

/// The line `user:$2y$…`; `name` is the password's own, for errors.
pub(super) fn line(user: &str, name: &str, password: &str, random: Source) -> Result<Zeroizing<String>, GenerateError> {
    if user.contains([':', '\n', '\r']) {
        return Err(GenerateError::User(user.to_owned()));
    }
    if password.len() > LONGEST {
        return Err(GenerateError::Password(name.to_owned()));
    }
    let mut salt = [0; 16];
    random(&mut salt)?;
    let too_long = |_| GenerateError::Password(name.to_owned());
    let hash = bcrypt::hash_with_salt(password, COST, salt).map_err(too_long)?;
    Ok(Zeroizing::new(format!("{user}:{}", hash.format_for_version(Version::TwoY))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::random;

    #[test]
    fn a_line_checks_its_password_and_no_other() {
        let line = line("admin", "x", "hush", &mut random::system).unwrap();
        let (user, hash) = line.split_once(':').unwrap();
        assert_eq!(user, "admin");
        assert!(hash.starts_with("$2y$10$") && hash.len() == 60);
        assert!(bcrypt::verify("hush", hash).unwrap());
        assert!(!bcrypt::verify("hash", hash).unwrap());
    }

    #[test]
    fn what_bcrypt_or_the_format_would_cut_is_refused() {
        let long = "x".repeat(72);
        let error = line("admin", "a.password", &long, &mut random::system).unwrap_err();
        assert_eq!(error.to_string(), "the password `a.password` is longer than the 71 bytes that bcrypt takes");
        assert!(line("a:b", "x", "hush", &mut random::system).is_err());
        assert!(line("admin", "x", &long[1..], &mut random::system).is_ok());
    }
}
