//! Tells which process works on which release as soon as it is started, so that it can be found again when this
//! program is killed.

use tokio::sync::mpsc;

use super::Process;

/// A helm that was started on a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Birth {
    /// The release.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// helm's process.
    pub process: Process,
}

/// Where births are told; nowhere, by default.
#[derive(Debug, Clone, Default)]
pub struct Births(Option<mpsc::UnboundedSender<Birth>>);

impl Births {
    /// A pair: one to tell, one to hear.
    pub fn pair() -> (Births, mpsc::UnboundedReceiver<Birth>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Births(Some(sender)), receiver)
    }

    /// Tells one. A process that has ended already is none.
    pub(super) fn tell(&self, release: &str, namespace: &str, pid: Option<u32>) {
        let (Some(sender), Some(process)) = (&self.0, pid.and_then(Process::of)) else { return };
        // Nobody hears it when the run is over.
        let _ = sender.send(Birth { release: release.to_owned(), namespace: namespace.to_owned(), process });
    }
}
