//! `tier.yaml`: the order of the tiers and what their releases have in common.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Tree;
use super::file::{check_api_version, duration_field, read_optional};
use super::hooks::{self, Hooks};
use crate::yaml::{Fields, Node, Problem, Sources};

/// A tier as its file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TierFile {
    pub order: i64,
    pub gate: bool,
    pub timeout: Option<Duration>,
    pub namespace_labels: BTreeMap<String, String>,
    pub hooks: Hooks,
}

pub(super) fn typed(sources: &Sources, node: &Node, folder: &str) -> Result<TierFile, Problem> {
    let mut fields = Fields::of(sources, node, "the tier")?;
    check_api_version(&mut fields)?;
    fields.need("order")?;
    let order = fields.int("order")?.unwrap_or_default();
    let gate = fields.boolean("gate")?.unwrap_or(true);
    let (mut timeout, mut namespace_labels) = (None, BTreeMap::new());
    if let Some(node) = fields.get("defaults") {
        let mut defaults = Fields::of(sources, node, "`defaults`")?;
        timeout = duration_field(&mut defaults, "timeout")?;
        namespace_labels = defaults.string_map("namespaceLabels")?.into_iter().collect();
        defaults.finish()?;
    }
    let hooks = hooks::typed(sources, fields.get("hooks"), folder)?;
    fields.finish()?;
    Ok(TierFile { order, gate, timeout, namespace_labels, hooks })
}

/// Tiers by order, then by name.
pub(super) fn load(tree: &Tree, sources: &mut Sources) -> Vec<Result<(String, TierFile), Problem>> {
    let mut tiers: Vec<_> = tree
        .folders("templates")
        .into_iter()
        .map(|name| {
            let path = format!("templates/{name}/tier.yaml");
            let node = read_optional(tree, sources, &path)?.ok_or_else(|| {
                Problem::in_file(&path, "no such file: every folder of `templates` is a tier")
                    .help("write apiVersion and `order` there, or move the folder away")
            })?;
            let file = typed(sources, &node, &format!("templates/{name}"))?;
            hooks::check(tree, sources, &file.hooks)?;
            Ok((name, file))
        })
        .collect();
    tiers.sort_by_key(|tier: &Result<(String, TierFile), Problem>| {
        tier.as_ref().map_or((i64::MIN, String::new()), |(name, tier)| (tier.order, name.clone()))
    });
    tiers
}
