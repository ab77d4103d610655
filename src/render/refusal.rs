//! Why the post-renderer refused what helm rendered. It crosses a process border in a file, because helm swallows what a
//! plugin says. Data only.

use serde::{Deserialize, Serialize};

use super::guard::Difference;
use super::violation::Violation;

/// Why what helm rendered live may not be installed; helm changed nothing then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// It breaks rules of the closed world.
    ClosedWorld(Vec<Violation>),
    /// It is not what was planned.
    Otherwise(Vec<Difference>),
}
