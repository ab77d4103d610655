//! The whole binary against real helm, a real control plane and a real registry, with KWOK for nodes and pods. One
//! rig serves all tests of a run; each has namespaces and a platform of its own.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod capabilities;
mod closed_world;
mod conflict;
mod diff;
mod failing;
mod guard;
mod immutable;
mod interrupted;
mod killed;
mod lifecycle;
mod oci;
mod outage;
mod planted;
mod platform;
mod pushing;
mod reading;
mod real_registry;
mod refusing;
mod registries;
mod rig;
mod secrets;
mod shipped;
mod shipped_minimal;
mod shipped_renders;
mod site_process;
mod straight;
mod taken;
mod unready;
