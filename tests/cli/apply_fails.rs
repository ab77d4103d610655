//! `apply` when it must not go on, or something fails: what is refused, what still runs, what is said.

use std::fs;

use rustix::process::Signal;

use crate::assert_screen;
use crate::shop::{Shop, UID};
use crate::support::program::until;
use crate::support::{Output, put, read};

const APPLY: [&str; 3] = ["apply", "-e", "prod"];
pub const OURS: &str = "platctl.dev/platform=shop,platctl.dev/environment=prod";

/// Applies, which is refused: nothing is changed.
fn refused(shop: &Shop, name: &str, args: &[&str]) -> Output {
    let output = shop.run(args).exits(4);
    assert_eq!(shop.changing_calls(), Vec::<String>::new());
    assert_screen!(shop.path(), name, output.screen());
    output
}

/// A record of helm's that platctl did not make.
pub fn record(shop: &Shop, namespace: &str, name: &str, revision: u32, status: &str, labels: &str) {
    let labels = if labels.is_empty() { String::new() } else { format!(",{labels}") };
    let line = format!(
        "{namespace}   sh.helm.release.v1.{name}.v{revision}   helm.sh/release.v1   1   5m   name={name},owner=helm,status={status},version={revision}{labels}\n"
    );
    let old = read(&shop.fake("records"));
    put(&shop.fake("records"), old + &line);
}

#[test]
fn the_wrong_cluster() {
    let shop = Shop::locked();
    shop.add("environments/prod/environment.yaml", &format!("cluster: {{uid: {UID}, context: site}}\n"));
    refused(&shop, "wrong_context", &["apply", "-e", "prod", "--context", "laptop"]);
    put(&shop.fake("uid"), "another-cluster");
    refused(&shop, "wrong_uid", &APPLY);
    for verb in ["plan", "status"] {
        shop.run(&[verb, "-e", "prod"]).exits(4);
    }
}

#[test]
fn releases_of_others() {
    let shop = Shop::locked();
    record(&shop, "data", "store", 3, "deployed", "");
    record(&shop, "shop", "web", 1, "deployed", "platctl.dev/platform=other,platctl.dev/environment=prod");
    refused(&shop, "foreign", &APPLY);
    assert_screen!(shop.path(), "foreign_plan", shop.run(&["plan", "-e", "prod"]).ok().screen());
}

#[test]
fn releases_in_the_middle_of_something() {
    let shop = Shop::locked();
    record(&shop, "data", "store", 1, "deployed", OURS);
    record(&shop, "data", "store", 2, "pending-upgrade", OURS);
    record(&shop, "shop", "web", 1, "pending-install", OURS);
    refused(&shop, "pending", &APPLY);
    assert_screen!(shop.path(), "pending_plan", shop.run(&["plan", "-e", "prod"]).ok().screen());
    let output = shop.run(&["apply", "-e", "prod", "--recover", "rollback", "-l", "tier=base"]).ok();
    assert_screen!(shop.path(), "recovered", output.screen());
    let uninstall = ["apply", "-e", "prod", "--recover", "uninstall", "-l", "name=web", "--skip-needs"];
    assert_screen!(shop.path(), "uninstalled", shop.run(&uninstall).ok().screen());
    let calls = shop.calls();
    let own = |verb: &str| calls.iter().filter(|call| call.starts_with(verb)).cloned().collect::<Vec<_>>().join("\n");
    assert_screen!(shop.path(), "recover_calls", [own("helm rollback"), own("helm uninstall")].join("\n"));
}

#[test]
fn an_image_that_only_the_cluster_makes_known() {
    let shop = Shop::locked();
    let live = "---\n# Source: api/templates/job.yaml\napiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, namespace: shop}\nspec:\n  template:\n    spec:\n      containers:\n      - {name: m, image: quay.io/unknown/thing:1}\n";
    put(&shop.fake("live/api.yaml"), live);
    let output = shop.run(&APPLY).exits(1);
    assert_screen!(shop.path(), "closed_world", output.screen());
    assert_eq!(read(&shop.fake("applied-api")), "", "helm was given nothing to install");
}

#[test]
fn an_image_that_is_not_locked_is_found_before() {
    let shop = Shop::locked();
    put(&shop.file("environments/prod/releases/web.yaml"), "image: registry.example.org/shop/web:9\n");
    refused(&shop, "image_not_locked", &APPLY);
}

/// One release fails with a word of helm's.
fn failing(shop: &Shop, release: &str, word: &str) -> Output {
    put(&shop.fake(&format!("fail/upgrade-{release}")), word);
    shop.run(&APPLY).exits(1)
}

#[test]
fn what_helm_says_is_sorted() {
    for (name, word) in [
        (
            "helm_deadline",
            "Error: resource Deployment/shop/web not ready. status: InProgress, message: Available: 0/1\ncontext deadline exceeded\n",
        ),
        ("helm_pending", "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress\n"),
        (
            "helm_ownership",
            "Error: Unable to continue with install: ServiceAccount \"web\" in namespace \"shop\" exists and cannot be imported into the current release: invalid ownership metadata; label validation error: key \"app.kubernetes.io/managed-by\" must equal \"Helm\": current value is \"\"\n",
        ),
        (
            "helm_conflict",
            "Error: conflict occurred while applying object shop/web apps/v1, Kind=Deployment: Apply failed with 1 conflict: conflict with \"kubectl-edit\" using apps/v1: .spec.replicas\n",
        ),
        (
            "helm_schema",
            "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nweb:\n- at '': additional properties 'hots' not allowed\n",
        ),
        (
            "helm_webhook",
            "Error: Internal error occurred: failed calling webhook \"webhook.cert-manager.io\": no endpoints available for service \"cert-manager-webhook\"\n",
        ),
        (
            "helm_forbidden",
            "Error: secrets is forbidden: User \"dev\" cannot create resource \"secrets\" in API group \"\" in the namespace \"shop\"\n",
        ),
        (
            "helm_refused",
            "Error: kubernetes cluster unreachable: Get \"https://10.0.0.1:6443/version\": dial tcp 10.0.0.1:6443: connect: connection refused\n",
        ),
        ("helm_unknown", "Error: something nobody has seen before\n"),
        ("helm_silent", ""),
    ] {
        let shop = Shop::locked();
        // What may pass is tried again for as long as the release may take.
        shop.edit("templates/apps/web/release.yaml", "timeout: 2m", "timeout: 2s");
        shop.run(&["apply", "-e", "prod", "-l", "tier=base"]).ok();
        assert_screen!(shop.path(), name, failing(&shop, "web", word).screen());
    }
}

/// What the words are of a value that somebody set: the line is shown, and where its template leads.
#[test]
fn who_set_what_is_refused() {
    let settings = "limits: \"{{ values.limits }}\"\nhots: [a]\nhosts: [b]\npull: Sometimes\n";
    for (name, word) in [
        (
            "blame_schema",
            "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nweb:\n- at '/limits/memory': got string, want integer\n- at '': additional properties 'hots' not allowed\n",
        ),
        (
            "blame_server",
            "level=WARN msg=\"upgrade failed\" name=web error=\"failed to create resource: server-side apply failed for object shop/web apps/v1, Kind=Deployment: Deployment.apps \\\"web\\\" is invalid: spec.template.spec.containers[0].imagePullPolicy: Unsupported value: \\\"Sometimes\\\": supported values: \\\"Always\\\", \\\"IfNotPresent\\\", \\\"Never\\\"\"\nError: UPGRADE FAILED: failed to create resource: server-side apply failed for object shop/web apps/v1, Kind=Deployment: Deployment.apps \"web\" is invalid: spec.template.spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"\n",
        ),
        (
            "blame_quantity",
            "Error: server-side apply failed for object shop/web apps/v1, Kind=Deployment: failed to convert new object (shop/web; apps/v1, Kind=Deployment) to proper version: unable to convert unstructured object to apps/v1, Kind=Deployment: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'\n",
        ),
    ] {
        let shop = Shop::locked();
        put(&shop.file("templates/apps/web/values.yaml"), settings);
        shop.add("environments/prod/values.yaml", "limits: {cpu: 1, memory: 10Gib}\n");
        shop.run(&["apply", "-e", "prod", "-l", "tier=base"]).ok();
        assert_screen!(shop.path(), name, failing(&shop, "web", word).screen());
    }
}

#[test]
fn pods_say_why() {
    let shop = Shop::locked();
    let word = shop.crashing("shop", "web", "back-off 5m0s", "psycopg2.OperationalError: no such host\n");
    let output = failing(&shop, "web", &word);
    assert_screen!(shop.path(), "pods", output.screen());
    fs::remove_file(shop.fake("workings")).unwrap();
    assert_screen!(shop.path(), "pods_unknown", shop.run(&APPLY).exits(1).screen());
}

#[test]
fn a_failure_stops_what_needs_it_and_nothing_else() {
    let shop = Shop::locked();
    assert_screen!(shop.path(), "api_fails", failing(&shop, "api", "Error: no\n").screen());
    assert_eq!(shop.upgraded(), ["queue", "store", "api", "jobs"]);
    fs::remove_file(shop.fake("fail/upgrade-api")).unwrap();
    shop.forget_calls();
    assert_screen!(shop.path(), "api_succeeds", shop.run(&APPLY).ok().screen());
    assert_eq!(shop.upgraded(), ["api", "web"]);
}

#[test]
fn a_gate_holds_the_next_tier() {
    let shop = Shop::locked();
    assert_screen!(shop.path(), "gate", failing(&shop, "store", "Error: no\n").screen());
    assert_eq!(shop.upgraded(), ["queue", "store"]);
    shop.add("templates/base/tier.yaml", "gate: false\n");
    shop.forget_calls();
    assert_screen!(shop.path(), "no_gate", shop.run(&APPLY).exits(1).screen());
    assert_eq!(shop.upgraded(), ["store", "api", "jobs"]);
}

/// kubectl's own log, which it writes five times over.
const KLOG: &str = "E1122 02:28:34.388954   18725 memcache.go:265] \"Unhandled Error\" err=\"couldn't get current server API \
                    group list: Get \\\"http://localhost:8080/api?timeout=32s\\\": connection refused\"\n";

#[test]
fn kubectl_that_fails() {
    let refused = "The connection to the server localhost:8080 was refused - did you specify the right host or port?\n";
    let no_server = KLOG.repeat(5) + refused;
    for (name, file, word) in [
        ("kubectl_no_server", "get-secrets", no_server.as_str()),
        ("kubectl_no_context", "get-secrets", "error: context \"site\" does not exist\n"),
        ("kubectl_unauthorized", "get-secrets", "error: You must be logged in to the server (Unauthorized)\n"),
        (
            "kubectl_namespace",
            "apply",
            "Error from server (Forbidden): namespaces is forbidden: User \"dev\" cannot patch resource \"namespaces\"\n",
        ),
    ] {
        let shop = Shop::locked();
        put(&shop.fake("fail").join(file), word);
        assert_screen!(shop.path(), name, shop.run(&APPLY).exits(1).screen());
        assert!(shop.upgraded().is_empty());
    }
}

#[test]
fn definitions_of_resources_are_taken_over_from_helm_alone() {
    let crd = "---\n# Source: store/crds/a.yaml\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a.example.org}\nspec: {group: example.org, names: {kind: A, plural: a}, versions: [{name: v1, served: true, storage: true}]}\n";
    for (name, manager, code) in [("crd_of_helm", "helm", 0), ("crd_of_others", "cainjector", 1)] {
        let shop = Shop::locked();
        shop.run(&["apply", "-e", "prod", "-l", "name=queue"]).ok();
        shop.forget_calls();
        put(&shop.fake("render/store.yaml"), crd);
        let word = format!(
            "error: Apply failed with 1 conflict: conflict with \"{manager}\" using apiextensions.k8s.io/v1: .spec.versions\n"
        );
        // The first apply is that of the namespaces: it has to pass.
        put(&shop.fake("fail-second"), word);
        let output = shop.run(&["apply", "-e", "prod", "-l", "tier=base"]).exits(code);
        assert_screen!(shop.path(), name, output.screen());
        let forced = shop.calls().iter().filter(|call| call.contains("--force-conflicts")).count();
        assert_eq!(forced, usize::from(code == 0));
    }
}

#[test]
fn a_definition_without_conditions_yet_is_waited_for() {
    // As controller-gen writes them: a separator between helm's comment and the definition.
    let crd = "---\n# Source: store/crds/a.yaml\n---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a.example.org}\nspec: {group: example.org, names: {kind: A, plural: a}, versions: [{name: v1, served: true, storage: true}]}\n";
    let shop = Shop::locked();
    shop.run(&["apply", "-e", "prod", "-l", "name=queue"]).ok();
    shop.forget_calls();
    put(&shop.fake("render/store.yaml"), crd);
    let early = "error: .status.conditions accessor error: <nil> is of the type <nil>, expected []interface{}\n";
    put(&shop.fake("fail-once/wait"), early);
    shop.run(&["apply", "-e", "prod", "-l", "tier=base"]).ok();
    let waits = shop.calls().iter().filter(|call| call.contains("customresourcedefinition/a.example.org")).count();
    assert_eq!(waits, 2, "asked too early, and again");
}

#[test]
fn an_interrupt_waits_for_helm() {
    an_end_that_waits_for_helm(Signal::INT, &[]);
}

/// What a lost connection sends, unless whoever started it wanted it to go on then.
#[test]
fn a_lost_connection_is_an_interrupt_but_under_nohup() {
    an_end_that_waits_for_helm(Signal::HUP, &["env", "--default-signal=HUP", env!("CARGO_BIN_EXE_platctl")]);
    let shop = Shop::locked();
    put(&shop.fake("hang/store"), "");
    let program = shop.platctl().through(&["env", "--ignore-signal=HUP", env!("CARGO_BIN_EXE_platctl")]);
    let running = program.args(APPLY).start(shop.path());
    until("helm is at work on store", || shop.fake("started-store").exists());
    running.signal(Signal::HUP);
    std::thread::sleep(std::time::Duration::from_millis(300));
    fs::remove_file(shop.fake("hang/store")).unwrap();
    running.wait().exits(0);
}

fn an_end_that_waits_for_helm(signal: Signal, through: &[&str]) {
    let shop = Shop::locked();
    put(&shop.fake("hang/store"), "");
    let program = if through.is_empty() { shop.platctl() } else { shop.platctl().through(through) };
    let mut running = program.args(APPLY).start(shop.path());
    until("helm is at work on store", || shop.fake("started-store").exists());
    assert!(!running.ended());
    running.signal(signal);
    let output = running.wait().exits(130);
    assert_screen!(shop.path(), "interrupted", output.screen());
    assert_eq!(shop.upgraded(), ["queue", "store"], "nothing else is begun");
    assert!(!read(&shop.fake("records")).contains("pending"), "helm had the time to clear up");
    fs::remove_file(shop.fake("hang/store")).unwrap();
    shop.forget_calls();
    shop.run(&APPLY).ok();
    assert_eq!(shop.upgraded(), ["store", "api", "jobs", "web"]);
}
