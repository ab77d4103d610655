//! Platforms as OCI writes them: `linux/amd64`, `linux/arm/v7`.

use std::fmt;
use std::str::FromStr;

/// Operating system, architecture and, for some, a variant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// `linux` …
    pub os: String,
    /// `amd64`, `arm64` …
    pub arch: String,
    /// `v7`, `v8` …
    pub variant: Option<String>,
}

/// A text that is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a platform: `{0}` (write it as linux/amd64)")]
pub struct InvalidPlatform(String);

impl Platform {
    /// The platform this program runs on.
    pub fn host() -> Platform {
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Platform { os: std::env::consts::OS.to_owned(), arch: arch.to_owned(), variant: None }
    }

    /// Whether an image made for `self` is meant when `wanted` is asked for; `linux/arm64/v8` serves
    /// `linux/arm64`.
    pub fn serves(&self, wanted: &Platform) -> bool {
        self.os == wanted.os && self.arch == wanted.arch && (wanted.variant.is_none() || self.variant == wanted.variant)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.arch)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Platform, InvalidPlatform> {
        let parts: Vec<&str> = text.split('/').collect();
        let legal = |p: &&str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(legal) {
            return Err(InvalidPlatform(text.to_owned()));
        }
        Ok(Platform {
            os: parts[0].to_owned(),
            arch: parts[1].to_owned(),
            variant: parts.get(2).map(|v| (*v).to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusal() {
        for text in ["linux/amd64", "linux/arm/v7"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in ["", "linux", "linux/", "Linux/amd64", "a/b/c/d"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_variant_serves_the_plain_architecture() {
        let v8: Platform = "linux/arm64/v8".parse().unwrap();
        let plain: Platform = "linux/arm64".parse().unwrap();
        assert!(v8.serves(&plain));
        assert!(!plain.serves(&v8));
    }
}
