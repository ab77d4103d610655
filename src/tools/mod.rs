//! The external programs: which ones, where their files come from, and the only place that starts a process.
//! Must not know plans or definitions; each method is one command.

mod births;
mod catalog;
mod complaint;
mod git;
mod helm;
mod host;
mod install;
mod kubectl;
mod orphan;
mod plugin;
mod process;
mod refusal;
mod script;
mod sops;

pub use births::{Birth, Births};
pub use catalog::{Tool, tool};
pub use complaint::{Complaint, ImageGuard, complaints, image_guard};
pub use git::Git;
pub use helm::{Awaited, Hears, Helm, Progress, RollbackRequest, TemplateRequest, UpgradeRequest};
pub use host::{Host, Process};
pub use install::{InstallError, install};
pub use kubectl::{Cascade, Cluster, DryRun, Kubectl, MarkedDefinition, Write, server_is_gone};
pub use orphan::{at_work, with_label};
pub use plugin::write_post_renderer;
pub use process::{CallError, Interrupt, Interrupter};
pub use refusal::{Transient, denied, immutable, transient, without_value};
pub use script::{Script, ScriptError};
pub use sops::{Sops, exit as sops_exit};
