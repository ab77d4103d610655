//! The same record with the status `failed`: what takes a release out of the middle of an operation without changing any
//! of its objects. Status and reason are all that differs.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use zeroize::Zeroizing;

use super::UnreadableRecord;
use super::keep::{name, opened};

/// The Secret of a record in the middle of an operation, as JSON, with the status `failed` in its label and in what helm
/// packed into it (as fluxcd/helm-controller's `unlock` does). Everything else stays, `resourceVersion` included, so that
/// the server takes it only in the place of the one that was read. None when the record is in the middle of nothing.
///
/// # Errors
/// [`UnreadableRecord`] when it is no record of helm's.
pub fn unlocked(secret: &str, why: &str) -> Result<Option<Zeroizing<String>>, UnreadableRecord> {
    let (secret, stored) = opened(secret)?;
    let status = stored["info"]["status"].as_str().unwrap_or_default();
    if !status.starts_with("pending") && status != "uninstalling" {
        return Ok(None);
    }
    failed(secret, stored, why).map(Some)
}

/// The Secret of a record that helm has forgotten, to be made once more with the status `failed`: what the server wrote for
/// itself is left out.
///
/// # Errors
/// [`UnreadableRecord`] when it is no record of helm's.
pub fn remembered(secret: &str, why: &str) -> Result<Zeroizing<String>, UnreadableRecord> {
    let (mut secret, stored) = opened(secret)?;
    if let Some(metadata) = secret["metadata"].as_object_mut() {
        metadata.retain(|key, _| ["name", "namespace", "labels", "annotations"].contains(&key.as_str()));
    }
    failed(secret, stored, why)
}

fn failed(mut secret: Value, mut stored: Value, why: &str) -> Result<Zeroizing<String>, UnreadableRecord> {
    stored["info"]["status"] = "failed".into();
    stored["info"]["description"] = why.into();
    let json = Zeroizing::new(stored.to_string());
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    let written = packer.write_all(json.as_bytes()).and_then(|()| packer.finish());
    let inner = written.map_err(|e| UnreadableRecord { release: name(&secret), reason: e.to_string() })?;
    secret["data"]["release"] = STANDARD.encode(STANDARD.encode(inner)).into();
    secret["metadata"]["labels"]["status"] = "failed".into();
    Ok(Zeroizing::new(secret.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::unpacked;
    use super::*;

    fn secret(status: &str) -> String {
        let stored = format!(
            r#"{{"name":"web","info":{{"status":"{status}","notes":"n"}},"config":{{"z":1,"a":1.5}},"version":3}}"#
        );
        let release = STANDARD.encode(STANDARD.encode(stored));
        let labels = serde_json::json!({"name": "web", "status": status});
        let metadata =
            serde_json::json!({"name": "sh.helm.release.v1.web.v3", "resourceVersion": "7", "labels": labels});
        serde_json::json!({"metadata": metadata, "data": {"release": release}, "type": "helm.sh/release.v1"})
            .to_string()
    }

    #[test]
    fn what_helm_forgot_can_be_made_once_more() {
        let text = remembered(&secret("deployed"), "why").unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let expected =
            serde_json::json!({"name": "sh.helm.release.v1.web.v3", "labels": {"name": "web", "status": "failed"}});
        assert_eq!(value["metadata"], expected);
        assert_eq!(value["type"], "helm.sh/release.v1");
        assert!(unlocked(&text, "again").unwrap().is_none());
    }

    #[test]
    fn only_the_status_and_the_reason_differ() {
        for status in ["pending-install", "pending-upgrade", "pending-rollback", "uninstalling"] {
            let text = unlocked(&secret(status), "why").unwrap().unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["metadata"]["labels"], serde_json::json!({"name": "web", "status": "failed"}));
            assert_eq!(
                (&value["metadata"]["resourceVersion"], &value["type"]),
                (&"7".into(), &"helm.sh/release.v1".into())
            );
            let json = String::from_utf8(unpacked(value["data"]["release"].as_str().unwrap()).unwrap()).unwrap();
            let expected = r#"{"name":"web","info":{"status":"failed","notes":"n","description":"why"},"config":{"z":1,"a":1.5},"version":3}"#;
            assert_eq!(json, expected);
        }
    }

    #[test]
    fn what_is_in_the_middle_of_nothing_stays() {
        for status in ["deployed", "failed", "superseded"] {
            assert!(unlocked(&secret(status), "why").unwrap().is_none());
        }
        assert!(unlocked("{}", "why").is_err());
    }
}
