//! The network as flags and surroundings want it: mirrors, authorities, logins. Must not ask anybody.

use std::collections::BTreeSet;

use super::Context;
use crate::files;
use crate::net::{Authority, Client, Mirrors, Settings};
use crate::ui::failure::Failures;

/// The internet, through the mirrors.
pub(super) fn upstream(context: &Context) -> Result<Client, Failures> {
    let rules: BTreeSet<&String> = context.surroundings.mirrors.iter().chain(&context.global.mirror).collect();
    let mut settings = settings(context)?;
    settings.mirrors = Mirrors::parse(rules)?;
    Ok(Client::new(settings))
}

/// What holds for every client.
pub(super) fn settings(context: &Context) -> Result<Settings, Failures> {
    let surroundings = &context.surroundings;
    let mut settings = Settings {
        docker_config: surroundings.docker_config.clone(),
        helm_registry_config: surroundings.helm_registry_config.clone(),
        helm_repositories: surroundings.helm_repositories.clone(),
        ..Settings::default()
    };
    for file in context.global.ca_file.iter().chain(&context.surroundings.ca_file) {
        settings.authorities.push(Authority { name: file.display().to_string(), pem: files::read(file)? });
    }
    Ok(settings)
}
