//! Whether the registry takes images at all, asked before the first byte is sent: many make no repository, or no
//! project around it, by themselves. How much room they have, no registry says.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Error;
use super::error::{Refusal, Refused};
use super::look::{Has, QUESTIONS, Seen};
use crate::image::Reference;
use crate::net::oci::Repository;
use crate::net::{self, Kind};

/// Begins an upload in every repository that is to be written, and takes it back. What was seen comes back with nothing
/// refused in it.
///
/// # Errors
/// [`Error::Refused`] with every repository that takes none.
pub(super) async fn preflight(seen: Vec<Seen<'_>>) -> Result<Vec<Seen<'_>>, Error> {
    let (mut open, mut repositories) = (Vec::new(), BTreeMap::new());
    for seen in seen {
        if !matches!(seen.has, Has::All) {
            let asked: &mut Asked =
                repositories.entry(seen.repository.name().to_owned()).or_insert_with(|| Asked::new(&seen));
            asked.images.push(seen.image.reference.to_string());
        }
        match seen.has {
            Has::Refused(error) => {
                if let Some(asked) = repositories.get_mut(seen.repository.name()) {
                    asked.refused = Some(error);
                }
            }
            has => open.push(Seen { has, ..seen }),
        }
    }
    let asked = stream::iter(repositories.into_values()).map(Asked::ask).buffered(QUESTIONS);
    let refused: Vec<Refused> = asked.try_filter_map(async |refused| Ok(refused)).try_collect().await?;
    if refused.is_empty() { Ok(open) } else { Err(Error::Refused(refused)) }
}

/// A repository that is to be written.
struct Asked<'a> {
    repository: Repository,
    first: &'a Reference,
    images: Vec<String>,
    refused: Option<net::Error>,
}

impl<'a> Asked<'a> {
    fn new(seen: &Seen<'a>) -> Asked<'a> {
        let (repository, first) = (seen.repository.clone(), &seen.image.reference);
        Asked { repository, first, images: Vec::new(), refused: None }
    }

    /// How it refuses, if it does.
    async fn ask(self) -> Result<Option<Refused>, Error> {
        let refused = match self.refused {
            None => self.repository.takes_uploads().await.err(),
            refused => refused,
        };
        match refused {
            None => Ok(None),
            Some(source) if is_about_the_repository(&source) => {
                let (repository, refusal) = (self.repository.name().to_owned(), Refusal::of(&source.reason));
                Ok(Some(Refused { repository, images: self.images, refusal, source }))
            }
            Some(source) => Err(Error::of(self.first, self.repository.name(), source)),
        }
    }
}

/// Whether other repositories may fare better; a registry that is not there is told of once.
fn is_about_the_repository(error: &net::Error) -> bool {
    error.status().is_some() && error.kind() != Kind::Transient
}
