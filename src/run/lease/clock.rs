//! A clock that goes on while the host sleeps.

use std::fs;
use std::time::Duration;

/// Time since the host was started, times of sleep included: what `CLOCK_BOOTTIME` says. A host that slept has not
/// renewed its lease, and a clock that stops meanwhile would not show it.
pub(super) fn boot_clock() -> Duration {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split(' ').next().and_then(|seconds| seconds.parse().ok());
    seconds.map_or(Duration::ZERO, Duration::from_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on() {
        let before = boot_clock();
        assert!(before > Duration::ZERO);
        std::thread::sleep(Duration::from_millis(30));
        assert!(boot_clock() > before);
    }
}
