//! What guards are put where.

use super::*;
use crate::definition::expression;

fn guarded(text: &str) -> Result<String, String> {
    let code = expression::code(text).unwrap();
    let guarded = guard(text, &code, false).map_err(|forbidden| forbidden.message)?;
    let mut plain = guarded.text;
    for (long, short) in
        [(WEIGH_OPTIONAL, "?"), (WEIGH_TEXT, "~"), (WEIGH_ITEMS, "*"), (WEIGH, "!"), (" | ", "|"), (" ", "")]
    {
        plain = plain.replace(long, short);
    }
    Ok(plain)
}

#[test]
fn everything_used_is_weighed() {
    for (text, expected) in [
        ("{{ values.a }}", "{{values.a|!}}"),
        ("{{ values.a or none }}", "{{values.a|?ornone}}"),
        ("{{ values.a?.b }}x", "{{values.a?.b|?}}x"),
        ("{{ a ~ b }}", "{{a|~~b|!}}"),
        ("{{ a | upper }}", "{{a|!|upper}}"),
        ("{{ a | default(value=b) }}", "{{a|default(value=b|!)}}"),
        ("{{ a is defined and a is containing(b) }}", "{{aisdefinedandaiscontaining(b|!)}}"),
        ("{{ [x.n for x in values.l if x.y] }}", "{{[(x.n|!)|!forxin(values.l|!)|*ifx.y|!]}}"),
        ("{{ [k for k, v in m] }}", "{{[(k|!)|!fork,vin(m|!)|*]}}"),
        ("{{ s[1:3] }}{{ s[i] }}", "{{s[1:3]|!}}{{s[i|!]|!}}"),
        ("{{ {'a': {'b': 1}} }}", "{{{'a':{'b':1}}}}"),
        ("{% for x in l %}{{ x }}{% endfor %}", "{%forxin(l|!)|*%}{{x|!}}{%endfor%}"),
        ("{% set x = a ~ a %}{% if x %}y{% endif %}", "{%setx=(a|~~a|!)|!%}{%ifx|!%}y{%endif%}"),
        ("{{ f(a=b, c='d') if not x in [1] else [2] }}", "{{f(a=b|!,c='d')ifnotx|!in[1]else[2]}}"),
    ] {
        assert_eq!(guarded(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_values_have_no_use_for_is_refused() {
    for text in [
        "{% set x %}y{% endset %}",
        "{% filter upper %}y{% endfilter %}",
        "{% include 'x' %}",
        "{% extends 'x' %}",
        "{% block x %}{% endblock %}",
        "{% component x() %}{% endcomponent %}",
        "{{ __tera_context }}",
        "{{ 1 | __capture }}",
    ] {
        assert!(guarded(text).unwrap_err().contains("not for use in"), "{text}");
    }
}

#[test]
fn places_are_those_of_the_file() {
    let text = "x {{ values.a ~ values.nope }}";
    let guarded = guard(text, &expression::code(text).unwrap(), false).unwrap();
    let at = guarded.text.find("values.nope").unwrap();
    assert_eq!(&text[guarded.original(at..at + 11)], "values.nope");
}
