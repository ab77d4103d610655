//! Secrets: what is asked for and missing, what needs no key, and that nothing shows or keeps one.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::planted::Planted;
use crate::support::{Output, files, put, read};

const HARD: &str = "q\"uo'te: co:lon\n{{ braces }} - %41&é\\";
const LIKE_YAML: &str = "- a: &anchor b\n- *anchor\n- !!binary planted";
const API_KEY: &str = "Planted+/=key\u{2028}x";
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMIIPlantedMIIPlanted\nAbCdEfPlanted0123\n-----END PRIVATE KEY-----\n";
const PULL: &str = "pull-Planted-word";

/// A shop in which store, web and api ask for secrets. The chart of each shows its values in a Secret.
fn shop() -> Shop {
    let shop = Shop::new();
    shop.edit("environments/base/environment.yaml", "kubectl: 1.34.4", "kubectl: 1.34.4, sops: 3.13.3");
    shop.edit("environments/prod/environment.yaml", "plainHTTP: true", "plainHTTP: true, pullSecret: registry-pull");
    seal(&shop, 1);
    let decrypted = json!({
        "store": {"password": HARD, "config": LIKE_YAML}, "web": {"key": API_KEY}, "tls": {"key": PEM},
        "registry-pull": {"username": "shop-puller", "password": PULL},
    });
    put(&shop.fake("decrypted/base.json"), decrypted.to_string());
    let secrets = "secrets:\n- name: store-db\n  data:\n    password: {ref: store.password}\n    \
        uri: {template: \"pg://{{ release.name }}:{{ secret('store.password', encode='url') }}@db\"}\n    tls.key: {ref: tls, part: key}\n";
    shop.add("templates/base/store/release.yaml", secrets);
    shop.edit("templates/base/store/values.yaml", "{{ values.store.password }}", "{{ secret('store.password') }}");
    let config = "config: |\n  {\"c\": \"{{ secret('store.config', encode='json') }}\", \"k\": \"{{ secret('tls.key', encode='b64') }}\"}\n";
    shop.add("templates/base/store/values.yaml", config);
    shop.add("environments/base/values.yaml", "key: \"{{ secret('web.key') }}\"\n");
    shop.add("templates/apps/web/values.yaml", "auth: {key: \"{{ values.key }}\"}\n");
    put(&shop.fake("echo-values"), "");
    shop
}

/// Writes base's secrets.yaml; another number is another ciphertext of what store asks for.
fn seal(shop: &Shop, store: u32) {
    let sealed = |data: String| format!("ENC[AES256_GCM,data:{data},iv:x,tag:x,type:str]");
    let [store, config, web, tls] = [format!("s{store}"), "c".into(), "w".into(), "t".into()].map(sealed);
    let [user, pull] = ["u".to_owned(), "p".to_owned()].map(sealed);
    let text = format!(
        "store:\n  password: {store}\n  config: {config}\nweb:\n  key: {web}\ntls:\n  key: {tls}\n\
         registry-pull:\n  username: {user}\n  password: {pull}\nsops:\n  mac: ENC[AES256_GCM,data:m]\n  version: 3.13.3\n"
    );
    put(&shop.file("environments/base/secrets.yaml"), text);
}

fn planted() -> Planted {
    Planted::new([("hard", HARD), ("yaml", LIKE_YAML), ("api", API_KEY), ("pem", PEM), ("pull", PULL)])
}

/// The fakes' own records of what went in by standard input, and what they made of it, hold secrets as they should.
fn records(shop: &Shop) -> impl Fn(&Path) -> bool + Send + 'static {
    let fake = shop.fake("");
    move |path: &Path| {
        let Ok(inside) = path.strip_prefix(&fake) else { return false };
        let inside = inside.to_string_lossy();
        ["stdin", "decrypted", "rendered-", "applied-", "fail", "workings", "log-"]
            .iter()
            .any(|start| inside.starts_with(start))
    }
}

/// Runs the program with a folder for temporary files; nothing planted may be seen or kept, during and after.
#[track_caller]
fn silent(shop: &Shop, args: &[&str]) -> Output {
    let temporary = shop.path().join("tmp");
    fs::create_dir_all(&temporary).unwrap();
    let program = shop.platctl().env("TMPDIR", &temporary).env("SOPS_AGE_KEY", "not-for-helm").args(args);
    let (output, during) = planted().during(&[shop.path().to_owned()], records(shop), || program.run());
    assert_eq!(during, Vec::<String>::new(), "during {args:?}");
    assert_eq!(planted().below(&[shop.path().to_owned()], &records(shop)), Vec::<String>::new(), "after {args:?}");
    assert_eq!(planted().in_bytes(output.screen().as_bytes()), Vec::<String>::new(), "{}", output.screen());
    let environments = fs::read_to_string(shop.fake("environments")).unwrap_or_default();
    assert!(!environments.contains("not-for-helm"), "keys are for sops alone");
    assert_eq!(files(&temporary), Vec::<PathBuf>::new(), "left behind by {args:?}");
    output
}

fn asked_sops(shop: &Shop) -> bool {
    shop.calls().iter().any(|call| call.starts_with("sops"))
}

#[test]
fn nothing_shows_or_keeps_a_secret() {
    let shop = shop();
    // Without a key, as far as none is needed.
    put(&shop.fake("fail/sops"), "no key\n");
    silent(&shop, &["lock"]).ok();
    silent(&shop, &["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "-o", "../platform.tar"]).ok();
    for args in [&["template", "-e", "prod"][..], &["plan", "-e", "prod"], &["plan", "-e", "prod", "-o", "json"]] {
        silent(&shop, args).ok();
    }
    assert!(!asked_sops(&shop));
    let output = silent(&shop, &["apply", "-e", "prod"]).exits(1);
    assert_eq!(shop.changing_calls(), Vec::<String>::new(), "{}", output.screen());
    fs::remove_file(shop.fake("fail/sops")).unwrap();

    silent(&shop, &["apply", "-e", "prod", "-v"]).ok();
    helm_got_the_secrets(&shop);
    kubectl_got_the_secrets(&shop);
    assert!(!planted().below(&[shop.fake("stdin")], &|_| false).is_empty(), "the search finds what is there");

    // What is as it should be needs no key, and a new ciphertext changes who uses it alone.
    shop.forget_calls();
    silent(&shop, &["apply", "-e", "prod"]).ok();
    silent(&shop, &["status", "-e", "prod"]).ok();
    assert!(!asked_sops(&shop) && shop.changing_calls().is_empty());
    seal(&shop, 2);
    silent(&shop, &["apply", "-e", "prod"]).ok();
    assert_eq!(shop.upgraded(), ["store"]);
    failures_are_masked(&shop);
}

fn helm_got_the_secrets(shop: &Shop) {
    let values = |release: &str| -> serde_json::Value {
        serde_json::from_str(&read(&shop.fake(&format!("stdin/helm-upgrade-{release}")))).unwrap()
    };
    assert_eq!(values("store")["password"], HARD);
    let config: serde_json::Value = serde_json::from_str(values("store")["config"].as_str().unwrap()).unwrap();
    assert_eq!((config["c"].as_str(), config["k"].as_str()), (Some(LIKE_YAML), Some(STANDARD.encode(PEM).as_str())));
    assert_eq!(values("web")["auth"]["key"], API_KEY);
}

/// Before the release, and in the namespaces of all the registry's.
fn kubectl_got_the_secrets(shop: &Shop) {
    let applied = read(&shop.fake("stdin/kubectl-apply"));
    let lists = applied.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let objects: Vec<_> = lists.flat_map(|list| list["items"].as_array().cloned().unwrap_or_default()).collect();
    let text = |object: &serde_json::Value, key: &str| {
        let text = object["data"][key].as_str().unwrap_or_else(|| panic!("{object}"));
        String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
    };
    let store = objects.iter().find(|object| object["metadata"]["name"] == "store-db").unwrap();
    assert_eq!((text(store, "password"), text(store, "tls.key")), (HARD.to_owned(), PEM.to_owned()));
    assert_eq!(
        text(store, "uri"),
        "pg://store:q%22uo%27te%3A%20co%3Alon%0A%7B%7B%20braces%20%7D%7D%20-%20%2541%26%C3%A9%5C@db"
    );
    let labels = json!({"platctl.dev/platform": "shop", "platctl.dev/environment": "prod", "platctl.dev/release": "store",
        "app.kubernetes.io/managed-by": "platctl"});
    assert_eq!((&store["metadata"]["labels"], &store["metadata"]["namespace"]), (&labels, &json!("data")));
    let pull = objects.iter().find(|object| object["metadata"]["name"] == "registry-pull").unwrap();
    let login: serde_json::Value = serde_json::from_str(&text(pull, ".dockerconfigjson")).unwrap();
    let auth = STANDARD.encode(format!("shop-puller:{PULL}"));
    assert_eq!(
        login["auths"]["registry.site:5000"],
        json!({"username": "shop-puller", "password": PULL, "auth": auth})
    );
    let calls = shop.calls();
    let place = |what: &str| calls.iter().position(|call| call.starts_with(what)).unwrap();
    assert!(place("kubectl apply") < place("helm upgrade"));
}

/// Tools that say everything they know.
fn failures_are_masked(shop: &Shop) {
    let said = |secret: &str| {
        let url: String = secret.bytes().map(|b| format!("%{b:02x}")).collect();
        let json = json!({"password": secret});
        format!(
            "Error: {secret}\n{json} {}\n{}: {url}\n",
            json!(json.to_string()),
            STANDARD.encode(format!("a{secret}"))
        )
    };
    let all = [HARD, LIKE_YAML, API_KEY, PEM, PULL].map(said).concat();
    seal(shop, 3);
    put(&shop.fake("fail/upgrade-store"), &all);
    let output = silent(shop, &["apply", "-e", "prod"]).exits(1);
    assert!(output.stderr.contains("    | Error: ******"), "{}", output.screen());
    assert_screen!(shop.path(), "masked", output.screen());

    let word = shop.crashing("data", "store", "back-off", &format!("login {API_KEY} failed\nbad login: {HARD}\n"));
    put(&shop.fake("fail/upgrade-store"), word);
    let output = silent(shop, &["apply", "-e", "prod"]).exits(1);
    assert!(output.stderr.contains("bad login: ******"), "{}", output.screen());
    assert!(output.stderr.contains("    | login ****** failed"), "{}", output.screen());
    fs::remove_file(shop.fake("fail/upgrade-store")).unwrap();

    put(&shop.fake("fail-second"), &all);
    shop.forget_calls();
    let output = silent(shop, &["apply", "-e", "prod"]).exits(1);
    assert!(output.stderr.contains("store: cannot apply its Secrets"), "{}", output.screen());
    assert_eq!(shop.upgraded(), Vec::<String>::new());
    fs::remove_file(shop.fake("fail-second")).unwrap();

    // What the post-renderer refuses goes through a file; a chart has put a secret where an image should be.
    let live = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{image: {}}}]}}\n",
        json!(PULL)
    );
    put(&shop.fake("live/store.yaml"), live);
    let folder = shop.path().join("tmp");
    let output = shop.platctl().env("TMPDIR", &folder).args(["apply", "-e", "prod"]).run().exits(1);
    assert!(output.stderr.contains("image `******`"), "{}", output.screen());
    fs::remove_file(shop.fake("live/store.yaml")).unwrap();
    assert_eq!(planted().below(&[shop.path().join("home")], &|_| false), Vec::<String>::new());
}

/// A hook has no secrets of platctl's, but the cluster's, and may print what it finds.
#[test]
fn what_hooks_print_is_masked() {
    let shop = shop();
    let hooks = "hooks: {before: [{run: scripts/tells}], after: [{run: scripts/tells-and-fails}]}\n";
    shop.add("templates/apps/web/release.yaml", hooks);
    let found = shop.fake("decrypted/base.json").display().to_string();
    // All of it as JSON, one plain, the same in the middle of base64, and one line by line.
    let tells = format!(
        "#!/bin/sh\necho told:\ncat '{found}'\necho\nkey=$(sed 's/.*\"web\":{{\"key\":\"\\([^\"]*\\)\".*/\\1/' '{found}')\n\
         echo \"login $key failed\"\nprintf 'a%s' \"$key\" | base64 -w0\necho\n\
         printf '%b' \"$(sed 's/.*\"tls\":{{\"key\":\"\\([^\"]*\\)\".*/\\1/' '{found}')\"\n"
    );
    put(&shop.file("templates/apps/web/scripts/tells"), &tells);
    put(&shop.file("templates/apps/web/scripts/tells-and-fails"), format!("{tells}exit 3\n"));
    silent(&shop, &["lock"]).ok();
    let output = silent(&shop, &["apply", "-e", "prod", "-v"]).exits(1);
    assert!(output.stderr.contains("error[E0442]"), "{}", output.screen());
    let told = output.stderr.matches("login ****** failed").count();
    assert_eq!(told, 2, "what it prints is shown, once by -v and once as the reason\n{}", output.screen());
    // What it prints may be another release's, which is not changed now.
    let output = silent(&shop, &["apply", "-e", "prod", "-v", "-l", "name=web"]).exits(1);
    assert_eq!(output.stderr.matches("login ****** failed").count(), 2, "{}", output.screen());
    let journals: Vec<PathBuf> =
        files(&shop.path().join("home/cache/runs")).into_iter().filter(|f| f.ends_with("journal.json")).collect();
    let published = files(&shop.fake("state")).into_iter().filter(|f| f.to_string_lossy().contains("platctl-run-"));
    let journals: Vec<String> = journals.into_iter().chain(published).map(|file| read(&file)).collect();
    assert!(journals.len() >= 2 && journals.iter().all(|text| text.contains("E0442")), "{journals:?}");
}

/// A screen, of a run that must not have touched the cluster.
fn refused(shop: &Shop, name: &str, args: &[&str], code: i32) {
    let output = shop.run(args).exits(code);
    assert_screen!(shop.path(), name, output.screen());
    assert_eq!(shop.changing_calls(), Vec::<String>::new());
}

#[test]
fn names_that_nobody_knows() {
    let shop = shop();
    shop.edit("templates/base/store/values.yaml", "'store.password'", "'store.pasword'");
    // The lock does not look: the sops that puts secrets there has to be locked first.
    shop.run(&["lock"]).ok();
    for verb in ["bundle", "template", "plan"] {
        let output = if verb == "bundle" { shop.bundle("platform.tar") } else { shop.run(&[verb, "-e", "prod"]) };
        assert!(output.exits(1).stderr.contains("error[E0101]: no secret `store.pasword`"));
    }
    refused(&shop, "unknown_name", &["apply", "-e", "prod"], 1);
}

#[test]
fn a_secret_that_is_still_to_be_generated() {
    let shop = shop();
    shop.add(
        "templates/apps/jobs/release.yaml",
        "secrets: [{name: jobs, data: {p: {ref: jobs.pw, generate: {length: 20}}}}]\n",
    );
    shop.run(&["lock"]).ok();
    shop.bundle("platform.tar").ok();
    for verb in ["template", "plan"] {
        shop.run(&[verb, "-e", "prod"]).ok();
    }
    refused(&shop, "not_generated", &["apply", "-e", "prod"], 4);
    assert!(!asked_sops(&shop));
}

#[test]
fn a_file_in_the_clear() {
    let shop = shop();
    put(&shop.file("environments/base/secrets.yaml"), "store:\n  password: in-the-clear\n");
    for verb in ["lock", "apply"] {
        let output = shop.run(&[verb, "-e", "prod"]).exits(1);
        assert!(!output.screen().contains("in-the-clear"));
    }
    refused(&shop, "in_the_clear", &["lock"], 1);
    shop.bundle("platform.tar").exits(1);
    assert!(!shop.path().join("platform.tar").exists());
}

#[test]
fn a_secret_that_the_chart_ignores() {
    let shop = shop();
    fs::remove_file(shop.fake("echo-values")).unwrap();
    refused(&shop, "lost", &["lock"], 1);
}

#[test]
fn a_secret_that_a_template_looks_into() {
    let shop = shop();
    shop.edit("templates/base/store/values.yaml", "secret('store.password')", "secret('store.password') | upper");
    refused(&shop, "changed", &["lock"], 1);
}

#[test]
fn two_declarations_of_one_secret() {
    let shop = shop();
    for (release, length) in [("jobs", 20), ("web", 21)] {
        let text =
            format!("secrets: [{{name: {release}, data: {{p: {{ref: a.pw, generate: {{length: {length}}}}}}}}}]\n");
        shop.add(&format!("templates/apps/{release}/release.yaml"), &text);
    }
    refused(&shop, "declared_twice", &["lock"], 1);
}

/// As kubectl shows Secrets of ours.
fn there(names: &[&str], labels: &serde_json::Value) -> String {
    let secret = |name: &&str| {
        json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": "data", "labels": labels}})
    };
    let items: Vec<serde_json::Value> = names.iter().map(secret).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

#[test]
fn what_somebody_edited_in_a_secret_of_ours_is_taken_back_and_a_secret_of_others_is_not() {
    let shop = shop();
    shop.run(&["lock"]).ok();
    let conflict = "error: Apply failed with 1 conflict: conflict with \"kubectl-edit\" using v1: .data.password\n";
    put(&shop.fake("fail-second"), conflict);
    put(&shop.fake("existing"), there(&["store-db"], &json!({"platctl.dev/platform": "another"})));
    shop.forget_calls();
    let args = ["apply", "-e", "prod", "-l", "name=store"];
    let refused = shop.run(&args).exits(1);
    let said = "error[E0404]: store: Secret data/store-db belongs to somebody else";
    assert!(refused.stderr.contains(said) && refused.stderr.contains(".data.password"), "{}", refused.screen());
    assert_eq!(shop.upgraded(), Vec::<String>::new());

    let ours = json!({"platctl.dev/platform": "shop", "platctl.dev/environment": "prod"});
    put(&shop.fake("existing"), there(&["store-db", "registry-pull"], &ours));
    shop.forget_calls();
    shop.run(&args).ok();
    let forced = |call: &&String| call.starts_with("kubectl apply") && call.contains("--force-conflicts");
    assert_eq!(shop.calls().iter().filter(forced).count(), 1, "{:#?}", shop.calls());
    assert_eq!(shop.upgraded(), ["store"]);
}

#[test]
fn a_secret_of_ours_that_is_gone_is_drift() {
    let shop = shop();
    shop.run(&["lock"]).ok();
    let with = |verb: &[&str]| shop.run(&[verb, &["-e", "prod", "-l", "name=store", "--check-drift"]].concat()).ok();
    shop.run(&["apply", "-e", "prod", "-l", "name=store"]).ok();
    let ours = json!({"platctl.dev/platform": "shop", "platctl.dev/environment": "prod"});
    put(&shop.fake("existing"), there(&["registry-pull"], &ours));
    let told = "puts back Secret data/store-db: it is not there";
    let plan = with(&["plan"]);
    assert!(plan.stdout.contains(told) && plan.stdout.contains("1 upgrade"), "{}", plan.screen());
    assert!(!plan.stdout.contains("registry-pull: "), "{}", plan.screen());
    shop.forget_calls();
    let apply = with(&["apply"]);
    assert!(apply.stderr.contains(told), "it is said before it is done\n{}", apply.screen());
    assert!(shop.upgraded() == ["store"] && read(&shop.fake("stdin/kubectl-apply")).contains("store-db"));
    put(&shop.fake("existing"), there(&["registry-pull", "store-db"], &ours));
    let quiet = with(&["apply"]);
    assert!(quiet.stderr.contains("1 unchanged"), "{}", quiet.screen());
}
