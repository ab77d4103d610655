//! A bar with rate and time left on a terminal; a plain line now and then elsewhere.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::masked::Masked;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a plain line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// Work with a size that is being done.
pub struct Progress {
    heading: &'static str,
    bar: Option<ProgressBar>,
    begun: Instant,
    total: u64,
    done: AtomicU64,
    said: Mutex<Instant>,
    masked: Masked,
}

impl Progress {
    pub(super) fn new(heading: &'static str, total: u64, terminal: bool, masked: Masked) -> Progress {
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let template = "{prefix:>10}  {bar:26} {bytes}/{total_bytes}  {bytes_per_sec}  {eta}  {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸━"));
            }
            bar.set_prefix(heading);
            bar
        });
        let now = Instant::now();
        Progress { heading, bar, begun: now, total, done: AtomicU64::new(0), said: Mutex::new(now), masked }
    }

    /// More was done, of the thing named.
    pub fn advance(&self, bytes: u64, of: &str) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
            bar.set_message(self.masked.hide(of).into_owned());
            return;
        }
        if let Ok(mut said) = self.said.try_lock()
            && said.elapsed() >= EVERY
        {
            *said = Instant::now();
            self.plain(done, of);
        }
    }

    fn plain(&self, done: u64, of: &str) {
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        let rate = done as f64 / seconds;
        let left = (self.total.saturating_sub(done)) as f64 / rate.max(1.0);
        let (done, total, rate) = (super::bytes(done), super::bytes(self.total), super::bytes(rate as u64));
        let left = super::duration(Duration::from_secs_f64(left));
        let of = self.masked.hide(of);
        let _ = writeln!(std::io::stderr().lock(), "{:>10}  {done}/{total}  {rate}/s  {left} left  {of}", self.heading);
    }

    /// Takes the bar off the screen.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
