//! When to try again, and after how long. Must not know what is being tried.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::client::Ask;
use super::error::Failure;
use super::{Client, Error, Kind};

/// However long a server asks us to wait, and however often it failed.
const LONGEST: Duration = Duration::from_secs(60);
const LONGEST_OF_OUR_OWN: Duration = Duration::from_secs(20);

/// The tries of one piece of work.
pub(super) struct Tries<'a> {
    client: &'a Client,
    /// All, for the message.
    made: u32,
    /// Those since something was last achieved.
    in_vain: u32,
}

impl Tries<'_> {
    pub fn of(client: &Client) -> Tries<'_> {
        Tries { client, made: 1, in_vain: 1 }
    }

    /// Something was achieved: a transfer that goes on is not given up because it is often interrupted.
    pub fn progressed(&mut self) {
        self.in_vain = 1;
    }

    /// Waits if it is worth trying again; the error if it is not.
    pub async fn failed(&mut self, ask: &Ask, failure: Failure) -> Result<(), Error> {
        let settings = &self.client.inner.settings;
        if let (Some(429 | 503), Some(budget)) = (failure.reason.status(), &self.client.budget) {
            budget.overloaded();
        }
        if failure.reason.kind() != Kind::Transient || self.in_vain >= settings.tries.max(1) {
            return Err(self.client.error(ask, self.made, failure.reason));
        }
        let own = pause(settings.pause, self.in_vain);
        tokio::time::sleep(failure.retry_after.map_or(own, |asked| asked.max(own)).min(LONGEST)).await;
        self.made += 1;
        self.in_vain += 1;
        Ok(())
    }

    /// How often it was tried.
    pub fn made(&self) -> u32 {
        self.made
    }
}

/// Twice as long after every try, and between half and all of that, so that many clients do not come back at once.
fn pause(first: Duration, tries: u32) -> Duration {
    let full = first.saturating_mul(1 << (tries - 1).min(10)).min(LONGEST_OF_OUR_OWN);
    let random = RandomState::new().build_hasher().finish() % 1000;
    full / 2 + full / 2 * random as u32 / 1000
}

/// What the header says, in seconds or as a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = http_date(text)?;
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn http_date(text: &str) -> Option<SystemTime> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let words: Vec<&str> = text.split_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = words[..] else { return None };
    let month = MONTHS.find(month).filter(|at| at % 3 == 0 && month.len() == 3)? as u64 / 3 + 1;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok().filter(|y| (1970..10_000).contains(y))?);
    let clock: Vec<u64> = time.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = clock[..] else { return None };
    if day > 31 || hours > 24 || minutes > 60 || seconds > 60 {
        return None;
    }
    // Days since 1970, counting years from March so that a leap day comes last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(((days * 24 + hours) * 60 + minutes) * 60 + seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        let at = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(), 784_111_777);
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(SystemTime::UNIX_EPOCH));
        for text in ["", "soon", "Sun, 06 Xyz 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT", "a b c d e GMT"] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn pauses_double_and_are_bounded() {
        let first = Duration::from_millis(100);
        for (tries, most) in [(1, 100), (2, 200), (4, 800), (40, 20_000)] {
            let pause = pause(first, tries).as_millis();
            assert!(pause <= most && pause >= most / 2, "{tries}: {pause}");
        }
    }
}
