//! helm's record of a release that is removed: marked before, so that helm leaves what lasts; put back when helm has forgotten
//! a release of which something is still there. Must not decide what lasts.

use zeroize::Zeroizing;

use super::BackCause;
use crate::execute::Hands;
use crate::plan::BackStep;
use crate::record;

/// helm goes by its newest record when it removes: claims, definitions and namespaces of the chart's templates are marked
/// there, so that it leaves them. The record as it is now; none, when the release is gone.
pub(super) async fn keep_what_lasts(
    release: &str,
    namespace: &str,
    revision: u64,
    hands: Hands<'_>,
) -> Result<Option<Zeroizing<String>>, BackCause> {
    let secret = match hands.kubectl.release_record(namespace, release, revision).await {
        Ok(secret) => Zeroizing::new(secret),
        // Somebody else removed it meanwhile.
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(BackCause::Keep(error)),
    };
    let Some(marked) = record::keeping(&secret)? else { return Ok(Some(secret)) };
    hands.kubectl.put_record(namespace, release, revision, &marked).await.map_err(BackCause::Keep)?;
    Ok(Some(marked))
}

/// helm forgets a release of which it waited for something in vain. Then nobody would know what it still stands on, nor what
/// goes with it: its record is made once more, as that of a release that failed. What goes wrong is not told: the removal
/// failed before it.
pub(super) async fn remember(step: &BackStep, record: Option<Zeroizing<String>>, hands: Hands<'_>) {
    let BackStep { release, namespace, revision, .. } = step;
    let found = hands.kubectl.release_record(namespace, release, *revision).await;
    let Some(record) = record.filter(|_| found.is_err_and(|error| error.is_not_found())) else { return };
    let why = format!("platctl run {}: not everything of it went, and helm forgot it", hands.run.run());
    if let Ok(secret) = record::remembered(&record, &why) {
        let _ = hands.kubectl.create(&format!("/api/v1/namespaces/{namespace}/secrets"), &secret).await;
    }
}
