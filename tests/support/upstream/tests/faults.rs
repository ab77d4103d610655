//! What goes wrong on request.

use futures_util::StreamExt;

use super::{Rig, header};
use crate::upstream::{Fault, Result};

const FILE: &str = "/dl.k8s.io/release/v1.34.4/bin/linux";

/// A file of some megabytes, so that it is sent in several pieces.
async fn big() -> Result<(Rig, String, Vec<u8>)> {
    let rig = Rig::new().await?;
    let content: Vec<u8> = (0..3_000_000_u32).map(|place| (place % 251) as u8).collect();
    std::fs::write(rig.path("bin/kubectl"), &content)?;
    let path = format!("{FILE}/{}/kubectl", crate::upstream::architecture());
    Ok((rig, path, content))
}

fn differences(one: &[u8], other: &[u8]) -> Vec<usize> {
    assert_eq!(one.len(), other.len());
    (0..one.len()).filter(|place| one[*place] != other[*place]).collect()
}

#[tokio::test]
async fn one_byte_is_altered_as_often_as_told() -> Result<()> {
    let (rig, path, content) = big().await?;
    rig.upstream.fault(Fault::alter("kubectl").times(2));
    for _ in 0..2 {
        assert_eq!(differences(&rig.bytes(&path).await?, &content), [1_500_000]);
    }
    assert_eq!(rig.bytes(&path).await?, content);
    Ok(())
}

#[tokio::test]
async fn an_offset_is_one_of_the_whole_and_a_miss_does_not_count() -> Result<()> {
    let (rig, path, content) = big().await?;
    let what = crate::upstream::What::Alter { offset: Some(1_000) };
    rig.upstream.fault(Fault::new("kubectl", what).times(1));
    let head = rig.client.head(format!("{}{path}", rig.upstream.url())).send().await?;
    assert_eq!(head.status(), 200);
    let miss = rig.ask(&path).header("Range", "bytes=1001-").send().await?.bytes().await?;
    assert_eq!(miss, content[1001..]);
    let hit = rig.ask(&path).header("Range", "bytes=900-1099").send().await?.bytes().await?;
    assert_eq!(differences(&hit, &content[900..1100]), [100]);
    Ok(())
}

#[tokio::test]
async fn a_cut_promises_all_and_sends_a_part() -> Result<()> {
    let (rig, path, content) = big().await?;
    rig.upstream.fault(Fault::truncate("kubectl", 700_001).times(1));
    let reply = rig.get(&path).await?;
    assert_eq!(header(reply.headers(), "content-length"), content.len().to_string());
    let (mut got, mut failed) = (Vec::new(), false);
    let mut body = reply.bytes_stream();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => got.extend_from_slice(&piece),
            Err(_) => failed = true,
        }
    }
    assert!(failed);
    assert_eq!(got, content[..700_001]);
    assert_eq!(rig.upstream.bytes(), 700_001);
    let rest = rig.ask(&path).header("Range", "bytes=700001-").send().await?;
    got.extend_from_slice(&rest.bytes().await?);
    assert_eq!(got, content, "and goes on from there");
    assert_eq!(rig.upstream.requests()[1].range.as_deref(), Some("bytes=700001-"));
    Ok(())
}

#[tokio::test]
async fn a_status_comes_with_its_headers() -> Result<()> {
    let rig = Rig::new().await?;
    let path = "/v2/quay.io/a/b/manifests/1";
    rig.upstream.fault(Fault::status("/manifests/", 503).header("Retry-After", "1").times(1).method("GET"));
    rig.upstream.fault(Fault::status("quay.io/a", 401).header("WWW-Authenticate", "Bearer realm=\"x\"").times(1));
    let head = rig.client.head(format!("{}{path}", rig.upstream.url())).send().await?;
    assert_eq!((head.status().as_u16(), header(head.headers(), "www-authenticate")), (401, "Bearer realm=\"x\""));
    let get = rig.get(path).await?;
    assert_eq!((get.status().as_u16(), header(get.headers(), "retry-after")), (503, "1"));
    assert_eq!(rig.status(path).await?, 200);
    rig.upstream.fault(Fault::status("quay.io", 404));
    assert_eq!((rig.status(path).await?, rig.status(path).await?), (404, 404), "always, if no number is given");
    rig.upstream.clear_faults();
    assert_eq!(rig.status(path).await?, 200);
    let seen: Vec<u16> = rig.upstream.requests().iter().map(|request| request.status).collect();
    assert_eq!(seen, [401, 503, 200, 404, 404, 200]);
    Ok(())
}

#[tokio::test]
async fn faults_by_hand() -> Result<()> {
    let (rig, path, content) = big().await?;
    let url = format!("{}/_control/faults", rig.upstream.url());
    let fault = r#"[{"path": "kubectl", "times": 1, "what": "status", "code": 429, "headers": {"Retry-After": "2"}},
                    {"path": "kubectl", "what": "alter", "offset": 7}]"#;
    assert_eq!(rig.client.post(&url).body(fault).send().await?.status(), 200);
    assert_eq!(rig.status(&path).await?, 429);
    assert_eq!(differences(&rig.bytes(&path).await?, &content), [7]);
    let wrong = rig.client.post(&url).body(r#"{"path": "x", "what": "explode"}"#).send().await?;
    assert_eq!(wrong.status(), 400);
    assert!(wrong.text().await?.contains("explode"));
    assert_eq!(rig.client.delete(&url).send().await?.status(), 200);
    assert_eq!(rig.bytes(&path).await?, content);
    Ok(())
}
