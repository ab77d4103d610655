//! Why a saved plan is not applied.

use super::{Code, Failure, Failures, Kind, exit};
use crate::plan::{Moved, UnreadablePlan};

/// What is no longer as it was when a plan was saved.
pub fn planned(moved: &[Moved]) -> Failures {
    Failures::new(moved.iter().map(of).collect()).exit(exit::REFUSED)
}

fn of(moved: &Moved) -> Failure {
    let failure = |code, title: String| Failure::new(code, Kind::Yours, title);
    let anew = "nothing was changed; save a plan anew and look at it";
    match moved {
        Moved::Place { what, then, now } => {
            failure(Code::PlanElsewhere, format!("the plan is for another {what} than the one at hand"))
                .detail(format!("planned: {then}"))
                .detail(format!("at hand: {now}"))
                .help(format!("nothing was changed; name the {what} that it was made for, or save a plan anew"))
        }
        Moved::Inputs { release, how } => {
            failure(Code::PlanInputsMoved, format!("{release}: {how} since the plan was saved")).help(anew)
        }
        Moved::Cluster { release, then, now } => failure(
            Code::PlanClusterMoved,
            format!("{release}: it was changed in the cluster since the plan was saved"),
        )
        .detail(format!("then: {then}"))
        .detail(format!("now:  {now}"))
        .help(anew),
        Moved::Steps => {
            failure(Code::PlanClusterMoved, "something else would be done now than was planned".to_owned()).help(anew)
        }
    }
}

impl From<(&std::path::Path, UnreadablePlan)> for Failures {
    fn from((path, error): (&std::path::Path, UnreadablePlan)) -> Failures {
        let failure = Failure::new(Code::PlanUnreadable, Kind::Yours, format!("{}: {error}", path.display()));
        Failures::from(failure.help("save the plan anew with this platctl")).exit(exit::REFUSED)
    }
}
