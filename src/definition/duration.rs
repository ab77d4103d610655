//! Durations as Go and so Helm write them: `90s`, `10m`, `1h30m`.

use std::time::Duration;

/// Reads a duration of whole hours, minutes and seconds; `None` when it is none.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..end].parse().ok()?;
        let unit = match rest.as_bytes()[end] {
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[end + 1..];
    }
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("1h30m", 5400)] {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "10", "m", "-5s", "0s", "5d", "10 m", "5ms", "99999999999999999999h"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
