//! Several pieces of work of which some fail: the others are done all the same, and every failure is told.

use std::collections::BTreeSet;

use futures_util::{Stream, StreamExt};

use super::Error;

/// After so many failures it is given up: where everything fails, the rest would only take time.
const MOST: usize = 10;

/// Does all of it; the results in the order of the stream. What failed for one image is held back until the others are
/// done; a disk that is full, or the like, ends it at once.
pub(super) async fn every<T>(work: impl Stream<Item = Result<T, Error>>) -> Result<Vec<T>, Error> {
    let mut work = std::pin::pin!(work);
    let (mut done, mut failed, mut named) = (Vec::new(), Vec::new(), BTreeSet::new());
    while let Some(result) = work.next().await {
        match result {
            Ok(one) => done.push(one),
            Err(error) => match error.image().map(|image| named.insert(image.to_owned())) {
                Some(true) => failed.push(error),
                // Layers of one image mostly fail for one reason.
                Some(false) => {}
                None => return Err(error),
            },
        }
        if failed.len() == MOST {
            return Err(Error::Several { failed, more: true });
        }
    }
    failed.sort_by(|a, b| a.image().cmp(&b.image()));
    match failed.len() {
        0 => Ok(done),
        1 => Err(failed.remove(0)),
        _ => Err(Error::Several { failed, more: false }),
    }
}
