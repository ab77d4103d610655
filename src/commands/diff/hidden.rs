//! What is hidden on both sides of a comparison with a cluster: secrets at hand, and whatever may be one in helm's record.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::side::{Side, Wanted};
use crate::commands::reveal;
use crate::definition::Release;
use crate::diff;
use crate::record::Record;
use crate::secrets::{Masker, Revealed};

/// Knows what must not be seen of a release.
pub(super) struct Hidden {
    secrets: Revealed,
    public: BTreeSet<String>,
}

impl Hidden {
    /// From what is stored of a release, what it would be, and the secrets at hand.
    pub fn of(
        side: &Side,
        release: Option<&Release>,
        record: Option<&Record>,
        wanted: Option<&Wanted>,
        revealed: Option<&Revealed>,
    ) -> Hidden {
        let values = release.map(|release| release.values.to_json());
        let mut secrets = BTreeSet::new();
        if let Some(record) = record {
            secrets.extend(diff::suspects(&record.config, values.as_ref()));
            secrets.extend(diff::secret_entries(&record.stream));
        }
        secrets.extend(wanted.into_iter().flat_map(|wanted| diff::secret_entries(&wanted.stream)));
        let mut public = values.as_ref().map(diff::spelled_out).unwrap_or_default();
        public.extend(reveal::public(side.definition()).into_iter().map(str::to_owned));
        // What is known to be a secret is none that everybody may see, wherever else it is spelled out.
        let known: BTreeSet<&str> = revealed.into_iter().flat_map(Revealed::iter).map(|(_, text)| text).collect();
        let names = reveal::public(side.definition());
        public.retain(|text| !known.contains(text.as_str()) || names.contains(text.as_str()));
        secrets.extend(known.into_iter().map(str::to_owned));
        let numbered = secrets.into_iter().enumerate().map(|(at, text)| (at.to_string(), Json::from(text)));
        Hidden { secrets: Revealed::from_json(Json::Object(numbered.collect())), public }
    }

    /// Hides it.
    pub fn masker(&self) -> Masker {
        Masker::new(&self.secrets, &self.public.iter().map(String::as_str).collect())
    }
}
