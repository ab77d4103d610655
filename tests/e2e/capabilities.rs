//! What clusters offer: the shipped table against the rig's server, and renders that ask, offline and live.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::platform::Small;
use crate::rig::rig;
use crate::support::{read, root};

/// Every `group/version` and `group/version/Kind` of a capabilities.yaml, but for groups of definitions: other tests
/// install some.
fn names(text: &str, without: &BTreeSet<String>) -> BTreeSet<String> {
    let yaml: Value = serde_yaml::from_str(text).unwrap();
    let mut names = BTreeSet::new();
    for (api, kinds) in yaml["apis"].as_object().unwrap() {
        names.insert(api.clone());
        names.extend(kinds.as_array().unwrap().iter().map(|kind| format!("{api}/{}", kind.as_str().unwrap())));
    }
    names.retain(|name| !without.contains(name.split('/').next().unwrap()));
    names
}

fn groups_of_definitions() -> BTreeSet<String> {
    let list = rig().get(&["customresourcedefinitions"]);
    let groups =
        list["items"].as_array().unwrap().iter().map(|item| item["spec"]["group"].as_str().unwrap().to_owned());
    groups.collect()
}

#[test]
fn the_table_is_what_the_rigs_server_offers() {
    let small = Small::new("capabilities").release("one", "app", "").locked();
    small.run(&["doctor", "-e", "site"]).ok();
    small.run(&["doctor", "-e", "site", "--record"]).ok();
    let chart = root().join("tests/rig/capabilities");
    let said = rig().helm(&["install", "capabilities", chart.to_str().unwrap(), "--dry-run=server"]);
    let groups = groups_of_definitions();
    let told = said.lines().filter_map(|line| line.trim().strip_prefix("api ")).map(str::to_owned);
    let told: BTreeSet<String> = told.filter(|name| !groups.contains(name.split('/').next().unwrap())).collect();
    let table = names(&read(&root().join("src/capabilities/tables/1.34.yaml")), &groups);
    let recorded = names(&read(&small.path("environments/site/capabilities.yaml")), &groups);
    assert!(told.len() > 80, "{told:?}");
    assert_eq!(told, table);
    assert_eq!(recorded, table);
}

const THING: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.asking.example.org}
spec:
  group: asking.example.org
  names: {kind: Thing, plural: things, singular: thing}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

/// A chart that asks, and renders an object more for what is there.
const ASKING: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: asked}
data:
  version: {{ .Capabilities.KubeVersion.Version | quote }}
{{- range $name := list \"policy/v1/PodDisruptionBudget\" \"policy/v1/Nothing\" \"apps/v1/Scale\" \"batch/v2/Job\"
    \"asking.example.org/v1\" \"asking.example.org/v1/Thing\" \"asking.example.org/v2/Thing\" }}
  {{ $name | replace \"/\" \"_\" }}: {{ $.Capabilities.APIVersions.Has $name | quote }}
{{- end }}
---
{{- if .Capabilities.APIVersions.Has \"asking.example.org/v1/Thing\" }}
apiVersion: asking.example.org/v1
kind: Thing
metadata: {name: thing}
{{- end }}
---
{{- if .Capabilities.APIVersions.Has \"policy/v1/PodDisruptionBudget\" }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: budget}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: none}}}
{{- end }}
";

#[test]
fn a_chart_that_asks_renders_the_same_offline_and_live() {
    let small = Small::new("asking").release("one", "brings", "").release("two", "asks", "");
    small.put("templates/one/brings/chart/crds/things.yaml", THING);
    small.put("templates/two/asks/chart/templates/asking.yaml", ASKING);
    let small = small.locked();
    let all = small.run(&["template", "-e", "site"]).ok().stdout;
    let one = small.run(&["template", "-e", "site", "-l", "name=asks"]).ok().stdout;
    assert!(all.ends_with(&one), "{all}\nends otherwise than\n{one}");
    assert!(one.contains("kind: Thing") && one.contains("kind: PodDisruptionBudget"), "{one}");

    small.apply().ok();
    let asked = rig().get(&["configmap", "asked", "--namespace=asking"]);
    for (name, answer) in asked["data"].as_object().unwrap() {
        let line = format!("  {name}: \"{}\"\n", answer.as_str().unwrap());
        assert!(one.contains(&line), "live {line}offline {one}");
    }
    assert_eq!(asked["data"]["policy_v1_PodDisruptionBudget"], "true");
    assert_eq!(asked["data"]["asking.example.org_v1_Thing"], "true");
    assert_eq!(asked["data"]["policy_v1_Nothing"], "false");
    rig().kubectl(&["get", "things.asking.example.org/thing", "poddisruptionbudget/budget", "--namespace=asking"]);
}
