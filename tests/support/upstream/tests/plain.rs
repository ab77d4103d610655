//! Tools, extra files, the record of requests, starting and stopping.

use std::io::{Read, Write};
use std::net::TcpStream;

use flate2::read::GzDecoder;

use super::{Rig, header};
use crate::upstream::{Recorded, Result, architecture};

#[tokio::test]
async fn tools_are_there_in_one_version_for_this_machine() -> Result<()> {
    let rig = Rig::new().await?;
    let arch = architecture();
    let archive = rig.bytes(&format!("/get.helm.sh/helm-v4.3.1-linux-{arch}.tar.gz")).await?;
    let mut found = Vec::new();
    for entry in tar::Archive::new(GzDecoder::new(archive.as_slice())).entries()? {
        let mut entry = entry?;
        let (mut text, path) = (String::new(), entry.path()?.display().to_string());
        entry.read_to_string(&mut text)?;
        found.push((path, entry.header().mode()?, text));
    }
    assert_eq!(found[1], (format!("linux-{arch}/helm"), 0o755, "the program helm".to_owned()));
    let kubectl = format!("/dl.k8s.io/release/v1.34.4/bin/linux/{arch}/kubectl");
    assert_eq!(rig.bytes(&kubectl).await?, b"the program kubectl");
    let sops = format!("/github.com/getsops/sops/releases/download/v3.13.3/sops-v3.13.3.linux.{arch}");
    assert_eq!(rig.bytes(&sops).await?, b"the program sops");
    assert_eq!(rig.status(&format!("/get.helm.sh/helm-v4.3.2-linux-{arch}.tar.gz")).await?, 404);
    assert_eq!(rig.status("/get.helm.sh/helm-v4.3.1-linux-riscv64.tar.gz").await?, 404);
    std::fs::remove_file(rig.path("bin/sops"))?;
    assert_eq!(rig.status(&sops).await?, 404);
    Ok(())
}

#[tokio::test]
async fn extra_files_and_nothing_beside_them() -> Result<()> {
    let rig = Rig::new().await?;
    assert_eq!(rig.bytes("/example.com/some/model.bin").await?, b"a model");
    for path in ["/", "/example.com/some", "/example.com/some/model.bin/more", "/example.com/%00", "/nowhere/at/all"] {
        assert_eq!(rig.status(path).await?, 404, "{path}");
    }
    // A client would resolve the dots before it asks.
    let mut stream = TcpStream::connect(rig.upstream.host())?;
    stream.write_all(b"GET /../upstream.yaml HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    assert!(reply.starts_with("HTTP/1.1 404"), "{reply}");
    Ok(())
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() -> Result<()> {
    let rig = Rig::new().await?;
    for path in ["/charts.min.io/index.yaml", "/example.com/some/model.bin"] {
        let tag = header(rig.get(path).await?.headers(), "etag").to_owned();
        let again = rig.ask(path).header("If-None-Match", &tag).send().await?;
        assert_eq!((again.status().as_u16(), again.bytes().await?.len()), (304, 0));
        let resumed = rig.ask(path).header("Range", "bytes=2-").header("If-Range", &tag).send().await?;
        assert_eq!(resumed.status(), 206);
        let stale = rig.ask(path).header("Range", "bytes=2-").header("If-Range", "\"other\"").send().await?;
        assert_eq!(stale.status(), 200);
    }
    Ok(())
}

#[tokio::test]
async fn requests_are_recorded() -> Result<()> {
    let rig = Rig::new().await?;
    rig.bytes("/example.com/some/model.bin?a=b").await?;
    rig.status("/example.com/none").await?;
    let path = "/example.com/some/model.bin?a=b".to_owned();
    let first = Recorded { method: "GET".to_owned(), path, status: 200, bytes: 7, range: None };
    assert_eq!(rig.upstream.requests()[0], first);
    assert_eq!((rig.upstream.count("GET /example"), rig.upstream.count("none"), rig.upstream.count("HEAD")), (2, 1, 0));
    assert_eq!(rig.upstream.bytes_of("model"), 7);
    let by_hand = rig.json("/_control/requests").await?;
    assert_eq!((by_hand[0]["bytes"].as_u64(), by_hand[1]["status"].as_u64()), (Some(7), Some(404)));
    rig.client.delete(format!("{}/_control/requests", rig.upstream.url())).send().await?;
    assert!(rig.upstream.requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn it_answers_while_the_test_blocks_and_not_when_it_is_gone() -> Result<()> {
    let rig = Rig::new().await?;
    let host = rig.upstream.host();
    let mut stream = TcpStream::connect(&host)?;
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    drop(rig);
    assert!(TcpStream::connect(&host).is_err());
    Ok(())
}
