//! `template`, and what has no better place: the cache, the hidden verb, platforms of several kinds.

use std::fs;

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::{BundleFile, files, put, read};

#[test]
fn what_would_be_applied() {
    let shop = Shop::locked();
    assert_screen!(shop.path(), "one", shop.run(&["template", "-e", "prod", "-l", "name=store"]).ok().screen());
    let all = shop.run(&["template", "-e", "prod"]).ok();
    shop.run(&["template", "-e", "prod", "--output-dir", "../out"]).ok();
    let written: Vec<String> = files(&shop.path().join("out"))
        .iter()
        .map(|file| file.strip_prefix(shop.path().join("out")).unwrap().display().to_string())
        .collect();
    assert_eq!(written, ["apps/api.yaml", "apps/jobs.yaml", "apps/web.yaml", "base/queue.yaml", "base/store.yaml"]);
    assert!(all.stdout.contains(&read(&shop.path().join("out/base/store.yaml"))));
    let without_registry = shop.run(&["template", "-e", "test", "-l", "name=store"]).ok();
    assert!(
        without_registry.stdout.contains("image: \"registry.example.org/shop/store:1.0\""),
        "{}",
        without_registry.stdout
    );
    assert!(shop.changing_calls().is_empty() && shop.calls().iter().all(|call| call.starts_with("helm template")));
}

/// helm's words about a value lead to who set it: through its template, by its key, in a chart within.
#[test]
fn who_set_what_a_chart_refuses() {
    for (name, word) in [
        (
            "blame_schema",
            "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nstore:\n- at '/replicas': got number, want string\n- at '': additional properties 'hosts' not allowed\n",
        ),
        (
            "blame_template",
            "Error: store/charts/cache/templates/a.yaml:6:15\n  executing \"store/charts/cache/templates/a.yaml\" at <.Values.disk.size.unit>:\n    can't evaluate field unit in type interface {}\n\nUse --debug flag to render out invalid YAML\n",
        ),
        ("blame_nobody", "Error: execution error at (store/templates/a.yaml:3:4): replicas must be odd\n"),
    ] {
        let shop = Shop::locked();
        put(&shop.file("environments/prod/releases/store.yaml"), "cache:\n  disk: {size: 10Gi}\n");
        put(&shop.fake("fail/template-store"), word);
        let output = shop.run(&["template", "-e", "prod", "-l", "name=store"]);
        assert_screen!(shop.path(), name, output.exits(1).screen());
    }
}

#[test]
fn several_documents_stay_several() {
    let shop = Shop::locked();
    shop.run(&["template", "-e", "prod", "--output-dir", "../out"]).ok();
    let documents = shop.run(&["template", "-e", "prod"]).ok().stdout.matches("\n---").count() + 1;
    assert!(documents >= 5, "{documents} documents for five releases");
}

#[test]
fn a_file_of_the_cache_that_was_damaged_is_fetched_again() {
    let shop = Shop::locked();
    for file in files(&shop.path().join("home/cache/store")) {
        fs::write(file, "damaged").unwrap();
    }
    shop.run(&["template", "-e", "prod"]).ok();
    assert_eq!(shop.upstream.count("store-1.2.0.tgz"), 1);
}

#[test]
fn the_hidden_verb_is_helms() {
    let shop = Shop::locked();
    assert_screen!(shop.path(), "post_render", shop.run(&["post-render"]).exits(1).screen());
}

#[test]
fn several_platforms_need_the_bundle() {
    let shop = Shop::locked();
    shop.add("environments/prod/environment.yaml", "platforms: [linux/amd64, linux/arm64]\n");
    assert_screen!(shop.path(), "several_platforms", shop.run(&["plan", "-e", "prod"]).exits(1).screen());
}

#[test]
fn a_bundle_brings_this_very_program() {
    let shop = Shop::locked();
    shop.run(&["bundle", "-e", "prod", "-o", "../platform.tar"]).ok();
    let carried = BundleFile::open(&shop.path().join("platform.tar")).read("platctl");
    assert!(carried == fs::read(env!("CARGO_BIN_EXE_platctl")).unwrap());
}

#[test]
fn a_definition_on_the_way_to_the_site_may_change() {
    let shop = Shop::bundled("registry.site:5000");
    put(&shop.file("environments/prod/releases/web.yaml"), "image: registry.example.org/shop/other:1\n");
    let args = ["template", "-e", "prod", "--bundle", "../platform.tar"];
    assert_screen!(shop.path(), "image_not_bundled", shop.run(&args).exits(4).screen());
    shop.run(&["lock"]).ok();
    let apply = ["apply", "-e", "prod", "--bundle", "../platform.tar"];
    assert_screen!(shop.path(), "locked_but_not_bundled", shop.run(&apply).exits(4).screen());
    assert!(shop.changing_calls().is_empty());
}
