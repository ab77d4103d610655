//! platctl installs an ML platform on Kubernetes with Helm, and carries everything it needs into places without
//! internet. The library exists for the binary and its tests; nobody else should depend on it.
//!
//! Data flows one way: definition → desired releases → rendered objects → plan → run → report.
//!
//! | floor | rooms | |
//! |---|---|---|
//! | 8 | [`cli`] [`commands`] | a verb a file: gather, plan, show or execute, report |
//! | 7 | [`ui`] | the only standard output and error; failures as people see them |
//! | 6 | [`execute`] → [`run`] | the one loop that changes a cluster; who may have a run, and what it did |
//! | 5 | [`plan`] [`resolve`] [`lint`] | what is to be done · what the lock should say · what is wrong |
//! | 4 | [`secrets`] [`render`] [`supply`] [`bundle`] [`registry`] | tokens to secrets, masks · values → helm → objects, images · locked bytes · the file · push |
//! | 3 | [`tools`] [`net`] | the only processes · the only sockets |
//! | 2 | [`definition`] [`lock`] [`capabilities`] [`record`] | environments, tiers, releases, values · `charts-lock.yaml` · what clusters offer · what helm installed |
//! | 1 | [`object`] [`image`] [`layout`] | Kubernetes objects and the walk · references · OCI layout names |
//! | 0 | [`digest`] [`files`] [`yaml`] [`surroundings`] | hashes · atomic files · the one YAML reader · environment variables |
//!
//! Imports go down; `tests/architecture.rs` holds the table and fails on any other.
//!
//! Files on disk:
//!
//! ```text
//! charts-lock.yaml  environments/  templates/     the definition, in its folder or in a bundle
//! platform.tar                                    the bundle: an OCI image layout in one tar
//! platform.tar.partial                            a bundle that is not whole yet
//! ~/.cache/platctl/                               0700, PLATCTL_CACHE_DIR moves it
//!   store/sha256-…                                charts and tools as they were served, checked
//!   tools/sha256-…/helm                           tools ready to run
//!   helm/  kubectl/                               homes of helm and kubectl
//!   scans/sha256-….json                           what charts mention
//!   renders/…                                     what charts rendered
//!   runs/run-…/                                   a run's plugin and tasks
//! ```

pub mod bundle;
pub mod capabilities;
pub mod cli;
pub mod commands;
pub mod definition;
pub mod diff;
pub mod digest;
pub mod execute;
pub mod files;
pub mod image;
pub mod layout;
pub mod lint;
pub mod lock;
pub mod net;
pub mod object;
pub mod plan;
pub mod record;
pub mod registry;
pub mod render;
pub mod resolve;
pub mod run;
pub mod secrets;
pub mod supply;
pub mod surroundings;
pub mod tools;
pub mod ui;
pub mod yaml;
