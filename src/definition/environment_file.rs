//! The keys of `environment.yaml`, after its layers were merged: typed and strict, one function a key.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Tree;
use super::environment::{Cluster, ClusterNode, Concurrency, Environment, Registry, RegistryMode, Timeouts, Tools};
use super::extra::extras;
use super::file::{check_api_version, dns_label, duration_field};
use crate::image::{Platform, Site, legal_path};
use crate::yaml::{Fields, Node, Problem, Sources, Span, Value};

const DEFAULT_CONCURRENCY: Concurrency = Concurrency { releases: 4, waiting: 16, downloads: 8, uploads: 8 };
const DEFAULT_TIMEOUTS: Timeouts = Timeouts { release: Duration::from_secs(600), request: Duration::from_secs(60) };
/// What is left for an image's own name is as much again.
const LONGEST_PREFIX: usize = 100;
/// The oldest helm that works: plugins as post-renderers, hooks through them, values on standard input beside them.
const MIN_HELM: semver::Version = semver::Version::new(4, 2, 0);

pub(super) fn typed(
    tree: &Tree,
    sources: &Sources,
    name: &str,
    layers: Vec<String>,
    declared: &Node,
) -> Result<Environment, Problem> {
    let mut fields = Fields::of(sources, declared, "the environment")?;
    check_api_version(&mut fields)?;
    fields.get("extends");
    fields.get("abstract");
    let environment = Environment {
        name: name.to_owned(),
        platform: platform(&mut fields)?,
        kube_version: kube_version(&mut fields)?,
        cluster: cluster(sources, &mut fields)?,
        tools: tools(sources, &mut fields)?,
        registry: registry(tree, sources, &layers, &mut fields)?,
        platforms: platforms(&mut fields)?,
        nodes: nodes(sources, &mut fields)?,
        releases: releases(sources, &mut fields)?,
        concurrency: concurrency(sources, &mut fields)?,
        timeouts: timeouts(sources, &mut fields)?,
        extras: extras(sources, &mut fields)?,
        layers,
    };
    fields.finish()?;
    Ok(environment)
}

/// The platform's name becomes a label of every release.
fn platform(fields: &mut Fields) -> Result<String, Problem> {
    let Some(node) = fields.get("platform") else { return Ok("default".to_owned()) };
    let name = fields.text(node, "platform")?;
    if !dns_label(name, 63) {
        let problem = fields.problem(format!("`{name}` is no legal platform name"), node.span);
        return Err(problem.help("use at most 63 lowercase letters, digits and dashes: it becomes a label"));
    }
    Ok(name.to_owned())
}

fn kube_version(fields: &mut Fields) -> Result<String, Problem> {
    let span = fields.need("kubeVersion")?.span;
    let version = fields.need_string("kubeVersion")?;
    let plain = version.strip_prefix('v').unwrap_or(version);
    if semver::Version::parse(plain).is_err() {
        return Err(fields
            .problem(format!("`{version}` is no Kubernetes version"), span)
            .help("write it with its patch, such as \"1.34.4\""));
    }
    Ok(plain.to_owned())
}

fn cluster(sources: &Sources, fields: &mut Fields) -> Result<Cluster, Problem> {
    let Some(node) = fields.get("cluster") else { return Ok(Cluster::default()) };
    let mut fields = Fields::of(sources, node, "`cluster`")?;
    let cluster = Cluster {
        context: fields.string("context")?.map(str::to_owned),
        uid: fields.string("uid")?.map(str::to_owned),
    };
    fields.finish()?;
    Ok(cluster)
}

fn tools(sources: &Sources, fields: &mut Fields) -> Result<Tools, Problem> {
    let node = fields.need("tools")?;
    let mut inner = Fields::of(sources, node, "`tools`")?;
    let mut versions = BTreeMap::new();
    for tool in ["helm", "kubectl", "sops"] {
        if let Some(version) = inner.string(tool)? {
            versions.insert(tool.to_owned(), version.strip_prefix('v').unwrap_or(version).to_owned());
        }
    }
    for needed in ["helm", "kubectl"] {
        inner.need(needed)?;
    }
    let helm = semver::Version::parse(&versions["helm"]).ok();
    if helm.is_none_or(|version| version < MIN_HELM) {
        let span = inner.need("helm")?.span;
        return Err(inner
            .problem(format!("helm {} is too old or no version", versions["helm"]), span)
            .help(format!("name {MIN_HELM} or newer: post-renderers see hooks only from then on")));
    }
    inner.finish()?;
    Ok(Tools(versions))
}

fn registry(
    tree: &Tree,
    sources: &Sources,
    layers: &[String],
    fields: &mut Fields,
) -> Result<Option<Registry>, Problem> {
    let Some(node) = fields.get("registry") else { return Ok(None) };
    let mut fields = Fields::of(sources, node, "`registry`")?;
    let address = fields.need_string("address")?.to_owned();
    if address.contains("://") || address.contains('/') {
        let span = fields.need("address")?.span;
        return Err(fields
            .problem("the registry's address is a host with a port, nothing else", span)
            .help("write host:port; a path belongs into `prefix`, plain HTTP into `plainHTTP: true`"));
    }
    let prefix = prefix(&mut fields)?;
    if let Some(node) = fields.get("mode").filter(|node| node.as_str() != Some("rewrite")) {
        return Err(fields.problem("the only mode of a registry so far is `rewrite`", node.span));
    }
    let ca = match fields.get("ca") {
        None => None,
        Some(node) => {
            let file = fields.text(node, "ca")?;
            let found = layers.iter().rev().find_map(|layer| tree.get(&format!("environments/{layer}/{file}")));
            let missing = || fields.problem(format!("no file `{file}` beside the environment"), node.span);
            Some(found.ok_or_else(missing)?.to_vec())
        }
    };
    let plain_http = fields.boolean("plainHTTP")?.unwrap_or(false);
    let pull_secret = pull_secret(&mut fields)?;
    fields.finish()?;
    Ok(Some(Registry { site: Site { address, prefix }, mode: RegistryMode::Rewrite, plain_http, ca, pull_secret }))
}

/// The path below which everything lies: with what comes below it, a name that registries take.
fn prefix(fields: &mut Fields) -> Result<String, Problem> {
    let Some(node) = fields.get("prefix") else { return Ok(String::new()) };
    let prefix = fields.text(node, "prefix")?;
    let inner = prefix.trim_matches('/');
    if inner.is_empty() || legal_path(inner) && inner.len() <= LONGEST_PREFIX {
        return Ok(prefix.to_owned());
    }
    let problem = format!("no registry takes `{prefix}` as the beginning of a repository's name");
    let help = format!("write at most {LONGEST_PREFIX} of a-z, 0-9 and, between them, `.`, `_`, `-` and `/`");
    Err(fields.problem(problem, node.span).help(help))
}

/// It becomes a Kubernetes Secret of the same name.
fn pull_secret(fields: &mut Fields) -> Result<Option<(String, Span)>, Problem> {
    let Some(node) = fields.get("pullSecret") else { return Ok(None) };
    let name = fields.text(node, "pullSecret")?;
    if !dns_label(name, 253) {
        let problem = fields.problem(format!("`{name}` is no legal name of a Secret"), node.span);
        return Err(problem
            .help("use lowercase letters, digits and dashes: it names a key of secrets.yaml and a Kubernetes Secret"));
    }
    Ok(Some((name.to_owned(), node.span)))
}

fn platforms(fields: &mut Fields) -> Result<Vec<Platform>, Problem> {
    let mut platforms = Vec::new();
    for (text, span) in fields.strings("platforms")? {
        let platform: Platform = text.parse().map_err(|e| fields.problem(format!("{e}"), span))?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    if platforms.is_empty() {
        platforms.push(Platform { os: "linux".to_owned(), arch: "amd64".to_owned(), variant: None });
    }
    platforms.sort();
    Ok(platforms)
}

fn nodes(sources: &Sources, fields: &mut Fields) -> Result<Vec<ClusterNode>, Problem> {
    let one = |node: &Node| {
        let mut fields = Fields::of(sources, node, "a node")?;
        let node = ClusterNode {
            os: fields.need_string("os")?.to_owned(),
            kernel: fields.string("kernel")?.map(str::to_owned),
            arch: fields.need_string("arch")?.to_owned(),
        };
        fields.finish()?;
        Ok(node)
    };
    fields.list("nodes")?.iter().map(one).collect()
}

fn releases(sources: &Sources, fields: &mut Fields) -> Result<BTreeMap<String, (bool, Span)>, Problem> {
    let entries = fields.map("releases")?.iter();
    entries
        .map(|entry| match entry.node.value {
            Value::Bool(on) => Ok((entry.key.clone(), (on, entry.key_span))),
            _ => Err(Problem::new(format!("`{}` must be true or false", entry.key)).at(sources, entry.node.span)),
        })
        .collect()
}

fn concurrency(sources: &Sources, fields: &mut Fields) -> Result<Concurrency, Problem> {
    let Some(node) = fields.get("concurrency") else { return Ok(DEFAULT_CONCURRENCY) };
    let mut fields = Fields::of(sources, node, "`concurrency`")?;
    let mut one = |key: &'static str, least: i64, default: usize| -> Result<usize, Problem> {
        match fields.int(key)? {
            None => Ok(default),
            Some(n) if (least..=64).contains(&n) => Ok(n as usize),
            Some(_) => Err(fields.problem(format!("`{key}` must be between {least} and 64"), node.span)),
        }
    };
    let concurrency = Concurrency {
        releases: one("releases", 1, DEFAULT_CONCURRENCY.releases)?,
        waiting: one("waiting", 0, DEFAULT_CONCURRENCY.waiting)?,
        downloads: one("downloads", 1, DEFAULT_CONCURRENCY.downloads)?,
        uploads: one("uploads", 1, DEFAULT_CONCURRENCY.uploads)?,
    };
    fields.finish()?;
    Ok(concurrency)
}

fn timeouts(sources: &Sources, fields: &mut Fields) -> Result<Timeouts, Problem> {
    let Some(node) = fields.get("timeouts") else { return Ok(DEFAULT_TIMEOUTS) };
    let mut fields = Fields::of(sources, node, "`timeouts`")?;
    let release = duration_field(&mut fields, "release")?.unwrap_or(DEFAULT_TIMEOUTS.release);
    let request = duration_field(&mut fields, "request")?.unwrap_or(DEFAULT_TIMEOUTS.request);
    fields.finish()?;
    Ok(Timeouts { release, request })
}
