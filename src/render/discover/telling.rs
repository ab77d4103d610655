//! Keys that tell that an image stands at them: `image`, `sidecarImage`, `RELATED_IMAGE_X`, `--solver-image`, `imageName`.

/// How much a key tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Telling {
    /// Nothing.
    Nothing,
    /// It speaks of an image, so a whole reference at it is one: `IMAGE_KUBECTL`.
    Mention,
    /// It names an image: even `postgres:17` is one there.
    Image,
}

/// What a key tells. Only its last part counts, of names with a domain as annotations have.
pub(super) fn telling(key: &str) -> Telling {
    let key = key.rsplit('/').next().unwrap_or(key);
    let bytes = key.as_bytes();
    if !bytes.windows(5).any(|five| five.eq_ignore_ascii_case(b"image")) {
        return Telling::Nothing;
    }
    let words = words(key);
    let is = |word: &String, names: &[&str]| names.contains(&word.as_str());
    let ends = |word: &String| word.ends_with("image") || word.ends_with("images");
    let related = words.windows(2).any(|two| two[0] == "related" && is(&two[1], &["image", "images"]));
    match words.as_slice() {
        _ if related => Telling::Image,
        [.., last] if ends(last) || last == "imagename" => Telling::Image,
        [.., image, last] if ends(image) && is(last, &["name", "ref", "reference", "uri"]) => Telling::Image,
        _ => Telling::Mention,
    }
}

/// Keys that hold the whole of an image's name in a map that is an image's.
pub(super) fn names_it(key: &str) -> bool {
    matches!(key, "name" | "ref" | "reference" | "uri" | "url" | "value" | "repository")
}

/// The words of a name in whatever style: `proxyImage`, `PROXY_IMAGE`, `--proxy-image`, `CNIImage`.
fn words(key: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let chars: Vec<char> = key.chars().collect();
    let mut open = false;
    for (i, c) in chars.iter().enumerate() {
        if !c.is_alphanumeric() {
            open = false;
            continue;
        }
        let before = i.checked_sub(1).map(|i| chars[i]);
        let after = chars.get(i + 1);
        let hump = c.is_uppercase()
            && before.is_some_and(|b| b.is_lowercase() || b.is_numeric() || after.is_some_and(|a| a.is_lowercase()));
        match words.last_mut() {
            Some(word) if open && !hump => word.extend(c.to_lowercase()),
            _ => words.push(c.to_lowercase().collect()),
        }
        open = true;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_tell_and_keys_that_do_not() {
        for key in [
            "image",
            "images",
            "sidecarImage",
            "RELATED_IMAGE_MARIADB",
            "OPERATOR_IMAGE_NAME",
            "imageName",
            "baseimage",
            "acme-http01-solver-image",
            "CNIImage",
            "STRIMZI_KAFKA_IMAGES",
            "sidecar.istio.io/proxyImage",
            "image_ref",
        ] {
            assert_eq!(telling(key), Telling::Image, "{key}");
        }
        for key in ["IMAGE_KUBECTL", "imagePullPolicy", "imageTag", "imageRegistry", "image.png", "images.txt"] {
            assert_eq!(telling(key), Telling::Mention, "{key}");
        }
        for key in ["", "name", "imag", "repository", "image.example.com/name", "--loglevel"] {
            assert_eq!(telling(key), Telling::Nothing, "{key}");
        }
    }
}
