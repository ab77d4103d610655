//! `platctl post-render`: helm calls it in the middle of an upgrade with everything it rendered, hooks included. It
//! rewrites images, and refuses what is not locked or not what was planned; helm then changes nothing.

use std::io::Read;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Context;
use crate::files;
use crate::object::Stream;
use crate::record::Remarks;
use crate::render::{Difference, Expected, InvalidSalt, Refusal, Rewriting, Salt};
use crate::run::lease::Fence;
use crate::ui::failure::{self, Code, Failure, Failures, Kind};

/// The most that helm may hand over.
const MAX_INPUT: u64 = 512 * 1024 * 1024;

/// What the post-renderer is to do; written by `apply` for one release.
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    /// What the release's images become.
    pub rewriting: Rewriting,
    /// The release's namespace.
    pub namespace: String,
    /// The definitions of its `crds/` folders, which helm does not hand over.
    pub definitions: Vec<String>,
    /// What it will be; none where it may render otherwise live.
    pub expected: Option<Expected>,
    /// Where it is told why something was refused; helm swallows what a plugin says.
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
    let task: Task = serde_json::from_slice(&files::read(path)?).map_err(|e| broken(e.to_string()))?;
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_INPUT).read_to_string(&mut text);
    read.map_err(|e| broken(e.to_string()))?;
    let stream = Stream::parse(text).map_err(|e| broken(e.to_string()))?;
    let rewritten = match task.rewriting.apply(&stream) {
        Ok(rewritten) => rewritten,
        Err(violations) => return Err(refused(&task, &Refusal::ClosedWorld(violations))?),
    };
    let differences = differences(context, &task, &rewritten)?;
    if !differences.is_empty() {
        return Err(refused(&task, &Refusal::Otherwise(differences))?);
    }
    // Last: what it says is true for as short as it can be.
    if let Some(fence) = &task.fence {
        fence.check(&context.surroundings.variables).await.map_err(|error| failure::fenced(&error))?;
    }
    let remarks = Remarks { images: task.rewriting.names(), definitions: task.definitions };
    context.ui.deliver(&remarks.write(rewritten))?;
    Ok(0)
}

/// Where what was rendered is not what was planned.
fn differences(context: &Context, task: &Task, rewritten: &str) -> Result<Vec<Difference>, Failures> {
    let Some(expected) = &task.expected else { return Ok(Vec::new()) };
    let salt = context.surroundings.guard_salt.as_deref().unwrap_or_default();
    let salt: Salt = salt.parse().map_err(|e: InvalidSalt| broken(e.to_string()))?;
    let stream = Stream::parse(rewritten).map_err(|e| broken(e.to_string()))?;
    let found = Expected::of(&stream, &task.namespace, &salt);
    Ok(expected.differences(&task.rewriting.release, &found))
}

/// Leaves behind why helm has to stop.
fn refused(task: &Task, refusal: &Refusal) -> Result<Failures, Failures> {
    let json = serde_json::to_vec(refusal).map_err(|e| broken(e.to_string()))?;
    files::write_private(&task.findings, &json)?;
    Ok(Failures::new(failure::refused(refusal)))
}

fn broken(reason: String) -> Failure {
    Failure::new(Code::Helm, Kind::Permanent, format!("post-render: {reason}"))
}
