//! What the guard refuses: a chart that renders otherwise than planned.

use super::definition::closed_world;
use super::{Code, Failure, Kind};
use crate::render::{Difference, How, Refusal};

/// Objects that are named when many differ.
const NAMED: usize = 5;

/// What the post-renderer refused.
pub fn refused(refusal: &Refusal) -> Vec<Failure> {
    match refusal {
        Refusal::ClosedWorld(violations) => closed_world(violations),
        Refusal::Otherwise(differences) => vec![rendered_live(differences)],
    }
}

/// A release that helm rendered otherwise live.
pub(super) fn rendered_live(differences: &[Difference]) -> Failure {
    let release = differences.first().map_or("", |difference| difference.release.as_str());
    let title = format!("{release}: it renders otherwise live than planned");
    told(Failure::new(Code::RendersLive, Kind::Yours, title), differences)
        .help("nothing of it was changed; a chart that looks into the cluster (`lookup`), makes values up (`randAlphaNum`, `now`) or asks for the revision renders anew each time")
        .help("give it what it makes up: a generated secret in its values, `{{ secret('NAME') }}`, or a fixed value")
        .help("if charts are told of another cluster than this one, `platctl doctor` says so")
        .help(format!("if it must render live: `render: {{guard: live, reason: …}}` in the release.yaml of {release}"))
}

/// A release that renders otherwise than when its plan was saved.
pub fn rendered_since(release: &str, differences: &[Difference]) -> Failure {
    let title = format!("{release}: it renders otherwise than when the plan was saved");
    told(Failure::new(Code::PlanRender, Kind::Yours, title), differences)
        .help("nothing was changed; save a plan anew and look at it")
}

fn told(failure: Failure, differences: &[Difference]) -> Failure {
    let failure = differences.iter().take(NAMED).fold(failure, |failure, difference| failure.detail(line(difference)));
    match differences.len().saturating_sub(NAMED) {
        0 => failure,
        more => failure.detail(format!("and {more} more objects")),
    }
}

/// An object and its fields, without their values: they may be secret.
fn line(difference: &Difference) -> String {
    let object = &difference.object;
    match &difference.how {
        How::More => format!("{object}: it was not to be there"),
        How::Less => format!("{object}: it is not there"),
        How::Fields { count, first } => {
            let more = match count - first.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("{object}: {}{more}", first.join(", "))
        }
    }
}
