//! The whole binary against fakes: helm and kubectl are shell scripts that record and answer from files, the internet
//! and the site's registry are servers of the test. Seconds, and no cluster.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod apply;
mod apply_fails;
mod bundle;
mod bundle_extras;
mod bundle_faults;
mod bundle_file;
mod bundle_killed;
mod bundle_referrers;
mod capabilities;
mod definition;
mod diff;
mod doctor;
mod hostile;
mod inspect;
mod killed;
mod lifecycle;
mod lint;
mod lock;
mod logins;
mod planned;
mod proxies;
mod push;
mod removing;
mod secrets;
mod shop;
mod sops;
mod template;
mod trust;
mod values;
