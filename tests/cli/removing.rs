//! `destroy` and `apply --prune`: what is shown, asked, removed, kept and said.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use serde_json::json;

use crate::apply_fails::{OURS, record};
use crate::assert_screen;
use crate::shop::Shop;
use crate::support::program::until;
use crate::support::{Output, Platctl, put, read};

const PRUNE: [&str; 4] = ["apply", "-e", "prod", "--prune"];
const DESTROY: [&str; 5] = ["destroy", "-e", "prod", "--confirm", "prod"];
const DEFINITION: &str = "stores.example.org";

/// What outlives its release: a definition of its chart's templates, claims of its own and of its pods.
const LASTING: &str = "---
# Source: store/templates/all.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: stores.example.org}
spec: {group: example.org, scope: Namespaced, names: {kind: Store, plural: stores}, versions: [{name: v1, served: true, storage: true}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: disk, namespace: data}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store, namespace: data}
spec:
  volumeClaimTemplates: [{metadata: {name: data}}]
  template: {spec: {containers: [{name: main, image: registry.example.org/shop/store:1.0}]}}
";

/// A shop whose store has data and a definition. Somebody else's are beside them.
fn with_data() -> Shop {
    let shop = Shop::locked();
    put(&shop.fake("render/store.yaml"), LASTING);
    let claim = |name: &str, size: &str| json!({"metadata": {"name": name}, "spec": {"resources": {"requests": {"storage": size}}}});
    let claims = [claim("data-store-0", "8Gi"), claim("disk", "1Gi"), claim("data-store-theirs", "2Gi")];
    put(&shop.fake("claims-data"), json!({"items": claims}).to_string());
    put(&shop.fake("definitions"), format!("{DEFINITION}   <none>   <none>\nothers.example.org   <none>   <none>\n"));
    shop.run(&["apply", "-e", "prod"]).ok();
    shop.forget_calls();
    shop
}

/// The record of a release as helm keeps it, with this manifest.
fn stored(shop: &Shop, namespace: &str, release: &str, manifest: &str) {
    let record = json!({"name": release, "namespace": namespace, "version": 1, "info": {"status": "deployed"},
        "chart": {"metadata": {"name": release, "version": "1.0.0"}}, "manifest": manifest});
    let release_data = STANDARD.encode(STANDARD.encode(record.to_string()));
    let name = format!("sh.helm.release.v1.{release}.v1");
    let secret = json!({"metadata": {"name": name}, "data": {"release": release_data}});
    put(&shop.fake(&format!("stored/{release}.v1")), secret.to_string());
}

/// What helm was told to remove, and kubectl to delete or to mark, in order.
fn removed(shop: &Shop) -> String {
    let wanted = ["helm uninstall", "kubectl delete", "kubectl label"];
    let mut calls: Vec<String> =
        shop.calls().into_iter().filter(|call| wanted.iter().any(|start| call.starts_with(start))).collect();
    calls
        .iter_mut()
        .for_each(|call| *call = call.replace(" --request-timeout=90s", "").replace(" --request-timeout=20s", ""));
    calls.join("\n")
}

/// Nothing was removed, nor anything else changed.
#[track_caller]
fn untouched(shop: &Shop, output: Output) -> Output {
    assert_eq!(removed(shop), "", "{}", output.screen());
    assert_eq!(shop.changing_calls(), Vec::<String>::new());
    output
}

#[test]
fn prune_removes_what_is_exactly_ours_and_no_longer_wanted() {
    let shop = with_data();
    assert_eq!(untouched(&shop, shop.run(&PRUNE)).ok().stderr, "      Plan  5 unchanged\n");
    // A letter of a label more, and it is somebody else's.
    for (name, labels) in [
        ("near", "platctl.dev/platform=shop2,platctl.dev/environment=prod"),
        ("nearer", "platctl.dev/platform=shop,platctl.dev/environment=prod2"),
        ("foreign", "app=x"),
        ("old", &format!("{OURS},platctl.dev/tier=base,platctl.dev/chart-version=0.1.0")),
    ] {
        record(&shop, "data", name, 1, "deployed", labels);
        stored(&shop, "data", name, "");
    }
    shop.add("environments/prod/environment.yaml", "releases: {jobs: false}\n");
    fs::remove_dir_all(shop.file("templates/apps/web")).unwrap();
    fs::remove_dir_all(shop.file("templates/base/store")).unwrap();
    let selected = shop.run(&["apply", "-e", "prod", "--prune", "-l", "tier=base"]).exits(64);
    assert!(untouched(&shop, selected).stderr.contains("--prune looks at everything"));
    assert_screen!(shop.path(), "pruned", shop.run(&PRUNE).ok().screen());
    assert_screen!(shop.path(), "pruned_calls", removed(&shop));
    let records = read(&shop.fake("records"));
    let left = |name: &str| records.contains(&format!("name={name},"));
    assert_eq!(["near", "nearer", "foreign", "queue", "api"].map(left), [true; 5], "{records}");
    assert_eq!(["old", "jobs", "web", "store"].map(left), [false; 4], "{records}");
}

#[test]
fn destroy_removes_backwards_and_keeps_what_lasts() {
    let shop = with_data();
    let shown = untouched(&shop, shop.run(&["destroy", "-e", "prod", "--dry-run"])).ok().stdout;
    let refused = untouched(&shop, shop.run(&["destroy", "-e", "prod"]));
    assert_screen!(shop.path(), "not_confirmed", refused.exits(4).screen());
    let refused = untouched(&shop, shop.run(&["destroy", "-e", "prod", "--confirm", "shop"])).exits(4);
    assert!(refused.stderr.contains("`shop` is not the name of the environment, prod"), "{}", refused.screen());
    let needed = untouched(&shop, shop.run(&["destroy", "-e", "prod", "--confirm", "prod", "-l", "name=store"]));
    assert!(needed.clone().exits(4).stderr.contains("error[E0463]: store: web, which stays"), "{}", needed.screen());

    // What the registry's login is called elsewhere: a Secret of platctl's that goes with its release.
    put(&shop.fake("own-secrets"), "data   made   Opaque   1   5m   platctl.dev/release=store\n");
    let output = shop.run(&DESTROY).ok();
    assert!(output.stderr.starts_with(&shown), "{shown}\n{}", output.screen());
    assert_screen!(shop.path(), "destroyed", output.screen());
    assert_screen!(shop.path(), "destroyed_calls", removed(&shop));
    assert_eq!(read(&shop.fake("records")), "");
    let marked = read(&shop.fake("state/sh.helm.release.v1.store.v1"));
    assert_eq!(kept(&marked), 2, "helm is told to keep the claim and the definition");

    let none = shop.run(&DESTROY).ok();
    assert!(none.stderr.contains("nothing of environment prod is installed"), "{}", none.screen());
}

/// How many objects of a record are annotated to be kept.
fn kept(secret: &str) -> usize {
    let secret: serde_json::Value = serde_json::from_str(secret).unwrap();
    let packed = STANDARD.decode(STANDARD.decode(secret["data"]["release"].as_str().unwrap()).unwrap()).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed[..]), &mut text).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    record["manifest"].as_str().unwrap().matches(r#""helm.sh/resource-policy":"keep""#).count()
}

#[test]
fn destroy_deletes_data_and_definitions_when_they_are_named() {
    let shop = with_data();
    let all = [&DESTROY[..], &["--delete-pvcs", "store", "--delete-crds", DEFINITION]].concat();
    let json = shop.run(&[&all[..], &["--dry-run", "-o", "json"]].concat()).ok();
    assert_screen!(shop.path(), "delete_json", untouched(&shop, json).screen());
    for (flags, said) in [
        (["--delete-pvcs", "nobody"], "--delete-pvcs nobody: no release of that name is removed"),
        (["--delete-crds", "none.example.org"], "there is no such custom resource definition"),
    ] {
        let refused = untouched(&shop, shop.run(&[&DESTROY[..], &flags].concat())).exits(64);
        assert!(refused.stderr.contains(said), "{}", refused.screen());
    }
    // Somebody else's release has it too.
    record(&shop, "elsewhere", "theirs", 1, "deployed", "app=x");
    stored(&shop, "elsewhere", "theirs", LASTING.split("---\n").nth(1).unwrap());
    let refused = untouched(&shop, shop.run(&all)).exits(4);
    assert!(refused.stderr.contains("release elsewhere/theirs, which stays, brought it"), "{}", refused.screen());
    let records = read(&shop.fake("records"));
    put(
        &shop.fake("records"),
        records.lines().filter(|line| !line.contains("theirs")).map(|l| format!("{l}\n")).collect::<String>(),
    );

    put(&shop.fake(&format!("objects/{DEFINITION}")), "data   mine\n");
    assert_screen!(shop.path(), "still_used", shop.run(&all).exits(1).screen());
    let calls = removed(&shop);
    assert!(
        calls.ends_with(
            "kubectl delete persistentvolumeclaim data-store-0 disk --namespace=data --ignore-not-found --timeout=300s"
        ),
        "{calls}"
    );
    // The same command goes on: nothing is installed any more, and the definition was marked before it all began.
    fs::remove_file(shop.fake(&format!("objects/{DEFINITION}"))).unwrap();
    shop.run(&all).ok();
    assert!(!read(&shop.fake("definitions")).contains(DEFINITION));
}

/// What a first `destroy` kept is deleted by a second one that names it, as far as it is this environment's alone.
#[test]
fn what_was_kept_is_deleted_later() {
    let shop = with_data();
    shop.run(&DESTROY).ok();
    let definitions = read(&shop.fake("definitions"));
    assert_eq!(definitions.lines().next(), Some("stores.example.org   shop   prod"), "{definitions}");
    put(&shop.fake("definitions"), definitions + "beside.example.org   shop   test\n");
    shop.forget_calls();
    let later = |names: &'static str| [&DESTROY[..], &["--delete-crds", names]].concat();
    let foreign = shop.run(&later("others.example.org,beside.example.org,stores.example.org"));
    assert_screen!(shop.path(), "not_ours", untouched(&shop, foreign).exits(4).screen());
    record(&shop, "elsewhere", "theirs", 1, "deployed", "app=x");
    stored(&shop, "elsewhere", "theirs", LASTING.split("---\n").nth(1).unwrap());
    let needed = untouched(&shop, shop.run(&later(DEFINITION))).exits(4);
    assert!(needed.stderr.contains("error[E0463]"), "{}", needed.screen());
    put(&shop.fake("records"), "");

    let asked = ["destroy", "-e", "prod", "--delete-crds", DEFINITION];
    let refused = untouched(&shop, shop.run(&asked)).exits(4);
    assert!(refused.stderr.contains("removing 1 custom resource definition"), "{}", refused.screen());
    let shown = untouched(&shop, shop.run(&[&asked[..], &["--dry-run"]].concat())).ok();
    assert_eq!(shown.stdout, format!("goes   CustomResourceDefinition {DEFINITION}\n"));
    put(&shop.fake(&format!("objects/{DEFINITION}")), "data   mine\n");
    let used = untouched(&shop, shop.run(&later(DEFINITION))).exits(1);
    assert!(used.stderr.contains("error[E0464]") && used.stderr.contains("data/mine"), "{}", used.screen());
    fs::remove_file(shop.fake(&format!("objects/{DEFINITION}"))).unwrap();

    let deleted = shop.run(&later(DEFINITION)).ok();
    assert!(deleted.stderr.contains("   Deleted  CustomResourceDefinition stores.example.org"), "{}", deleted.screen());
    assert!(removed(&shop).contains(&format!("kubectl delete customresourcedefinition {DEFINITION}")));
    assert!(!read(&shop.fake("definitions")).contains(DEFINITION));
    // The same command once more, as after a run that failed.
    let again = shop.run(&[&later(DEFINITION)[..], &["--delete-pvcs", "store"]].concat()).ok();
    assert!(
        again.stderr.contains("is not there") && again.stderr.contains("its claims are not looked for"),
        "{}",
        again.screen()
    );
}

/// A release that helm left in the middle of something goes like any other.
#[test]
fn what_is_pending_is_removed_too() {
    let shop = with_data();
    record(&shop, "shop", "web", 2, "pending-upgrade", &format!("{OURS},platctl.dev/chart-version=3.1.0"));
    fs::copy(shop.fake("stored/web.v1"), shop.fake("stored/web.v2")).unwrap();
    assert_screen!(shop.path(), "pending", shop.run(&[&DESTROY[..], &["-l", "name=web"]].concat()).ok().screen());
    assert!(removed(&shop).starts_with("helm uninstall web --namespace shop"), "{}", removed(&shop));
    assert!(!read(&shop.fake("records")).contains("name=web,"));
}

#[test]
fn what_fails_to_go_keeps_what_it_stands_on() {
    let shop = with_data();
    put(
        &shop.fake("fail/uninstall-web"),
        "Error: uninstallation completed with 1 error(s): context deadline exceeded\n",
    );
    assert_screen!(shop.path(), "clings", shop.run(&DESTROY).exits(1).screen());
    assert!(read(&shop.fake("records")).contains("name=store,"), "web needs it");
    fs::remove_file(shop.fake("fail/uninstall-web")).unwrap();
    shop.run(&DESTROY).ok();
    assert_eq!(read(&shop.fake("records")), "");
}

/// helm forgets a release of which something did not go. The next run removed what that still needed, and nobody knew of its
/// Secrets and claims any more.
#[test]
fn a_release_of_which_something_is_still_there_is_not_forgotten() {
    let shop = with_data();
    put(&shop.fake("own-secrets"), "shop   made   Opaque   1   5m   platctl.dev/release=web\n");
    let word = "Error: uninstallation completed with 1 error(s): resource ConfigMap/shop/held still exists. status: \
                Terminating, message: Resource scheduled for deletion\ncontext deadline exceeded\n";
    put(&shop.fake("fail/forgotten-web"), word);
    put(&shop.fake("finalizers-held"), "[\"example.org/held\"]");
    for _ in 0..2 {
        let failed = shop.run(&DESTROY).exits(1);
        let records = read(&shop.fake("records"));
        assert!(["web", "store"].iter().all(|name| records.contains(&format!("name={name},"))), "{}", failed.screen());
        assert!(failed.stderr.contains("left: web stands on it"), "{}", failed.screen());
        assert!(!removed(&shop).contains("secret made"), "it is still web's");
    }
    assert_screen!(shop.path(), "forgotten", shop.run(&DESTROY).exits(1).screen());
    fs::remove_file(shop.fake("fail/forgotten-web")).unwrap();
    shop.run(&DESTROY).ok();
    assert_eq!(read(&shop.fake("records")), "");
    assert!(removed(&shop).contains("kubectl delete secret made --namespace=shop"), "{}", removed(&shop));
}

/// helm does not hear of it: `uninstall` would be ended in the middle.
#[test]
fn an_interrupt_lets_helm_end_and_begins_nothing_more() {
    let shop = with_data();
    put(&shop.fake("hang/uninstall-web"), "");
    let program = shop.platctl().through(&["setsid", env!("CARGO_BIN_EXE_platctl")]);
    let mut running = program.args(DESTROY).start(shop.path());
    until("helm is at work on web", || shop.fake("started-uninstall-web").exists());
    assert!(!running.ended());
    running.signal_group(Signal::INT);
    std::thread::sleep(std::time::Duration::from_millis(300));
    fs::remove_file(shop.fake("hang/uninstall-web")).unwrap();
    assert_screen!(shop.path(), "interrupted", running.wait().exits(130).screen());
    let records = read(&shop.fake("records"));
    assert!(!records.contains("name=web,") && records.contains("name=store,"), "{records}");
    let history = shop.run(&["history", "-e", "prod"]).ok();
    assert!(history.stdout.lines().nth(1).unwrap().contains("interrupted"), "{}", history.screen());
    shop.run(&DESTROY).ok();
    assert_eq!(read(&shop.fake("records")), "");
}

/// The program at a terminal, where it is asked for the environment's name and this is typed.
fn at_a_terminal(shop: &Shop, typed: &str) -> Output {
    let line = format!("{} destroy -e prod", env!("CARGO_BIN_EXE_platctl"));
    let program: Platctl = shop.platctl().through(&["script", "-qec", &line, "/dev/null"]);
    program.typed("to remove 5 releases: ", typed).run()
}

#[test]
fn at_a_terminal_the_name_is_asked_for() {
    let shop = with_data();
    let wrong = untouched(&shop, at_a_terminal(&shop, "yes\n")).exits(4);
    assert!(
        wrong.stdout.contains("error[E0462]: `yes` is not the name of the environment, prod"),
        "{}",
        wrong.screen()
    );
    assert!(
        wrong.stdout.contains("stays  PersistentVolumeClaim data/disk of store, 1Gi"),
        "what goes and stays is seen first"
    );
    let nothing = untouched(&shop, at_a_terminal(&shop, "\n")).exits(4);
    assert!(nothing.stdout.contains("error[E0462]"), "{}", nothing.screen());
    let interrupted = untouched(&shop, at_a_terminal(&shop, "\u{3}")).exits(130);
    assert!(interrupted.stdout.contains("error[E0413]: interrupted; nothing was removed"), "{}", interrupted.screen());
    let right = at_a_terminal(&shop, "prod\n").ok();
    assert!(right.stdout.contains("5 of 5"), "{}", right.screen());
    assert_eq!(read(&shop.fake("records")), "");
}
