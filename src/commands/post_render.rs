//! `platctl post-render`: helm calls it in the middle of an upgrade with everything it rendered, hooks included. It
//! rewrites images and refuses what is not locked; helm then changes nothing.

use std::io::Read;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Context;
use crate::execute::lease::Fence;
use crate::files;
use crate::object::Stream;
use crate::render::Rewriting;
use crate::ui::failure::{self, Code, Failure, Failures, Kind};

/// The most that helm may hand over.
const MAX_INPUT: u64 = 512 * 1024 * 1024;

/// What the post-renderer is to do; written by `apply` for one release.
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    /// What the release's images become.
    pub rewriting: Rewriting,
    /// Where refused images are told; helm swallows what a plugin says.
    pub findings: PathBuf,
    /// Whether the run still has the environment's lease.
    pub fence: Option<Fence>,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`]; helm then changes nothing.
pub async fn run(context: &Context) -> Result<u8, Failures> {
    let Some(path) = &context.surroundings.post_render else {
        return Err(Failure::new(Code::Usage, Kind::Yours, "helm calls this during `platctl apply`").into());
    };
    let broken = |reason: String| Failure::new(Code::Helm, Kind::Permanent, format!("post-render: {reason}"));
    let task: Task = serde_json::from_slice(&files::read(path)?).map_err(|e| broken(e.to_string()))?;
    if let Some(fence) = &task.fence {
        fence.check(&context.surroundings.variables).await.map_err(|error| failure::fenced(&error))?;
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_INPUT).read_to_string(&mut text);
    read.map_err(|e| broken(e.to_string()))?;
    let stream = Stream::parse(text).map_err(|e| broken(e.to_string()))?;
    match task.rewriting.apply(&stream) {
        Ok(rewritten) => {
            context.ui.deliver(&rewritten)?;
            Ok(0)
        }
        Err(violations) => {
            let json = serde_json::to_vec(&violations).map_err(|e| broken(e.to_string()))?;
            files::write_private(&task.findings, &json)?;
            Err(Failures::new(failure::closed_world(&violations)))
        }
    }
}
