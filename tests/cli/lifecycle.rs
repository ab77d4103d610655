//! What comes after an installation, as far as fakes can show it: records that a user may not list, and the screens of
//! removing, looking back and taking back.

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::put;

const APPLY: [&str; 3] = ["apply", "-e", "prod"];

fn forbidden(user: &str, place: &str) -> String {
    format!(
        "Error from server (Forbidden): secrets is forbidden: User \"{user}\" cannot list resource \"secrets\" in API group \"\" {place}\n"
    )
}

#[test]
fn without_the_right_to_list_everywhere_namespaces_are_asked_one_by_one() {
    let shop = Shop::locked();
    shop.run(&APPLY).ok();
    put(&shop.fake("fail/get-secrets"), forbidden("site", "at the cluster scope"));
    shop.forget_calls();
    assert_screen!(shop.path(), "by_namespace", shop.run(&APPLY).ok().screen());
    assert_screen!(shop.path(), "by_namespace_status", shop.run(&["status", "-e", "prod"]).ok().screen());
    assert!(shop.changing_calls().is_empty(), "{:?}", shop.calls());
    put(&shop.fake("fail/get-secrets-in-data"), forbidden("site", "in the namespace \"data\""));
    assert_screen!(shop.path(), "by_namespace_refused", shop.run(&APPLY).exits(1).screen());
    assert!(shop.changing_calls().is_empty(), "{:?}", shop.calls());
}
