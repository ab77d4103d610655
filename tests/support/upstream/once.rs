//! Owns "made once, however many ask at the same time": a lock per key around a value that is dear to make.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Result;

/// A lock that a panic elsewhere does not take away from everybody else.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Slot<T> = Arc<Mutex<Option<T>>>;

/// Values by key. Making one holds up only those who ask for the same key.
pub struct Once<T> {
    slots: Mutex<HashMap<String, Slot<T>>>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Once { slots: Mutex::default() }
    }
}

impl<T: Clone> Once<T> {
    /// The value of this key, made now if nobody did yet. A failure is not kept: the next one tries again.
    pub fn get(&self, key: &str, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let slot = lock(&self.slots).entry(key.to_owned()).or_default().clone();
        let mut value = lock(&slot);
        if let Some(value) = value.as_ref() {
            return Ok(value.clone());
        }
        Ok(value.insert(make()?).clone())
    }
}
