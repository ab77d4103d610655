//! Why a saved plan is not applied.

use super::{Code, Failure, Failures, Kind, exit};
use crate::plan::{Moved, UnreadablePlan};

/// What is no longer as it was when a plan was saved: a failure for each way, with its releases.
pub fn planned(moved: &[Moved]) -> Failures {
    let mut failures: Vec<Failure> = Vec::new();
    for moved in moved {
        let failure = of(moved);
        match failures.iter_mut().find(|other| other.code == failure.code && other.title == failure.title) {
            Some(other) => other.details.extend(failure.details),
            None => failures.push(failure),
        }
    }
    Failures::new(failures).exit(exit::REFUSED)
}

fn of(moved: &Moved) -> Failure {
    let anew = "nothing was changed; save a plan anew and look at it";
    match moved {
        Moved::Place { what, then, now } => {
            failure(Code::PlanElsewhere, &format!("the plan is for another {what} than the one at hand"))
                .detail(format!("planned: {then}"))
                .detail(format!("at hand: {now}"))
                .help(format!("nothing was changed; name the {what} that it was made for, or save a plan anew"))
        }
        Moved::Inputs { release, how } => {
            failure(Code::PlanInputsMoved, "releases are not what they were when the plan was saved")
                .detail(format!("{release}: {how}"))
                .help(anew)
        }
        Moved::Cluster { release, then, now } => {
            failure(Code::PlanClusterMoved, "releases were changed in the cluster since the plan was saved")
                .detail(format!("{release}: it was {then}, and is {now}"))
                .help(anew)
        }
        Moved::Steps => {
            failure(Code::PlanClusterMoved, "something else would be done now than when the plan was saved").help(anew)
        }
    }
}

fn failure(code: Code, title: &str) -> Failure {
    Failure::new(code, Kind::Yours, title)
}

impl From<(&std::path::Path, UnreadablePlan)> for Failures {
    fn from((path, error): (&std::path::Path, UnreadablePlan)) -> Failures {
        let failure = Failure::new(Code::PlanUnreadable, Kind::Yours, format!("{}: {error}", path.display()));
        Failures::from(failure.help("save the plan anew with this platctl")).exit(exit::REFUSED)
    }
}
