//! `diff`: what a reviewer reads of the commonest changes, as text, markdown and JSON; what it is compared with; what is
//! hidden, asked and not asked.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::{put, read};

const SEALED: &str = "environments/prod/secrets.yaml";

/// What the chart of `web` renders.
fn web(version: &str, image: &str, replicas: u32) -> String {
    format!(
        "---
# Source: web/templates/config.yaml
apiVersion: v1
kind: ConfigMap
metadata: {{name: web, labels: {{app: web, helm.sh/chart: web-{version}}}}}
data:
  site.conf: |
    listen 8080
    workers {}
    log info
    root /srv
    keepalive 60
---
# Source: web/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop, labels: {{app: web, helm.sh/chart: web-{version}}}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata:
      labels: {{app: web}}
      annotations: {{checksum/config: sum-of-{replicas}}}
    spec:
      containers:
      - name: main
        image: {image}
        args: [--port=8080, --log=info]
        env:
        - {{name: LOG, value: info}}
---
# Source: web/templates/service.yaml
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop, labels: {{app: web, helm.sh/chart: web-{version}}}}}
spec: {{selector: {{app: web}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
",
        replicas * 2
    )
}

const IMAGE: &str = "registry.example.org/shop/web:1.0";

/// A shop where everything is installed.
fn installed() -> Shop {
    let shop = Shop::locked();
    put(&shop.fake("render/web.yaml"), web("3.1.0", IMAGE, 2));
    shop.run(&["apply", "-e", "prod"]).ok();
    namespaces(&shop);
    shop.forget_calls();
    shop
}

/// The namespaces as apply made them.
fn namespaces(shop: &Shop) {
    let namespace = |name: &str, labels: &str| {
        format!(
            r#"{{"apiVersion": "v1", "kind": "Namespace", "metadata": {{"name": "{name}", "uid": "1", "labels": {{{labels}"kubernetes.io/metadata.name": "{name}"}}}}}}"#
        )
    };
    let baseline = r#""pod-security.kubernetes.io/enforce": "baseline", "#;
    let list = [namespace("shop", ""), namespace("data", baseline)].join(", ");
    put(&shop.fake("existing"), format!(r#"{{"kind": "List", "items": [{list}]}}"#));
}

/// Another image, which asks for another lock.
fn another_image(shop: &Shop) {
    let image = IMAGE.replace("1.0", "1.1");
    put(&shop.fake("render/web.yaml"), web("3.1.0", &image, 2));
    put(&shop.file("environments/prod/releases/web.yaml"), format!("image: {image}\n"));
    shop.run(&["lock"]).ok();
    shop.forget_calls();
}

fn another_replica(shop: &Shop) {
    put(&shop.fake("render/web.yaml"), web("3.1.0", IMAGE, 5));
    put(&shop.file("environments/prod/releases/web.yaml"), "replicas: 5\n");
}

fn a_new_release(shop: &Shop) {
    let folder = "templates/apps/cache";
    put(
        &shop.file(&format!("{folder}/release.yaml")),
        "apiVersion: platctl.dev/v1\nchart: {path: ./chart}\nnamespace: cache\n",
    );
    put(&shop.file(&format!("{folder}/chart/Chart.yaml")), "apiVersion: v2\nname: cache\nversion: 1.4.0\n");
    let objects = "---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: cache}\nspec:\n  replicas: 3\n  template: {spec: {containers: [{name: main, image: 'registry.example.org/shop/runner:7'}]}}\n  \
        volumeClaimTemplates: [{metadata: {name: data}, spec: {resources: {requests: {storage: 10Gi}}}}]\n\
        ---\napiVersion: v1\nkind: Service\nmetadata: {name: cache}\nspec: {ports: [{port: 6379}, {port: 9121}]}\n\
        ---\napiVersion: v1\nkind: Secret\nmetadata: {name: cache}\nstringData: {password: made-by-the-chart}\n";
    put(&shop.fake("render/cache.yaml"), objects);
    shop.run(&["lock"]).ok();
    shop.forget_calls();
}

fn crd(versions: &str) -> String {
    format!(
        "---\n# Source: api/crds/carts.yaml\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: carts.shop.example.org}}\n\
         spec:\n  group: shop.example.org\n  scope: Namespaced\n  names: {{kind: Cart, plural: carts}}\n  versions:\n{versions}"
    )
}

fn crd_version(name: &str, storage: bool, fields: &str) -> String {
    format!(
        "  - {{name: {name}, served: true, storage: {storage}, schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, properties: {{{fields}}}}}}}}}}}}}\n"
    )
}

fn api(version: &str, image: &str) -> String {
    let labels = format!(
        "{{app.kubernetes.io/name: api, helm.sh/chart: api-{version}, app.kubernetes.io/version: \"{version}\"}}"
    );
    let mut text = String::new();
    for (kind, name) in
        [("ServiceAccount", "api"), ("ConfigMap", "api"), ("ConfigMap", "api-rules"), ("Service", "api")]
    {
        text.push_str(&format!("---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}, labels: {labels}}}\n"));
    }
    text + &format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: api, labels: {labels}}}\nspec:\n  template:\n    metadata: {{labels: {labels}}}\n    \
         spec:\n      containers:\n      - {{name: main, image: '{image}', ports: [{{name: http, containerPort: 8080}}]}}\n"
    )
}

/// A chart of ours in a newer version: its image, its definition, and a label on all of it.
fn a_chart_upgrade(shop: &Shop) {
    shop.edit("templates/apps/api/chart/Chart.yaml", "0.1.0", "0.2.0");
    let versions = crd_version("v1alpha1", false, "items: {type: array}, total: {type: integer}")
        + &crd_version("v1", true, "items: {type: array}, total: {type: string}, owner: {type: string}");
    put(&shop.fake("render/api.yaml"), crd(&versions) + &api("0.2.0", "registry.example.org/shop/api:2.0"));
}

fn before_the_chart_upgrade() -> Shop {
    let shop = Shop::locked();
    let versions = crd_version("v1alpha1", true, "items: {type: array}, total: {type: integer}, note: {type: string}");
    put(&shop.fake("render/api.yaml"), crd(&versions) + &api("0.1.0", "registry.example.org/shop/api:1.0"));
    shop.run(&["apply", "-e", "prod"]).ok();
    namespaces(&shop);
    let list = read(&shop.fake("existing"));
    let definition: Value = serde_yaml::from_str(crd(&versions).trim_start_matches("---")).unwrap();
    put(&shop.fake("existing"), list.replace("]}", &format!(", {definition}]}}")));
    shop.forget_calls();
    shop
}

const OLD: &str = "old-hush-hush";
const NEW: &str = "new/hush+hush";

/// A shop whose store has its password from a secret: in a Secret, in a line of a file, and in a Secret that platctl makes.
fn with_a_secret() -> Shop {
    let shop = Shop::new();
    shop.edit("environments/base/environment.yaml", "kubectl: 1.34.4", "kubectl: 1.34.4, sops: 3.13.3");
    put(&shop.file("templates/base/store/values.yaml"), "password: \"{{ secret('store.password') }}\"\n");
    shop.add(
        "templates/base/store/release.yaml",
        "secrets:\n- {name: store-db, data: {password: {ref: store.password}, user: {value: store}}}\n",
    );
    sealed(&shop, "x", OLD);
    let objects = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: store}\nstringData: {password: '@password@', user: admin}\n\
        ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: store}\ndata:\n  store.conf: |\n    [db]\n    password = @password@\n    pool = 5\n\
        ---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: store}\nspec:\n  template:\n    spec:\n      containers:\n      - name: main\n        image: registry.example.org/shop/store:1.0\n        \
        env: [{name: URL, value: 'pg://store:@password@@db/store'}]\n";
    put(&shop.fake("render/store.yaml"), objects);
    shop.run(&["lock"]).ok();
    shop.run(&["apply", "-e", "prod"]).ok();
    namespaces(&shop);
    let data = r#"{"password": "b2xkLWh1c2gtaHVzaA==", "user": "c3RvcmU="}"#;
    let labels = r#"{"platctl.dev/platform": "shop", "platctl.dev/environment": "prod", "platctl.dev/release": "store", "app.kubernetes.io/managed-by": "platctl"}"#;
    let secret = format!(
        r#"{{"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {{"name": "store-db", "namespace": "data", "labels": {labels}}}, "data": {data}}}"#
    );
    let list = read(&shop.fake("existing"));
    put(&shop.fake("existing"), list.replace("]}", &format!(", {secret}]}}")));
    shop.forget_calls();
    shop
}

fn sealed(shop: &Shop, ciphertext: &str, password: &str) {
    let text = format!(
        "store:\n  password: ENC[AES256_GCM,data:{ciphertext},iv:x,tag:x,type:str]\nsops:\n  age: [{{recipient: age1site, enc: x}}]\n  \
         mac: ENC[AES256_GCM,data:m]\n  version: 3.13.3\n"
    );
    put(&shop.file(SEALED), text);
    put(&shop.fake("decrypted/prod.json"), serde_json::json!({"store": {"password": password}}).to_string());
}

fn a_rotated_secret(shop: &Shop) {
    sealed(shop, "y", NEW);
}

/// All three forms of a comparison.
fn shown(shop: &Shop, name: &str, args: &[&str]) -> [String; 3] {
    ["text", "markdown", "json"].map(|form| {
        let all = [&["diff", "-e", "prod", "-o", form], args].concat();
        let screen = shop.run(&all).ok().screen();
        assert_screen!(shop.path(), format!("{name}_{form}"), screen);
        screen
    })
}

/// The five commonest changes.
#[test]
fn what_a_reviewer_reads() {
    let shop = installed();
    another_image(&shop);
    shown(&shop, "image", &[]);
    let shop = installed();
    another_replica(&shop);
    shown(&shop, "replicas", &[]);
    assert_screen!(shop.path(), "replicas_verbose", shop.run(&["diff", "-e", "prod", "-v", "-U", "0"]).ok().screen());
    let shop = installed();
    a_new_release(&shop);
    let all = shown(&shop, "new_release", &[]);
    assert!(all.iter().all(|screen| !screen.contains("made-by-the-chart")));
    let shop = before_the_chart_upgrade();
    a_chart_upgrade(&shop);
    let unlocked = shop.run(&["diff", "-e", "prod"]).exits(1);
    assert!(unlocked.stderr.contains("charts-lock.yaml") || unlocked.stderr.contains("lock"), "{}", unlocked.screen());
    shop.run(&["lock"]).ok();
    shown(&shop, "chart_upgrade", &[]);
    let shop = with_a_secret();
    a_rotated_secret(&shop);
    for screen in shown(&shop, "secret", &[]) {
        assert_no_secret(&screen);
    }
}

fn assert_no_secret(screen: &str) {
    for form in ["hush", "b2xkLWh1c2", "bmV3L2h1c2", "aHVzaC1odXNo", "aHVzaCtodXNo", "%2Fhush"] {
        assert!(!screen.contains(form), "{form} is in {screen}");
    }
}

#[test]
fn without_a_key_secrets_are_not_compared_and_not_shown() {
    let shop = with_a_secret();
    a_rotated_secret(&shop);
    put(&shop.fake("fail/sops"), "no key");
    for screen in shown(&shop, "no_key", &[]) {
        assert_no_secret(&screen);
    }
    // What was a secret goes away altogether: nobody says any more that it was one.
    put(&shop.file("templates/base/store/values.yaml"), "replicas: 1\n");
    let objects = read(&shop.fake("render/store.yaml")).replace("@password@", "none");
    put(&shop.fake("render/store.yaml"), objects);
    for form in ["text", "markdown", "json"] {
        assert_no_secret(&shop.run(&["diff", "-e", "prod", "-o", form, "-v"]).ok().screen());
    }
}

#[test]
fn a_release_that_renders_live_says_why() {
    let shop = installed();
    shop.edit("templates/apps/web/release.yaml", "namespace:", "render: {guard: live, reason: it looks}\nnamespace:");
    another_replica(&shop);
    let why = "renders live: it looks; what it looks up in the cluster is not in this comparison\n";
    let output = shop.run(&["diff", "-e", "prod"]).ok();
    assert!(output.stdout.contains(&format!("\n    {why}")), "{}", output.screen());
    let output = shop.run(&["diff", "-e", "prod", "-o", "markdown"]).ok();
    assert!(output.stdout.contains(&format!("diff\n{why}")), "{}", output.screen());
    let output = shop.run(&["diff", "-e", "prod", "-o", "json"]).ok();
    assert!(output.stdout.contains("\"rendersLive\": \"it looks\""), "{}", output.screen());
}

#[test]
fn nothing_changed_is_one_look() {
    let shop = installed();
    let output = shop.run(&["diff", "-e", "prod", "--detailed-exitcode"]).ok();
    assert_screen!(shop.path(), "unchanged", output.screen());
    assert_eq!(shop.calls().len(), 1, "{:?}", shop.calls());
    shop.forget_calls();
    let output = shop.run(&["diff", "-e", "prod", "--no-cache", "--detailed-exitcode"]).ok();
    assert_screen!(shop.path(), "unchanged", output.screen());
    let calls = shop.calls();
    let templates = calls.iter().filter(|call| call.starts_with("helm template")).count();
    assert_eq!((templates, calls.len() - templates), (5, 3), "{calls:?}");
}

#[test]
fn only_what_changed_is_rendered_and_fetched() {
    let shop = installed();
    another_replica(&shop);
    shop.run(&["diff", "-e", "prod"]).ok();
    let calls = shop.calls();
    assert!(calls.iter().all(|call| !call.contains("helm upgrade") && !call.contains("kubectl apply")), "{calls:?}");
    assert_eq!(calls.iter().filter(|call| call.contains("helm template web")).count(), 1, "{calls:?}");
    assert_eq!(calls.iter().filter(|call| call.contains("sh.helm.release.v1.web.v1")).count(), 1, "{calls:?}");
    assert_eq!(calls.len(), 3, "{calls:?}");
}

#[test]
fn exit_statuses() {
    let shop = installed();
    another_replica(&shop);
    shop.run(&["diff", "-e", "prod"]).ok();
    shop.run(&["diff", "-e", "prod", "--detailed-exitcode"]).exits(2);
    shop.run(&["diff", "-e", "prod", "--detailed-exitcode", "-l", "tier=base"]).ok();
    shop.run(&["diff", "-e", "prod", "--detailed-exitcode", "-l", "name=none"]).exits(3);
    shop.run(&["diff", "-e", "prod", "main"]).exits(64);
    put(&shop.fake("fail/get-secrets"), "Unable to connect to the server: dial tcp: i/o timeout\n");
    let output = shop.run(&["diff", "-e", "prod", "--detailed-exitcode"]).exits(1);
    assert_eq!(output.stdout, "", "a cluster that can't be reached is no difference");
}

#[test]
fn a_release_that_does_not_render_takes_no_other_with_it() {
    let shop = installed();
    another_replica(&shop);
    put(&shop.file("environments/prod/releases/api.yaml"), "replicas: 9\n");
    put(
        &shop.fake("fail/template-api"),
        "Error: execution error at (api/templates/a.yaml:3:4): replicas must be odd\n",
    );
    let output = shop.run(&["diff", "-e", "prod", "--detailed-exitcode"]).exits(1);
    assert_screen!(shop.path(), "one_fails", output.screen());
    assert_screen!(
        shop.path(),
        "one_fails_markdown",
        shop.run(&["diff", "-e", "prod", "-o", "markdown"]).exits(1).stdout
    );
}

#[test]
fn a_record_that_is_damaged_is_one_failure() {
    let shop = installed();
    another_replica(&shop);
    put(
        &shop.fake("stored/web.v1"),
        r#"{"metadata": {"name": "sh.helm.release.v1.web.v1"}, "data": {"release": "!"}}"#,
    );
    assert_screen!(shop.path(), "damaged_record", shop.run(&["diff", "-e", "prod"]).exits(1).screen());
}

#[test]
fn releases_that_go_and_stay() {
    let shop = installed();
    shop.add("environments/prod/environment.yaml", "releases: {jobs: false}\n");
    assert_screen!(shop.path(), "undeclared", shop.run(&["diff", "-e", "prod", "--detailed-exitcode"]).ok().screen());
    let records = read(&shop.fake("records"))
        .replace("name=web,owner=helm,status=deployed", "name=web,owner=helm,status=pending-upgrade");
    put(&shop.fake("records"), records);
    assert_screen!(shop.path(), "pending", shop.run(&["diff", "-e", "prod"]).ok().screen());
}

fn git(shop: &Shop, args: &[&str]) {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"];
    let status = Command::new("git").current_dir(shop.file("")).args(identity).args(args).output().unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
}

#[test]
fn against_a_revision() {
    let shop = Shop::locked();
    let base = ["diff", "-e", "prod", "git:main"];
    assert_screen!(shop.path(), "no_repository", shop.run(&base).exits(1).screen());
    git(&shop, &["init", "--quiet"]);
    git(&shop, &["add", "."]);
    git(&shop, &["commit", "--quiet", "--message=one"]);
    assert_screen!(shop.path(), "no_revision", shop.run(&["diff", "-e", "prod", "git:v9"]).exits(1).screen());
    let commit = |screen: String| {
        let hash = screen.split(" (").nth(1).and_then(|rest| rest.split(')').next()).unwrap_or_default().to_owned();
        screen.replace(&hash, "[commit]")
    };
    shop.forget_calls();
    let same = shop.run(&[&base[..], &["--detailed-exitcode"]].concat()).ok();
    assert!(same.stdout.ends_with("5 unchanged\n") && shop.calls().is_empty(), "{}", same.screen());
    put(&shop.file("environments/prod/releases/web.yaml"), "image: registry.example.org/shop/web:1.1\n");
    shop.add("environments/prod/environment.yaml", "releases: {jobs: false}\n");
    let unlocked = shop.run(&base).ok();
    assert_screen!(shop.path(), "git_unlocked", commit(unlocked.screen()));
    shop.run(&["lock"]).ok();
    assert_screen!(shop.path(), "git", commit(shop.run(&base).ok().screen()));
    let markdown = shop.run(&[&base[..], &["-o", "markdown"]].concat()).ok();
    assert_screen!(shop.path(), "git_markdown", commit(markdown.screen()));
    assert!(
        shop.calls().iter().all(|call| call.starts_with("helm template")),
        "no cluster is asked: {:?}",
        shop.calls()
    );
    shop.run(&[&base[..], &["--detailed-exitcode"]].concat()).exits(2);
}

#[test]
fn a_namespace_is_there_whichever_release_was_the_first_in_it() {
    let shop = Shop::locked();
    shop.edit("templates/apps/web/release.yaml", "[api, store]", "[store]");
    git(&shop, &["init", "--quiet"]);
    git(&shop, &["add", "."]);
    git(&shop, &["commit", "--quiet", "--message=one"]);
    let environment = fs::read_to_string(shop.file("environments/prod/environment.yaml")).unwrap();
    for gone in ["api", "jobs"] {
        let off = format!("{environment}releases: {{{gone}: false}}\n");
        put(&shop.file("environments/prod/environment.yaml"), off);
        put(&shop.file("environments/prod/releases/web.yaml"), "replicas: 5\n");
        let output = shop.run(&["diff", "-e", "prod", "git:HEAD", "--no-cache"]).ok();
        assert!(output.stdout.contains(&format!("  {gone}  remove")), "{}", output.screen());
        assert!(!output.stdout.contains("Namespace"), "{}", output.screen());
    }
}

#[test]
fn a_rotated_secret_against_a_revision_needs_no_key() {
    let shop = with_a_secret();
    git(&shop, &["init", "--quiet"]);
    git(&shop, &["add", "."]);
    git(&shop, &["commit", "--quiet", "--message=one"]);
    a_rotated_secret(&shop);
    put(&shop.fake("fail/sops"), "no key");
    let output = shop.run(&["diff", "-e", "prod", "git:HEAD"]).ok();
    let hash = output.stdout.split(['(', ')']).nth(1).unwrap().to_owned();
    assert_screen!(shop.path(), "git_secret", output.screen().replace(&hash, "[commit]"));
}

#[test]
fn against_an_environment_and_a_bundle() {
    let shop = Shop::bundled("registry.site:5000");
    let output = shop.run(&["diff", "-e", "prod", "env:test"]).ok();
    assert_screen!(shop.path(), "environment", output.screen());
    put(&shop.file("environments/prod/releases/web.yaml"), "image: registry.example.org/shop/runner:7\n");
    shop.run(&["lock"]).ok();
    let output = shop.run(&["diff", "-e", "prod", "bundle:../platform.tar"]).ok();
    assert_screen!(shop.path(), "bundle", output.screen());
    assert!(
        shop.calls().iter().all(|call| call.starts_with("helm template")),
        "no cluster is asked: {:?}",
        shop.calls()
    );
    assert_screen!(shop.path(), "no_environment", shop.run(&["diff", "-e", "prod", "env:none"]).exits(1).screen());
    put(&shop.file("environments/prod/releases/web.yaml"), "image: registry.example.org/shop/web:1.1\n");
    shop.run(&["lock"]).ok();
    let args = ["diff", "-e", "prod", "--bundle", "../platform.tar", "bundle:../platform.tar"];
    assert_screen!(shop.path(), "not_in_the_bundle", shop.run(&args).ok().screen());
}

#[test]
fn a_comment_stays_short_enough_and_inside_its_fence() {
    let shop = installed();
    let lines: String = (0..6000).map(|n| format!("    ``` line {n} </details>\n")).collect();
    put(&shop.fake("render/web.yaml"), web("3.1.0", IMAGE, 2).replace("    root /srv\n", &lines));
    another_value(&shop);
    let comment = shop.run(&["diff", "-e", "prod", "-o", "markdown"]).ok().stdout;
    assert!(
        comment.chars().count() < 65_536 && comment.contains("more lines are too many"),
        "{}",
        comment.chars().count()
    );
    put(&shop.fake("render/web.yaml"), web("3.1.0", IMAGE, 2).replace("    root /srv\n", "    root ````</details>\n"));
    assert_screen!(shop.path(), "fence", shop.run(&["diff", "-e", "prod", "-o", "markdown", "--no-cache"]).ok().stdout);
}

fn another_value(shop: &Shop) {
    fs::create_dir_all(shop.file("environments/prod/releases")).unwrap();
    put(&shop.file("environments/prod/releases/web.yaml"), "root: other\n");
}

#[test]
fn colours_where_they_are_asked_for() {
    let shop = installed();
    another_replica(&shop);
    let plain = shop.run(&["diff", "-e", "prod"]).ok().stdout;
    let coloured = shop.run(&["diff", "-e", "prod", "--color", "always"]).ok().stdout;
    assert!(!plain.contains('\x1b') && coloured.contains("\x1b[32m+ "), "{coloured}");
}
