//! Whose bundles are taken, and with whose key one is signed: what the flags and the surroundings say of both. Every
//! verb opens its bundle here.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Context;
use crate::bundle::{Bundle, KeyFile, SigningKey, Trust};
use crate::surroundings::SIGN_PASSWORD;
use crate::ui::failure::{Code, Failure, Failures, Kind, exit};

/// Opens a bundle, if it is by somebody who is trusted; by anybody, if nobody is.
///
/// # Errors
/// [`Failures`].
pub fn open(context: &Context, path: &Path) -> Result<Bundle, Failures> {
    Ok(Bundle::trusted(path, &keys(context)?)?)
}

/// The keys whose bundles are taken.
///
/// # Errors
/// [`Failures`] for a key that can't be read.
pub fn keys(context: &Context) -> Result<Trust, Failures> {
    let mut files: Vec<PathBuf> = context.global.trust_key.clone();
    files.extend(
        context.surroundings.trust_keys.iter().filter(|file| !context.global.trust_key.contains(file)).cloned(),
    );
    Ok(Trust::read(&files, &context.surroundings.trust_folders).map_err(crate::bundle::Error::Trust)?)
}

/// The key to sign with. Its password, if it has one, is that of the surroundings, else the terminal is asked.
///
/// # Errors
/// [`Failures`] for a file that is no key, and for the wrong password.
pub fn signing_key(context: &Context, path: &Path) -> Result<SigningKey, Failures> {
    let file = KeyFile::read(path)?;
    let password = match (&context.surroundings.sign_password, file.is_encrypted()) {
        (_, false) => Zeroizing::default(),
        (Some(password), true) => Zeroizing::new(password.0.clone()),
        (None, true) => asked(context, path)?,
    };
    Ok(file.open(&password)?)
}

fn asked(context: &Context, path: &Path) -> Result<Zeroizing<String>, Failures> {
    let answered = context.ui.password(&format!("Password of {}: ", path.display()));
    answered.map(Zeroizing::new).map_err(|error| match error.kind() {
        std::io::ErrorKind::Interrupted => {
            let failure = Failure::new(Code::Interrupted, Kind::Transient, "interrupted");
            Failures::from(failure).exit(exit::INTERRUPTED)
        }
        _ => {
            let title = format!("{} has a password, and there is no terminal to ask for it", path.display());
            let failure = Failure::new(Code::NotSigned, Kind::Yours, title).detail(error.to_string());
            failure.help(format!("set {SIGN_PASSWORD}")).into()
        }
    })
}
