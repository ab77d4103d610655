//! Interrupted, resumed, refused: the bytes are those of an undisturbed run.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::bundle::assemble::Source;
use crate::bundle::fixture::Rig;
use crate::bundle::{Error, write};
use crate::net::Reason;
use crate::net::fake::{Reply, noise};

fn partial(rig: &Rig) -> PathBuf {
    rig.dir.path().join("platform.tar.partial")
}

async fn undisturbed() -> Vec<u8> {
    let rig = Rig::plain();
    rig.write().await.unwrap();
    std::fs::read(rig.output()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_not_right_is_fetched_again() {
    let rig = Rig::plain();
    let layout = rig.layout().await;
    write(&layout, &rig.output(), &rig.client, 3, &|_| {}).await.unwrap();
    let whole = std::fs::read(rig.output()).unwrap();
    std::fs::rename(rig.output(), partial(&rig)).unwrap();

    // Garbage in one blob, in a header, in the padding; another blob as if it had never been written.
    let mut streamed: Vec<_> = layout.streamed().map(|(entry, _)| entry.place).collect();
    streamed.sort_by_key(|place| place.size);
    let [empty, garbage, headless] = [streamed[0], streamed[2], streamed[3]];
    let file = File::options().write(true).open(partial(&rig)).unwrap();
    file.write_all_at(&vec![0; empty.size as usize], empty.offset).unwrap();
    file.write_all_at(b"garbage", garbage.offset + 100).unwrap();
    file.write_all_at(b"garbage", garbage.offset + garbage.size).unwrap();
    file.write_all_at(b"garbage", headless.offset - 512).unwrap();
    drop(file);

    let again = write(&layout, &rig.output(), &rig.client, 3, &|_| {}).await.unwrap();
    assert!(whole == std::fs::read(rig.output()).unwrap());
    assert_eq!(again.fetched, empty.size + garbage.size + headless.size);
    assert!(!partial(&rig).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_of_something_else_is_written_over() {
    let rig = Rig::plain();
    for left in [noise(2_000_000), noise(10), Vec::new()] {
        std::fs::write(partial(&rig), left).unwrap();
        let written = rig.write().await.unwrap();
        assert_eq!(written.resumed, 0);
        assert!(undisturbed().await == std::fs::read(rig.output()).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_of_any_length_is_resumed() {
    let rig = Rig::plain();
    let whole = undisturbed().await;
    for length in [1, 512, 3000, 80_000, 200_000, whole.len() - 1] {
        std::fs::write(partial(&rig), &whole[..length]).unwrap();
        rig.write().await.unwrap();
        assert!(whole == std::fs::read(rig.output()).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_a_failure_stays() {
    let base = noise(300_000);
    let digest = crate::digest::Digest::of(&base).to_string();
    let gone = digest.clone();
    let rig = Rig::new(move |request, number| {
        (request.path.ends_with(&gone) && number < 4)
            .then(|| Reply { delay: std::time::Duration::from_millis(300), ..Reply::new(503) })
    });
    let error = rig.write().await.unwrap_err();
    let Error::Fetch { what, source } = error else { panic!("{error:?}") };
    assert_eq!(what, "docker.io/library/b:2, quay.io/team/a:1");
    assert_eq!(source.status(), Some(503));
    assert!(!rig.output().exists());
    let again = rig.write().await.unwrap();
    assert_eq!(again.fetched, 300_000);
    assert!(undisturbed().await == std::fs::read(rig.output()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_layer_is_its_own_error() {
    let digest = crate::digest::Digest::of(noise(300_000)).to_string();
    let rig = Rig::new(move |request, _| request.path.ends_with(&digest).then(|| Reply::body(vec![7; 300_000])));
    let error = rig.write().await.unwrap_err();
    let Error::Fetch { source, .. } = error else { panic!("{error:?}") };
    assert!(matches!(source.reason, Reason::Mismatch { .. }), "{source}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_meanwhile_is_refused() {
    let rig = Rig::plain();
    let layout = rig.layout().await;
    std::fs::write(&rig.contents.charts[0].file, b"A chart").unwrap();
    let error = write(&layout, &rig.output(), &rig.client, 3, &|_| {}).await.unwrap_err();
    assert!(matches!(&error, Error::Changed { path, .. } if *path == rig.contents.charts[0].file), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time() {
    let rig = Rig::plain();
    let layout = rig.layout().await;
    let held = File::create(partial(&rig)).unwrap();
    held.lock().unwrap();
    let error = write(&layout, &rig.output(), &rig.client, 3, &|_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Busy { .. }));
    drop(held);
    write(&layout, &rig.output(), &rig.client, 3, &|_| {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_too_small_is_known_before() {
    let rig = Rig::plain();
    let mut layout = rig.layout().await;
    layout.size = 1 << 60;
    let asked = rig.server.asked().len();
    let error = write(&layout, &rig.output(), &rig.client, 3, &|_| {}).await.unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
    assert_eq!(rig.server.asked().len(), asked);
}

/// A bundle of which the largest blob is half there, as `alter` leaves that half; the blob's size.
async fn half_of_the_largest(rig: &Rig, alter: impl Fn(&mut Vec<u8>)) -> u64 {
    let layout = rig.layout().await;
    write(&layout, &rig.output(), &rig.client, 3, &|_| {}).await.unwrap();
    std::fs::rename(rig.output(), partial(rig)).unwrap();
    let from_registry = layout.streamed().filter(|(_, blob)| matches!(blob.source, Source::Repository(..)));
    let place = from_registry.map(|(entry, _)| entry.place).max_by_key(|place| place.size).unwrap();
    let file = File::options().read(true).write(true).open(partial(rig)).unwrap();
    let mut bytes = vec![0; place.size as usize];
    file.read_exact_at(&mut bytes, place.offset).unwrap();
    bytes[place.size as usize / 2..].fill(0);
    alter(&mut bytes);
    file.write_all_at(&bytes, place.offset).unwrap();
    rig.server.seen.lock().unwrap().clear();
    place.size
}

fn ranges(rig: &Rig) -> Vec<Option<String>> {
    let seen = rig.server.seen.lock().unwrap();
    let blobs = seen.iter().filter(|request| request.path.contains("/blobs/"));
    blobs.map(|request| request.header("range").map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_blob_of_an_earlier_run_is_gone_on_with() {
    let rig = Rig::plain();
    let size = half_of_the_largest(&rig, |_| {}).await;
    let again = write(&rig.layout().await, &rig.output(), &rig.client, 3, &|_| {}).await.unwrap();
    assert_eq!(again.fetched, size - size / 2);
    assert_eq!(ranges(&rig).last(), Some(&Some(format!("bytes={}-", size / 2))));
    assert!(undisturbed().await == std::fs::read(rig.output()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_blob_that_is_wrong_is_fetched_once_more_from_its_beginning() {
    let rig = Rig::plain();
    let size = half_of_the_largest(&rig, |bytes| bytes[1000] ^= 1).await;
    write(&rig.layout().await, &rig.output(), &rig.client, 3, &|_| {}).await.unwrap();
    let asked = ranges(&rig);
    assert_eq!(asked[asked.len() - 2..], [Some(format!("bytes={}-", size / 2)), None]);
    assert!(undisturbed().await == std::fs::read(rig.output()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_a_crash_lost_is_fetched() {
    let rig = Rig::plain();
    // The machine went down when the end was on the disk and a page in the middle was not.
    half_of_the_largest(&rig, |bytes| bytes[70_000..74_096].fill(0)).await;
    write(&rig.layout().await, &rig.output(), &rig.client, 3, &|_| {}).await.unwrap();
    assert!(undisturbed().await == std::fs::read(rig.output()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_layout_left_is_no_beginning() {
    let rig = Rig::plain();
    let layout = rig.layout().await;
    std::fs::write(partial(&rig), noise(layout.size as usize)).unwrap();
    let failing = Rig::new(|request, _| request.path.contains("/blobs/").then(|| Reply::new(404)));
    write(&layout, &rig.output(), &failing.client, 3, &|_| {}).await.unwrap_err();
    rig.server.seen.lock().unwrap().clear();
    write(&layout, &rig.output(), &rig.client, 3, &|_| {}).await.unwrap();
    assert!(ranges(&rig).iter().all(Option::is_none), "{:?}", ranges(&rig));
    assert!(undisturbed().await == std::fs::read(rig.output()).unwrap());
}
