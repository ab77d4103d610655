//! Trying a step again whose failure may pass by itself: an API server that is not well, a webhook that is not there yet.
//! Bounded in time, with growing pauses. Must not try again what somebody refused.

use std::time::{Duration, Instant};

use crate::tools::{CallError, Interrupt, Transient, transient};

/// The longest that failures of one kind are tried again, whatever a release's own patience is.
const LONGEST: Duration = Duration::from_secs(120);
/// The first pause; each is twice as long as the one before, up to the last.
const FIRST: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(8);

/// How long to go on, and how long to pause.
#[derive(Debug)]
pub(super) struct Patience {
    longest: Duration,
    /// When it ends; known from the first failure on: what went well before it, as long as that took, is no reason to give up.
    end: Option<Instant>,
    pause: Duration,
    interrupt: Interrupt,
    /// How often it was tried again.
    pub tries: u32,
}

impl Patience {
    /// Patience for as long as a step may take, within bounds, from its first failure on.
    pub fn of(timeout: Duration, interrupt: &Interrupt) -> Patience {
        Patience { longest: timeout.min(LONGEST), end: None, pause: FIRST, interrupt: interrupt.clone(), tries: 0 }
    }

    /// Whether to try again, after a pause; says why.
    pub async fn again(&mut self, error: &CallError, say: &(dyn Fn(String) + Send + Sync)) -> bool {
        let Some(why) = transient(error.stderr()).filter(|_| !error.interrupted()) else { return false };
        let now = Instant::now();
        if now + self.pause >= *self.end.get_or_insert(now + self.longest) {
            return false;
        }
        let why = match why {
            Transient::Webhook { name, why } => format!("webhook {name} does not answer ({why})"),
            Transient::Server => "the API server does not answer as it should".to_owned(),
        };
        say(format!("{why}; again in {:.1} s", self.pause.as_secs_f64()));
        tokio::select! {
            () = tokio::time::sleep(self.pause) => {}
            () = self.interrupt.wait() => return false,
        }
        self.pause = (self.pause * 2).min(LAST);
        self.tries += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(stderr: &str) -> CallError {
        let (command, status) = ("helm".to_owned(), "exit status 1".to_owned());
        CallError::Failed { command, status, code: Some(1), stderr: stderr.to_owned(), interrupted: false }
    }

    #[tokio::test]
    async fn only_what_may_pass_is_tried_again_and_not_for_ever() {
        let (_interrupter, interrupt) = Interrupt::pair();
        let mut patience = Patience::of(Duration::from_secs(2), &interrupt);
        assert!(!patience.again(&failed("is forbidden"), &|_| {}).await);
        let said = std::sync::Mutex::new(Vec::new());
        let begun = Instant::now();
        while patience.again(&failed("connection refused"), &|text| said.lock().unwrap().push(text)).await {}
        assert_eq!(patience.tries, 2, "after 0.5 and 1 s; 2 s more would be too long");
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert!(said.lock().unwrap()[1].ends_with("again in 1.0 s"));
    }

    #[tokio::test]
    async fn what_went_well_before_takes_no_patience() {
        let (_interrupter, interrupt) = Interrupt::pair();
        let mut patience = Patience::of(Duration::from_secs(1), &interrupt);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert!(patience.again(&failed("connection refused"), &|_| {}).await);
        assert!(!patience.again(&failed("connection refused"), &|_| {}).await, "1 s more would be too long");
    }

    #[tokio::test]
    async fn an_interrupt_ends_a_pause() {
        let (interrupter, interrupt) = Interrupt::pair();
        interrupter.say();
        let mut patience = Patience::of(Duration::from_secs(60), &interrupt);
        assert!(!patience.again(&failed("connection refused"), &|_| {}).await);
    }
}
