//! Why pods are not ready, in a line each, from what `kubectl get pods -o json` says. Pure.

use serde_json::Value;

/// One line for every pod that is not as it should be.
pub(super) fn pods(list: &Value) -> Vec<String> {
    list["items"].as_array().into_iter().flatten().filter_map(pod).collect()
}

fn pod(pod: &Value) -> Option<String> {
    let name = pod["metadata"]["name"].as_str()?;
    let status = &pod["status"];
    let statuses = |key: &str| status[key].as_array().cloned().unwrap_or_default();
    let containers = [statuses("initContainerStatuses"), statuses("containerStatuses")].concat();
    if let Some(reason) = containers.iter().find_map(container) {
        return Some(format!("pod {name}: {reason}"));
    }
    let conditions = statuses("conditions");
    let unmet = conditions.iter().find(|c| c["type"] == "PodScheduled" && c["status"] == "False");
    if let Some(condition) = unmet {
        let message = condition["message"].as_str().unwrap_or("no reason given");
        return Some(format!("pod {name}: not scheduled: {message}"));
    }
    let phase = status["phase"].as_str().unwrap_or("Unknown");
    let ready = conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
    (!ready && phase != "Succeeded").then(|| format!("pod {name}: {phase}, not ready"))
}

fn container(status: &Value) -> Option<String> {
    let name = status["name"].as_str()?;
    let restarts = status["restartCount"].as_u64().unwrap_or(0);
    let times = if restarts > 0 { format!(" ({restarts} restarts)") } else { String::new() };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(reason) =
        text(&status["state"]["waiting"]["reason"]).filter(|r| r != "PodInitializing" && r != "ContainerCreating")
    {
        let message = text(&status["state"]["waiting"]["message"]).map(|m| format!(": {m}")).unwrap_or_default();
        let last = &status["lastState"]["terminated"]["exitCode"];
        let exit = last.as_i64().map(|code| format!(", exit {code}")).unwrap_or_default();
        return Some(format!("container {name}: {reason}{exit}{times}{message}"));
    }
    let terminated = &status["state"]["terminated"];
    let code = terminated["exitCode"].as_i64().filter(|code| *code != 0)?;
    let reason = terminated["reason"].as_str().unwrap_or("Error");
    Some(format!("container {name}: {reason}, exit {code}{times}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found() {
        let list = serde_json::json!({"items": [
            {"metadata": {"name": "a"}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}},
            {"metadata": {"name": "b"}, "status": {"containerStatuses": [{"name": "c", "restartCount": 5,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}}]}},
            {"metadata": {"name": "d"}, "status": {"phase": "Pending", "conditions": [
                {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available: insufficient cpu"}]}},
            {"metadata": {"name": "e"}, "status": {"containerStatuses": [{"name": "c", "state": {"waiting":
                {"reason": "ImagePullBackOff", "message": "not found"}}}]}},
            {"metadata": {"name": "done"}, "status": {"phase": "Succeeded"}},
        ]});
        let expected = [
            "pod b: container c: CrashLoopBackOff, exit 1 (5 restarts)",
            "pod d: not scheduled: 0/2 nodes are available: insufficient cpu",
            "pod e: container c: ImagePullBackOff: not found",
        ];
        assert_eq!(pods(&list), expected);
        assert!(pods(&Value::Null).is_empty());
    }
}
