//! The same record with the status `failed`: what takes a release out of the middle of an operation without changing any
//! of its objects. Status and reason are all that differs.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{UnreadableRecord, unpacked};

/// The Secret of a record in the middle of an operation, as JSON, with the status `failed` in its label and in what helm
/// packed into it (as fluxcd/helm-controller's `unlock` does). Everything else stays, `resourceVersion` included, so that
/// the server takes it only in the place of the one that was read. None when the record is in the middle of nothing.
///
/// # Errors
/// [`UnreadableRecord`] when it is no record of helm's.
pub fn unlocked(secret: &str, why: &str) -> Result<Option<Zeroizing<String>>, UnreadableRecord> {
    let unknown = |reason: String| UnreadableRecord { release: "a release".to_owned(), reason };
    let mut secret: Value = serde_json::from_str(secret).map_err(|e| unknown(e.to_string()))?;
    let release = secret["metadata"]["name"].as_str().unwrap_or("a release").to_owned();
    let broken = |reason: String| UnreadableRecord { release: release.clone(), reason };
    let packed = secret["data"]["release"].as_str().ok_or_else(|| broken("it holds no release".to_owned()))?;
    let json = Zeroizing::new(unpacked(packed).map_err(broken)?);
    let mut stored: Value = serde_json::from_slice(&json).map_err(|e| broken(e.to_string()))?;
    let status = stored["info"]["status"].as_str().unwrap_or_default();
    if !status.starts_with("pending") && status != "uninstalling" {
        return Ok(None);
    }
    stored["info"]["status"] = "failed".into();
    stored["info"]["description"] = why.into();
    let json = Zeroizing::new(stored.to_string());
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    let written = packer.write_all(json.as_bytes()).and_then(|()| packer.finish());
    let inner = written.map_err(|e| broken(e.to_string()))?;
    secret["data"]["release"] = STANDARD.encode(STANDARD.encode(inner)).into();
    secret["metadata"]["labels"]["status"] = "failed".into();
    Ok(Some(Zeroizing::new(secret.to_string())))
}

#[cfg(test)]
mod tests {
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
