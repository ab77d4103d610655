//! Errors of the network, of bundles and of the site's registry.

use super::{Code, Failure, Failures, Kind};
use crate::bundle::{SignError, TrustError};
use crate::{bundle, net, registry};

/// Who can do something about a failed request.
pub(super) fn kind(kind: net::Kind) -> Kind {
    match kind {
        net::Kind::Transient => Kind::Transient,
        net::Kind::Permanent => Kind::Permanent,
        net::Kind::Yours => Kind::Yours,
    }
}

/// A failed request with what to do about it.
pub(super) fn request(code: Code, title: String, error: &net::Error) -> Failure {
    let code = if matches!(error.reason, net::Reason::Mismatch { .. }) { Code::Changed } else { code };
    let failure = Failure::new(code, kind(error.kind()), title).detail(error.to_string());
    match (&error.reason, error.status()) {
        (net::Reason::Mismatch { .. }, _) => {
            failure.help("what is served there was changed after it was locked, or was damaged on the way; compare before you lock it again")
        }
        (_, Some(401 | 403)) => failure.help("log in to that host: credentials are taken from docker's config.json (`docker login HOST`) and from helm's (`helm registry login`, `helm repo add`)"),
        (_, Some(404)) => failure.help("check the name and version; publishers also remove what they once served"),
        (_, Some(429)) => failure.help("the server limits requests: log in to it, or try later"),
        (net::Reason::Proxy { .. }, _) | (_, Some(407)) => failure.help("put the login into the proxy variable: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT, special characters percent-encoded"),
        (net::Reason::Connect { .. }, _) => failure.help("check the network, the proxy variables, or name a mirror with --mirror FROM=TO"),
        (net::Reason::Certificate { .. } | net::Reason::NoAuthorities { .. }, _) => {
            failure.help("name the authority's certificate with --ca-file FILE, or `registry.ca` in the environment")
        }
        _ if failure.kind == Kind::Transient => failure.help("run the same command again: what was fetched is kept"),
        _ => failure,
    }
}

impl From<net::Error> for Failures {
    fn from(error: net::Error) -> Failures {
        request(Code::Network, "the network failed".to_owned(), &error).into()
    }
}

impl From<bundle::Error> for Failures {
    fn from(error: bundle::Error) -> Failures {
        use bundle::Error as E;
        let not_made = |error: &E| Failure::caused(Code::BundleNotMade, kind(error.kind()), error);
        let failure = match error {
            E::File(error) => return error.into(),
            E::Several { failed, more } => return several(failed, more),
            E::Fetch { ref source, .. } => request(Code::BundleNotMade, error.to_string(), source),
            E::NoSpace { .. } => not_made(&error).help("make room, or write to another disk"),
            E::Busy { .. } => not_made(&error).help("wait until it is done, or write to another file"),
            E::Changed { .. } => not_made(&error).help("run the same command again; it is read anew"),
            E::Unsupported { .. } | E::Twice { .. } | E::Sizes { .. } => not_made(&error),
            E::Trust(error) => return error.into(),
            error => damaged(&error),
        };
        let refused = failure.code == Code::BundleDamaged;
        if refused { Failures::from(failure).exit(super::exit::REFUSED) } else { failure.into() }
    }
}

fn several(failed: Vec<bundle::Error>, more: bool) -> Failures {
    let mut failures: Vec<Failure> = failed.into_iter().flat_map(|error| Failures::from(error).failures).collect();
    if let Some(last) = failures.last_mut().filter(|_| more) {
        last.help.push("the rest was not tried: there may be more".to_owned());
    }
    Failures::new(failures)
}

impl From<TrustError> for Failures {
    fn from(error: TrustError) -> Failures {
        let (code, kind, help) = match error {
            TrustError::File(error) => return error.into(),
            TrustError::NoKey { .. } => {
                let help = "name the public key, two lines as `minisign -G` writes them, or take the file away";
                return Failure::caused(Code::TrustKey, Kind::Yours, &error).help(help).into();
            }
            TrustError::Unsigned { .. } => (Code::Untrusted, Kind::Yours, "have it made with `platctl bundle --sign`"),
            TrustError::NoSignature { .. } => (Code::Untrusted, Kind::Permanent, "have it made and signed again"),
            TrustError::Unknown { .. } => (
                Code::Untrusted,
                Kind::Yours,
                "if you know whose key that is, get it from them and name it: --trust-key",
            ),
            TrustError::Altered { .. } => {
                (Code::Untrusted, Kind::Permanent, "copy it again; if it stays so, somebody changed it: do not use it")
            }
        };
        let failure = Failure::caused(code, kind, &error).help(help).help("nothing was changed");
        Failures::from(failure).exit(super::exit::REFUSED)
    }
}

impl From<SignError> for Failures {
    fn from(error: SignError) -> Failures {
        match error {
            SignError::File(error) => error.into(),
            SignError::NoKey { .. } => Failure::caused(Code::NotSigned, Kind::Yours, &error)
                .help("name the secret key that `minisign -G` wrote")
                .into(),
            SignError::Password { .. } => Failure::caused(Code::NotSigned, Kind::Yours, &error)
                .help("try again; PLATCTL_SIGN_PASSWORD, if it is set, is taken before the terminal is asked")
                .into(),
        }
    }
}

fn damaged(error: &bundle::Error) -> Failure {
    Failure::caused(Code::BundleDamaged, Kind::Permanent, error)
        .help("nothing was changed; copy the bundle again and compare its sha256, or make it again")
}

impl From<registry::Error> for Failures {
    fn from(error: registry::Error) -> Failures {
        let (refusal, source) = match &error {
            registry::Error::Bundle(_) => return lower(error),
            registry::Error::Damaged { damage, .. } => {
                let failure = Failure::new(Code::BundleDamaged, Kind::Permanent, error.to_string());
                let failure = failure.detail(damage.to_string());
                let help =
                    "the cluster was not touched; copy the bundle again and compare its sha256, or make it again";
                return Failures::from(failure.help(help)).exit(super::exit::REFUSED);
            }
            registry::Error::Refused(all) => return refused(&error, all),
            registry::Error::Vanished { .. } => {
                let failure = Failure::caused(Code::Push, Kind::Permanent, &error);
                return failure.help(push_help(registry::Refusal::Failed)).into();
            }
            registry::Error::Registry { refusal, source, .. } => (*refusal, source),
        };
        let failure = Failure::new(Code::Push, kind(error.kind()), error.to_string()).detail(source.to_string());
        failure.help(push_help(refusal)).into()
    }
}

/// Repositories that take no images, each with the reason; what to do is said once for each reason.
fn refused(error: &registry::Error, all: &[registry::Refused]) -> Failures {
    let mut failure = Failure::new(Code::Push, kind(error.kind()), error.to_string());
    for one in all {
        let registry::Refused { repository, images, refusal, source } = one;
        let more = if images.len() > 1 { format!(" and {} more", images.len() - 1) } else { String::new() };
        failure = failure.detail(format!("{repository}: {refusal}, for {}{more}", images[0]));
        if failure.word.is_empty() {
            failure = failure.word(&source.to_string());
        }
        let help = push_help(*refusal);
        if !failure.help.iter().any(|told| told == help) {
            failure = failure.help(help);
        }
    }
    Failures::from(failure.help("nothing was sent yet; run the same command again when that is done"))
        .exit(super::exit::REFUSED)
}

/// What to do about a registry of the site that refuses images. No mirror ever stands in for it.
fn push_help(refusal: registry::Refusal) -> &'static str {
    use registry::Refusal;
    match refusal {
        Refusal::Unreachable => "check `registry.address` in the environment, and that the registry runs",
        Refusal::Silent => {
            "look at the registry's own log; if it is only slow, raise `timeouts.request` in the environment"
        }
        Refusal::Broken => {
            "run the same command again: what is whole is not sent again; if it always breaks at the same place, a proxy \
             before the registry limits how large a request is, or how long it takes"
        }
        Refusal::Busy => "lower `concurrency.uploads` in the environment, or raise the registry's limit",
        Refusal::Untrusted => "name the authority's certificate: `registry.ca` in the environment, or --ca-file FILE",
        Refusal::LogIn | Refusal::Forbidden => {
            "log in to that registry as somebody who may push: credentials are taken from docker's config.json"
        }
        Refusal::NoProject => {
            "make the repository in the registry, or what it lies in (Harbor: the project; Artifactory: the repository; ECR: \
             each one by its whole name), or name another `registry.prefix` in the environment"
        }
        Refusal::TooLarge => "raise the body size that the registry, or the proxy before it, takes",
        Refusal::ReadOnly => {
            "the registry's administrator has to end its maintenance; a cache (proxy) of another takes none"
        }
        Refusal::Full => {
            "the registry's administrator has to make room, or raise the quota; run the same command again then: what is \
             whole there is not sent again"
        }
        Refusal::TagFixed => {
            "except what lies below `registry.prefix` from the rule that fixes tags: operators that know an image by its \
             tag alone would otherwise run another one"
        }
        Refusal::LostUpload => "registries that share an address need common storage and one secret (`http.secret`)",
        Refusal::Failed => "look at the registry's own log; run the same command again when it is well",
    }
}

fn lower(error: registry::Error) -> Failures {
    match error {
        registry::Error::Bundle(error) => error.into(),
        other => Failure::caused(Code::Push, Kind::Permanent, &other).into(),
    }
}
