//! Names of runs: they sort by the time at which the run began, and are legal as a label's value.

use std::time::SystemTime;

use time::OffsetDateTime;

/// The part of a run's name that says when it began, in UTC: `20261121-193000`. What tells two runs of one second apart
/// comes after it.
pub fn run_stamp(now: SystemTime) -> String {
    let now = OffsetDateTime::from(now);
    let (date, time) = (now.date(), now.time());
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_sort_by_time() {
        let at = |seconds| run_stamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(1_795_289_400), "20261121-193000");
        assert!(at(1_795_289_400) < at(1_795_289_401) && at(1_795_289_459) < at(1_795_289_460));
    }
}
