//! What it means that a request got no answer, from the words of the layers below. Pure.

use url::Url;

use super::Reason;
use super::mirrors::authority;

/// A request without an answer.
pub(super) fn broken(url: &Url, error: &reqwest::Error) -> Reason {
    let message = layers(error);
    let host = authority(url);
    if let Some((_, problem)) = message.split_once("invalid peer certificate: ") {
        return Reason::Certificate { host, message: certificate(problem) };
    }
    // The HTTP client has no other word for it.
    match message.contains("proxy authorization required") {
        true => Reason::Proxy { host },
        false => Reason::Connect { host, message },
    }
}

/// What is wrong with a certificate, where the TLS library only has a name for it.
fn certificate(problem: &str) -> String {
    let words = match problem {
        "UnknownIssuer" => "nobody who is trusted has issued it",
        _ if problem.contains("CaUsedAsEndEntity") => {
            "it is an authority's own certificate; the server needs one that the authority issued"
        }
        _ => problem,
    };
    words.to_owned()
}

/// The innermost message: the outer ones only say that a request failed. URLs, which may hold a login, are outer.
pub(super) fn layers(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
