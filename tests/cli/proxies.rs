//! The way through a proxy, to hosts with TLS of an own authority. There is no mirror here: names are asked as they are.

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::proxy::Proxy;
use crate::support::upstream::hex_digest;
use crate::support::{Output, Platctl, put};

/// me:hunter2 in base64.
const LOGIN: &str = "bWU6aHVudGVyMg==";

fn shop() -> Shop {
    let shop = Shop::new();
    put(&shop.path().join("files/files.example.org/notes.txt"), "notes");
    shop
}

fn through(shop: &Shop, proxy: &Proxy, login: &str, args: &[&str]) -> Platctl {
    put(&shop.path().join("ca.pem"), &proxy.authority);
    let url = format!("http://{login}{}", proxy.address);
    let program = Platctl::new(shop.path()).folder(&shop.file("")).env("FAKE", shop.fake(""));
    let program = program.env("HTTPS_PROXY", &url).env("HTTP_PROXY", &url);
    program.env("PLATCTL_CA_FILE", shop.path().join("ca.pem")).args(args)
}

const BUNDLE: [&str; 7] = ["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "-o", "../platform.tar"];

fn failures(output: &Output) -> String {
    output.stderr.find("error[").map_or(output.screen(), |at| output.stderr[at..].to_owned())
}

#[test]
fn everything_goes_through_the_proxy() {
    for (wanted, login) in [(None, ""), (Some(LOGIN), "me:hunter2@")] {
        let shop = shop();
        let proxy = Proxy::start(&shop.upstream.url(), wanted);
        through(&shop, &proxy, login, &["lock"]).run().ok();
        let extra = format!("sha256:{}", hex_digest(b"notes"));
        let extra =
            format!("extras:\n- {{name: notes, url: \"http://files.example.org/notes.txt\", digest: \"{extra}\"}}\n");
        shop.add("environments/prod/environment.yaml", &extra);
        let output = through(&shop, &proxy, login, &BUNDLE).run().ok();
        assert!(!output.screen().contains("hunter2"));
        assert_screen!(
            shop.path(),
            "asked",
            proxy.asked().join("\n").replace(crate::support::upstream::architecture(), "[arch]")
        );
    }
}

#[test]
fn a_login_that_the_proxy_refuses_is_told_and_not_shown() {
    let shop = shop();
    let proxy = Proxy::start(&shop.upstream.url(), Some(LOGIN));
    for (name, login) in [("no_login", ""), ("wrong_login", "me:hunter3@")] {
        let output = through(&shop, &proxy, login, &["lock"]).run().exits(1);
        assert!(!output.screen().contains("hunter"), "{}", output.screen());
        assert_screen!(shop.path(), name, failures(&output));
    }
}

#[test]
fn no_proxy_is_heeded() {
    let shop = shop();
    let proxy = Proxy::start(&shop.upstream.url(), None);
    let output = through(&shop, &proxy, "", &["lock"]).env("NO_PROXY", "charts.example.org").run().exits(1);
    assert!(proxy.asked().iter().all(|line| !line.contains("charts.example.org")), "{:?}", proxy.asked());
    assert!(output.stderr.contains("cannot reach charts.example.org"), "{}", output.screen());
}

#[test]
fn an_authority_that_nobody_named_is_not_trusted() {
    let shop = shop();
    let proxy = Proxy::start(&shop.upstream.url(), None);
    let other = Proxy::start(&shop.upstream.url(), None);
    let program = through(&shop, &proxy, "", &["lock"]);
    put(&shop.path().join("ca.pem"), &other.authority);
    assert_screen!(shop.path(), "not_trusted", failures(&program.run().exits(1)));
    put(&shop.path().join("ca.pem"), "nothing");
    assert_screen!(shop.path(), "no_certificate", failures(&through_bad(&shop, &proxy)));
}

fn through_bad(shop: &Shop, proxy: &Proxy) -> Output {
    let program = through(shop, proxy, "", &["lock"]);
    put(&shop.path().join("ca.pem"), "nothing");
    program.run().exits(1)
}
