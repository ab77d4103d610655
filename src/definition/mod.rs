//! What somebody wants installed: environments, tiers, releases and their values, read from files and brought
//! together into a list of desired releases. Pure: must not touch disk (but for [`Tree::read`]), network or
//! cluster, and renders no chart.

mod asked;
mod blame;
mod budget;
mod chart_archive;
mod check;
mod computed;
mod convert;
mod declared_secret;
mod desired;
mod duration;
mod environment;
mod environment_file;
mod evaluate;
mod exception;
mod explain;
mod expression;
mod extra;
mod file;
mod filters;
mod functions;
mod generate;
mod guard;
mod hooks;
mod interpolate;
mod layers;
mod load;
mod merge;
mod pack;
mod partial;
mod path;
mod provenance;
mod pull_secret;
mod quantity;
mod reference;
mod release;
mod render_guard;
mod scope;
mod sealed;
mod secrets_of;
mod template;
mod tier;
mod token;
mod tree;

use crate::yaml::{Node, Problem};

pub use chart_archive::{LARGEST_CHART, chart_yaml, chart_yaml_in, visit_chart};
pub use computed::ComputedImages;
pub use declared_secret::KubernetesSecret;
pub use desired::{Definition, Release, Tier};
pub use environment::{Cluster, ClusterNode, Concurrency, Environment, Registry, RegistryMode, Timeouts, Tools};
pub use exception::Exception;
pub use explain::{Explanation, NoSuchPath, Origin, Place, Setting, State};
pub use extra::Extra;
pub use generate::{Alphabet, Declaration, Declarations, Generate, PARTS};
pub use hooks::{Hook, Hooks};
pub use pack::OwnChart;
pub use path::{InvalidPath, Path, Step};
pub use provenance::Provenance;
pub use quantity::{is_quantity, is_same_quantity};
pub use release::{ChartSource, IgnoredImage};
pub use render_guard::RenderGuard;
pub use sealed::Sealed;
pub use token::{Encoding, SecretUse, replace_tokens, tokens};
pub use tree::{LOCK_PATH, RULES_PATH, Tree, TreeError, is_script};

/// The version every file of the definition carries.
pub const API_VERSION: &str = "platctl.dev/v1";

/// Everything that is wrong with a definition, as far as it could be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Invalid {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// Lays maps over each other by the one merge rule, the first at the bottom; none, when there are none.
pub fn layered(layers: impl IntoIterator<Item = Node>) -> Option<Node> {
    layers.into_iter().reduce(|mut base, over| {
        merge::merge(&mut base, over, merge::Nulls::Delete, &mut Provenance::default());
        base
    })
}

impl From<Problem> for Invalid {
    fn from(problem: Problem) -> Invalid {
        Invalid { problems: vec![problem] }
    }
}
