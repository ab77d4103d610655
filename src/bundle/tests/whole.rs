//! What is written is what is read, and always the same bytes.

use std::io::Read;
use std::sync::Mutex;

use tar::EntryType;

use crate::bundle::entry::{BLOCK, END, header};
use crate::bundle::fixture::Rig;
use crate::bundle::{Bundle, Event, write};
use crate::digest::Digest;
use crate::files::Store;
use crate::layout::media;
use crate::net::fake::noise;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_in_is_found() {
    let rig = Rig::plain();
    let written = rig.write().await.unwrap();
    let bundle = Bundle::open(&rig.output()).unwrap();
    assert_eq!((written.bytes, written.index_digest), (bundle.size(), bundle.index_digest()));
    assert_eq!(bundle.environment(), "prod");
    assert_eq!(bundle.definition().unwrap(), rig.contents.definition);

    let chart = &bundle.charts()[0];
    assert_eq!((chart.name.as_str(), chart.version.as_str()), ("minio", "5.4.0"));
    assert_eq!(bundle.read(&chart.package).unwrap(), b"a chart");
    assert_eq!(bundle.read(&chart.config).unwrap(), br#"{"name":"minio"}"#);
    let tool = &bundle.tools()[0];
    assert_eq!((tool.name.as_str(), tool.version.as_deref()), ("helm", Some("4.3.1")));
    assert_eq!(tool.title, "helm-v4.3.1-linux-amd64.tar.gz");
    assert_eq!(bundle.read(&bundle.platctl().file).unwrap(), noise(70_001));

    let store = Store::open(&rig.dir.path().join("store")).unwrap();
    let path = bundle.extract(&tool.file, &store).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), noise(5_000));
    let verified = bundle.verify(&|_| {}).unwrap();
    assert!(verified.damaged.is_empty() && verified.bytes > 500_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_keep_their_digests_and_share_layers() {
    let rig = Rig::plain();
    let bundle = rig.bundle().await;
    let names: Vec<String> = bundle.images().iter().map(|image| image.reference.to_string()).collect();
    assert_eq!(names, ["docker.io/library/b:2", "quay.io/team/a:1", "quay.io/team/c:3"]);
    let [b, a, c] = bundle.images() else { panic!() };
    let locked = |n: usize| rig.contents.images[n].platforms.values().copied().collect::<Vec<Digest>>();
    assert_eq!((vec![a.top.digest], vec![b.top.digest]), (locked(0), locked(1)));
    assert_eq!(a.manifests[0].layers[0], b.manifests[0].layers[0]);
    assert_eq!(a.source_digest, rig.contents.images[0].digest);

    assert_eq!((b.top.media_type.as_str(), c.top.media_type.as_str()), (media::DOCKER_MANIFEST, media::INDEX));
    assert_eq!(c.manifests.iter().map(|m| m.manifest.digest).collect::<Vec<_>>(), locked(2));
    assert_eq!(c.manifests[0].platform.to_string(), "linux/amd64");
    let totals = bundle.totals();
    assert_eq!((totals.charts, totals.images, totals.layers, totals.shared), (1, 3, 5, 300_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_contents_give_the_same_bytes() {
    let rig = Rig::plain();
    rig.write().await.unwrap();
    let first = std::fs::read(rig.output()).unwrap();
    std::fs::remove_file(rig.output()).unwrap();
    let mut other = Rig::plain();
    other.contents.images.reverse();
    other.write().await.unwrap();
    assert!(first == std::fs::read(other.output()).unwrap());
    assert_eq!(first.len() % 512, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_tar_reader_reads_it() {
    let rig = Rig::plain();
    rig.write().await.unwrap();
    let mut archive = tar::Archive::new(std::fs::File::open(rig.output()).unwrap());
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let (name, link) =
            (entry.path().unwrap().display().to_string(), entry.link_name().unwrap().map(|link| link.into_owned()));
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        match link {
            Some(link) => assert_eq!(link.to_str(), Some("platctl")),
            None if name.starts_with("blobs/") => assert_eq!(name, crate::layout::blob_path(&Digest::of(bytes))),
            None => {}
        }
        names.push(name);
    }
    assert_eq!(names[..3], ["platctl", "oci-layout", "index.json"]);
    let sorted = |names: &[String]| names.is_sorted();
    let streamed = names.len() - 8;
    assert!(sorted(&names[streamed..]), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_add_up() {
    let rig = Rig::plain();
    let layout = rig.layout().await;
    let seen = Mutex::new((0, 0, 0));
    let events = |event| {
        let mut seen = seen.lock().unwrap();
        match event {
            Event::Planned(totals) => seen.0 = totals.bytes,
            Event::Bytes { bytes, .. } => seen.1 += bytes,
            Event::BlobDone { .. } => seen.2 += 1,
            _ => {}
        }
    };
    let written = write(&layout, &rig.output(), &rig.client, 3, &events).await.unwrap();
    let blobs = layout.streamed().count();
    assert_eq!(seen.into_inner().unwrap(), (written.bytes, written.fetched, blobs));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_threads_read_at_once() {
    let rig = Rig::plain();
    let bundle = rig.bundle().await;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(bundle.read(&bundle.platctl().file).unwrap(), noise(70_001)));
        }
    });
}

/// More than eight octal digits and three can say: the size is written in base 256.
#[test]
#[allow(clippy::disallowed_methods)] // What others read is for them to say.
fn gnu_tar_reads_a_layer_of_nine_gibibytes() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.tar");
    let file = std::fs::File::create(&path).unwrap();
    let (name, size) = (format!("blobs/sha256/{}", Digest::of("x").hex()), 9 << 30);
    file.write_all_at(&header(&name, size, EntryType::Regular), 0).unwrap();
    // Nothing is written of it, so it takes no room.
    file.write_all_at(&header("after", 0, EntryType::Regular), BLOCK + size).unwrap();
    file.set_len(BLOCK + size + BLOCK + END).unwrap();
    let listed = std::process::Command::new("tar").arg("tvf").arg(&path).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(text.contains(&format!(" 9663676416 1970-01-01 00:00 {name}\n")) && text.ends_with(" after\n"), "{text}");
    let mut archive = tar::Archive::new(std::fs::File::open(&path).unwrap());
    let sizes: Vec<u64> = archive.entries_with_seek().unwrap().map(|entry| entry.unwrap().size()).collect();
    assert_eq!(sizes, [size, 0]);
}
