//! The verbs, a file each: gather, plan, show or execute, report. What several of them gather is in `workspace`,
//! `kitchen`, `installation`, `records` and `trust`, what `lock` and `inspect` both show in `image_list`; `recover` is a
//! part of apply, `survey` of doctor, `foresight` of plan and of apply's dry run, `guard` and `recreate` of both.

pub mod apply;
mod backwards;
pub mod bundle;
mod claim;
pub mod destroy;
pub mod diff;
pub mod doctor;
mod flags;
pub mod foresight;
pub mod guard;
pub mod history;
pub mod image_list;
pub mod inspect;
pub mod installation;
pub mod kitchen;
pub mod lint;
pub mod lock;
mod network;
pub mod plan;
pub mod post_render;
pub mod push;
mod records;
pub mod recover;
pub mod recreate;
pub mod reveal;
pub mod rollback;
pub mod runbook;
pub mod secrets;
mod soundness;
pub mod status;
pub mod survey;
pub mod template;
mod trust;
pub mod undertake;
pub mod unpack;
pub mod values;
pub mod workspace;

use crate::surroundings::Surroundings;
use crate::tools::Interrupt;
use crate::ui::Ui;

pub use flags::{Global, Rendering};

/// What every verb is given.
pub struct Context {
    /// What the process was started with.
    pub surroundings: Surroundings,
    /// Flags of every verb.
    pub global: Global,
    /// The terminal.
    pub ui: Ui,
    /// Hears when the user wants to stop.
    pub interrupt: Interrupt,
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// The `apiVersion` of every JSON result.
pub const API_VERSION: &str = crate::definition::API_VERSION;
