//! What somebody wants installed: environments, tiers, releases and their values, read from files and brought
//! together into a list of desired releases. Pure: must not touch disk (but for [`Tree::read`]), network or
//! cluster, and renders no chart.

mod check;
mod computed;
mod desired;
mod duration;
mod environment;
mod environment_file;
mod interpolate;
mod merge;
mod pack;
mod release;
mod template;
mod tier;
mod tree;

use crate::yaml::Problem;

pub use computed::ComputedImages;
pub use desired::{Definition, Release, Tier};
pub use environment::{Cluster, ClusterNode, Concurrency, Environment, Registry, RegistryMode, Timeouts, Tools};
pub use pack::{OwnChart, chart_yaml};
pub use release::{ChartSource, IgnoredImage};
pub use tree::{LOCK_PATH, Tree, TreeError};

/// The version every file of the definition carries.
pub const API_VERSION: &str = "platctl.dev/v1";

/// Everything that is wrong with a definition, as far as it could be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Invalid {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl From<Problem> for Invalid {
    fn from(problem: Problem) -> Invalid {
        Invalid { problems: vec![problem] }
    }
}
