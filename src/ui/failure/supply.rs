//! Errors of what is locked: resolving it and getting its bytes.

use super::definition::closed_world;
use super::network::request;
use super::{Code, Failure, Failures, Kind};
use crate::resolve::ResolveError;
use crate::supply::SupplyError;
use crate::tools::InstallError;

impl From<SupplyError> for Failures {
    fn from(error: SupplyError) -> Failures {
        let failure = match error {
            SupplyError::Bundle(error) => return error.into(),
            SupplyError::Store(error) => return error.into(),
            SupplyError::File(error) => return error.into(),
            SupplyError::Install(error) => return error.into(),
            SupplyError::OwnChart(problem) => Failure::problem(Code::Definition, &problem),
            SupplyError::Fetch { ref source, .. } => request(Code::Network, error.to_string(), source),
            SupplyError::NoLock | SupplyError::ChartNotLocked { .. } | SupplyError::ToolNotLocked { .. } => {
                Failure::caused(Code::NotLocked, Kind::Yours, &error).help("run `platctl lock`")
            }
            SupplyError::OwnChartChanged { .. } => Failure::caused(Code::Changed, Kind::Yours, &error)
                .help("run `platctl lock`, and bundle again for sites without internet"),
            SupplyError::ChartChanged { .. } => Failure::caused(Code::Changed, Kind::Permanent, &error)
                .help("the publisher replaced that version; compare before you lock it again"),
            SupplyError::NoChart { .. } => Failure::caused(Code::Unresolved, Kind::Yours, &error),
            SupplyError::NotInBundle { .. } => Failure::caused(Code::NotInBundle, Kind::Yours, &error)
                .help("make the bundle again from this definition"),
        };
        failure.into()
    }
}

impl From<InstallError> for Failures {
    fn from(error: InstallError) -> Failures {
        match error {
            InstallError::File(error) => error.into(),
            error => Failure::caused(Code::Tool, Kind::Permanent, &error).into(),
        }
    }
}

impl From<ResolveError> for Failures {
    fn from(error: ResolveError) -> Failures {
        let failure = match &error {
            ResolveError::Supply(_) | ResolveError::Render(_) => return lower(error),
            ResolveError::Images(violations) => return Failures::new(closed_world(violations)),
            ResolveError::OwnChart(problem) => Failure::problem(Code::Definition, problem),
            ResolveError::Fetch { source, .. } => request(Code::Unresolved, error.to_string(), source),
            ResolveError::NoVersion { known, .. } if known.is_empty() => {
                Failure::caused(Code::Unresolved, Kind::Yours, &error).help("check the chart's name")
            }
            ResolveError::NoVersion { known, .. } => Failure::caused(Code::Unresolved, Kind::Yours, &error)
                .help(format!("newest there: {}", known.join(", "))),
            ResolveError::NoPlace { .. } => Failure::caused(Code::Definition, Kind::Yours, &error)
                .help("look at what `platctl template` shows of the release: KIND/NAME:PATH must stand in it"),
            ResolveError::NoPlatform { known, from, .. } => Failure::caused(Code::Unresolved, Kind::Yours, &error)
                .detail(format!("it is made for {}", known.join(", ")))
                .detail(format!("wanted by {}", from.join(", "))),
            ResolveError::Index { .. } | ResolveError::NoImage { .. } => {
                Failure::caused(Code::Unresolved, Kind::Permanent, &error)
            }
        };
        failure.into()
    }
}

fn lower(error: ResolveError) -> Failures {
    match error {
        ResolveError::Supply(error) => error.into(),
        ResolveError::Render(error) => error.into(),
        other => Failure::caused(Code::Unresolved, Kind::Permanent, &other).into(),
    }
}
