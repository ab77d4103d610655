//! Whether every token that values ask for comes out of a render: one that does not is a secret the chart ignored or
//! changed, and would be missing or wrong in the cluster.

use super::base64_cores;
use crate::definition::SecretUse;

/// The uses whose token is nowhere in what was rendered, neither as it is nor inside base64. Those with a dummy are
/// left out: their charts look into them and make something else of them.
pub fn lost<'u>(uses: &'u [SecretUse], rendered: &str) -> Vec<&'u SecretUse> {
    let there = |used: &&SecretUse| {
        let token = used.token.as_str();
        used.dummy.is_some()
            || rendered.contains(token)
            || base64_cores(token.as_bytes()).iter().any(|core| rendered.contains(core.as_str()))
    };
    uses.iter().filter(|used| !there(used)).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::secrets::substitute::tests::definition;

    #[test]
    fn tokens_are_found_as_they_are_and_inside_base64() {
        let definition = definition("a: \"{{ secret('a.b') }}\"\nb: \"{{ secret('a.b', dummy='x') }}\"\n", "");
        let uses = &definition.releases[0].value_secrets;
        let token = &uses[0].token;
        for rendered in [
            format!("password: {token}\n"),
            format!("data: {{p: {}}}\n", STANDARD.encode(token)),
            format!("data: {{p: {}}}\n", STANDARD.encode(format!("[db]\npassword = {token}\n"))),
        ] {
            assert_eq!(lost(uses, &rendered), Vec::<&SecretUse>::new(), "{rendered}");
        }
        let lost = lost(uses, &format!("password: {}\n", token.to_uppercase()));
        assert_eq!(lost.iter().map(|used| used.name.as_str()).collect::<Vec<_>>(), ["a.b"]);
    }
}
