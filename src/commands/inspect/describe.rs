//! What a bundle holds, for people and for programs.

use serde_json::{Value, json};

use crate::bundle::{Bundle, ImageInfo, Signed, ToolInfo, Verified, shared};
use crate::ui::{bytes, count, table};

/// The lines that are always shown.
pub(super) fn summary(bundle: &Bundle) -> String {
    let totals = bundle.totals();
    let charts: Vec<_> = bundle.charts().iter().map(|chart| format!("{} {}", chart.name, chart.version)).collect();
    let tools: Vec<_> = bundle.tools().iter().chain([bundle.platctl()]).map(tool).collect();
    let (images, layers) = (count(totals.images, "image"), count(totals.layers, "layer"));
    let lines = [
        ("Environment", bundle.environment().to_owned()),
        ("Index", bundle.index_digest().to_string()),
        ("Signature", signature(bundle.signed())),
        ("Size", bytes(bundle.size())),
        ("Charts", charts.join(", ")),
        ("Tools", tools.join(", ")),
        ("Images", format!("{images}, {layers} ({} shared)", bytes(totals.shared))),
    ];
    let extras: Vec<_> =
        bundle.extras().iter().map(|extra| format!("{} {}", extra.name, bytes(extra.file.size))).collect();
    let extras = (!extras.is_empty()).then(|| ("Extras", extras.join(", ")));
    lines.iter().chain(&extras).map(|(key, value)| format!("{key:<12} {value}").trim_end().to_owned() + "\n").collect()
}

fn tool(tool: &ToolInfo) -> String {
    let version = tool.version.as_ref().map(|version| format!("{version} ")).unwrap_or_default();
    format!("{} {version}{}", tool.name, tool.platform)
}

/// A good one is only good where a key is trusted; where none is, that is said.
fn signature(signed: &Signed) -> String {
    match signed {
        Signed::Unchecked { present: true } => "not checked: no key is trusted here".to_owned(),
        Signed::Unchecked { present: false } => "none, and no key is trusted here".to_owned(),
        Signed::By { id, file, .. } => format!("good, by key {id} ({})", file.display()),
    }
}

/// The same for programs, and every chart, tool and image.
pub(super) fn add_summary(bundle: &Bundle, json: &mut Value) {
    let totals = bundle.totals();
    json["environment"] = bundle.environment().into();
    json["index"] = json!(bundle.index_digest());
    json["signature"] = match bundle.signed() {
        Signed::Unchecked { present } => json!({"checked": false, "present": present}),
        Signed::By { id, file, comment } => json!({"checked": true, "key": id, "file": file, "comment": comment}),
    };
    json["size"] = bundle.size().into();
    json["layers"] = totals.layers.into();
    json["sharedBytes"] = totals.shared.into();
    json["charts"] = bundle
        .charts()
        .iter()
        .map(|c| json!({"name": c.name, "version": c.version, "digest": c.package.digest, "size": c.package.size}))
        .collect();
    json["tools"] = bundle.tools().iter().map(tool_json).collect();
    json["platctl"] = tool_json(bundle.platctl());
    json["images"] = bundle.images().iter().map(image_json).collect();
    json["extras"] =
        bundle.extras().iter().map(|e| json!({"name": e.name, "digest": e.file.digest, "size": e.file.size})).collect();
}

fn tool_json(tool: &ToolInfo) -> Value {
    json!({
        "name": tool.name, "version": tool.version, "platform": tool.platform.to_string(), "digest": tool.file.digest,
        "size": tool.file.size,
    })
}

fn image_json(image: &ImageInfo) -> Value {
    json!({
        "ref": image.reference.to_string(), "digest": image.top.digest, "sourceDigest": image.source_digest,
        "size": image.total(),
        "platforms": image.manifests.iter().map(|m| m.platform.to_string()).collect::<Vec<_>>(),
    })
}

/// The layers that several images use.
pub(super) fn shared_text(bundle: &Bundle) -> String {
    let all = shared(bundle.images());
    let saved: u64 = all.iter().map(|layer| layer.saved).sum();
    let mut text = format!("Shared       {}, {} saved\n", count(all.len(), "layer"), bytes(saved));
    let rows = all.iter().flat_map(|layer| {
        let first = vec![layer.digest.to_string(), bytes(layer.size), bytes(layer.saved), layer.images[0].clone()];
        let others = layer.images[1..].iter().map(|image| vec!["".into(), "".into(), "".into(), image.clone()]);
        std::iter::once(first).chain(others).collect::<Vec<_>>()
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        text.push_str(&table(&["LAYER", "SIZE", "SAVED", "IMAGES"], &rows));
    }
    text
}

/// The same for programs.
pub(super) fn shared_json(bundle: &Bundle) -> Value {
    let all = shared(bundle.images()).into_iter();
    all.map(|l| json!({"digest": l.digest, "size": l.size, "saved": l.saved, "images": l.images})).collect()
}

/// What hashing found, for programs.
pub(super) fn verified(verified: &Verified) -> Value {
    let damaged = verified.damaged.iter().map(|damage| {
        json!({
            "entry": damage.entry, "expected": damage.expected, "actual": damage.actual, "neededBy": damage.needed_by,
        })
    });
    json!({"entries": verified.entries, "bytes": verified.bytes, "damaged": damaged.collect::<Vec<_>>()})
}
