//! What one pod says of itself, in a line: why it does not run, or why it is not ready. Pure.

use serde_json::Value;

/// A container whose last words are worth reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    pub namespace: String,
    pub pod: String,
    pub container: String,
    /// It was started again since: what counts is what the one before it said.
    pub previous: bool,
}

/// Why a pod is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    pub line: String,
    pub speaker: Option<Speaker>,
}

/// What a pod says; nothing, when it is as it should be.
pub fn complaint(pod: &Value) -> Option<Complaint> {
    let name = pod["metadata"]["name"].as_str()?;
    let said = |reason: String, speaker| Some(Complaint { line: format!("pod {name}: {reason}"), speaker });
    let status = &pod["status"];
    let list = |key: &str| status[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let containers = || list("initContainerStatuses").iter().chain(list("containerStatuses"));
    if let Some((reason, container)) = containers().find_map(|status| Some((container(status)?, status))) {
        return said(reason, speaker(pod, container));
    }
    let unmet = list("conditions").iter().find(|c| c["type"] == "PodScheduled" && c["status"] == "False");
    if let Some(condition) = unmet {
        let message = condition["message"].as_str().unwrap_or("no reason given");
        return said(format!("not scheduled: {message}"), None);
    }
    let phase = status["phase"].as_str().unwrap_or("Unknown");
    let message = ["reason", "message"].iter().filter_map(|key| status[*key].as_str()).collect::<Vec<_>>().join(": ");
    if phase == "Failed" && !message.is_empty() {
        return said(format!("{phase}: {message}"), None);
    }
    let ready = list("conditions").iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
    if ready || phase == "Succeeded" {
        return None;
    }
    let idle = containers().find(|status| status["ready"] == false && status["state"]["running"].is_object());
    match idle {
        Some(idle) => {
            let container = idle["name"].as_str().unwrap_or_default();
            said(format!("container {container}: runs, but its readiness probe does not succeed"), speaker(pod, idle))
        }
        None => said(format!("{phase}, not ready"), None),
    }
}

/// Why a container does not run.
fn container(status: &Value) -> Option<String> {
    let name = status["name"].as_str()?;
    let restarts = status["restartCount"].as_u64().unwrap_or(0);
    let exit = |terminated: &Value| terminated["exitCode"].as_i64().map(|code| format!("exit {code}"));
    let killed = |terminated: &Value| {
        let reason = terminated["reason"].as_str().filter(|reason| !["Error", "Completed"].contains(reason));
        reason.map(str::to_owned)
    };
    let restarted = match restarts {
        0 => None,
        1 => Some("1 restart".to_owned()),
        n => Some(format!("{n} restarts")),
    };
    let in_brackets = |parts: [Option<String>; 3]| {
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
    };
    let waiting = &status["state"]["waiting"];
    if let Some(reason) = waiting["reason"].as_str().filter(|r| !["PodInitializing", "ContainerCreating"].contains(r)) {
        let last = &status["lastState"]["terminated"];
        let facts = in_brackets([killed(last), exit(last), restarted]);
        // What kubelet says of a back-off is that it backs off.
        let message = waiting["message"].as_str().filter(|text| !text.starts_with("back-off "));
        let message = message.map(|text| format!(": {text}")).unwrap_or_default();
        return Some(format!("container {name}: {reason}{facts}{message}"));
    }
    let terminated = &status["state"]["terminated"];
    terminated["exitCode"].as_i64().filter(|code| *code != 0)?;
    let reason = terminated["reason"].as_str().unwrap_or("Error");
    let message = terminated["message"].as_str().map(|text| format!(": {}", text.trim())).unwrap_or_default();
    Some(format!("container {name}: {reason}{}{message}", in_brackets([exit(terminated), restarted, None])))
}

/// Whose log says more: one that ran.
fn speaker(pod: &Value, status: &Value) -> Option<Speaker> {
    let ran_before = status["lastState"]["terminated"].is_object() || status["restartCount"].as_u64() > Some(0);
    let running = status["state"]["running"].is_object() || status["state"]["terminated"].is_object();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    (ran_before || running).then_some(Speaker {
        namespace: text(&pod["metadata"]["namespace"])?,
        pod: text(&pod["metadata"]["name"])?,
        container: text(&status["name"])?,
        previous: ran_before && !running,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_reason_is_found() {
        let pods = json!([
            {"metadata": {"name": "a"}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}},
            {"metadata": {"name": "b", "namespace": "n"}, "status": {"containerStatuses": [{"name": "c", "restartCount": 5,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting"}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}},
            {"metadata": {"name": "d"}, "status": {"phase": "Pending", "conditions": [
                {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available: insufficient cpu"}]}},
            {"metadata": {"name": "e"}, "status": {"containerStatuses": [{"name": "c", "state": {"waiting":
                {"reason": "ImagePullBackOff", "message": "not found"}}}]}},
            {"metadata": {"name": "f", "namespace": "n"}, "status": {"phase": "Failed", "containerStatuses": [{"name": "c",
                "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}]}},
            {"metadata": {"name": "g", "namespace": "n"}, "status": {"phase": "Running", "containerStatuses": [
                {"name": "c", "ready": false, "state": {"running": {}}}]}},
            {"metadata": {"name": "h"}, "status": {"phase": "Failed", "reason": "Evicted", "message": "the node is full"}},
            {"metadata": {"name": "done"}, "status": {"phase": "Succeeded"}},
        ]);
        let said: Vec<Complaint> = pods.as_array().unwrap().iter().filter_map(complaint).collect();
        let lines: Vec<&str> = said.iter().map(|said| said.line.as_str()).collect();
        let expected = [
            "pod b: container c: CrashLoopBackOff (OOMKilled, exit 137, 5 restarts)",
            "pod d: not scheduled: 0/2 nodes are available: insufficient cpu",
            "pod e: container c: ImagePullBackOff: not found",
            "pod f: container c: Error (exit 3)",
            "pod g: container c: runs, but its readiness probe does not succeed",
            "pod h: Failed: Evicted: the node is full",
        ];
        assert_eq!(lines, expected);
        let previous: Vec<Option<bool>> = said.iter().map(|said| said.speaker.as_ref().map(|s| s.previous)).collect();
        assert_eq!(previous, [Some(true), None, None, Some(false), Some(false), None]);
    }
}
