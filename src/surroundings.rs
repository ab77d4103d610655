//! The one reader of environment variables: what the process was started with, taken once. Must not interpret
//! flags or files.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the process finds around it.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Every environment variable, for child processes.
    pub variables: Vec<(OsString, OsString)>,
    /// Where caches lie: `PLATCTL_CACHE_DIR`, else `$XDG_CACHE_HOME/platctl`, else `~/.cache/platctl`.
    pub cache: PathBuf,
    /// Docker's `config.json` with credentials for registries.
    pub docker_config: Option<PathBuf>,
    /// helm's `registry/config.json` with credentials for registries.
    pub helm_registry_config: Option<PathBuf>,
    /// helm's `repositories.yaml` with credentials for chart repositories.
    pub helm_repositories: Option<PathBuf>,
    /// Addresses that stand in for others: `PLATCTL_MIRROR`, separated by commas.
    pub mirrors: Vec<String>,
    /// The bundle to work from: `PLATCTL_BUNDLE`.
    pub bundle: Option<PathBuf>,
    /// Certificate authorities to trust beside the system's: `PLATCTL_CA_FILE`.
    pub ca_file: Option<PathBuf>,
    /// Keys whose bundles are taken: `PLATCTL_TRUST_KEY`, separated by commas.
    pub trust_keys: Vec<PathBuf>,
    /// Folders of such keys: of the machine, and of its user.
    pub trust_folders: Vec<PathBuf>,
    /// The password of a key to sign with: `PLATCTL_SIGN_PASSWORD`. No child is given it.
    pub sign_password: Option<Password>,
    /// Where a post-renderer finds its task: `PLATCTL_POST_RENDER`.
    pub post_render: Option<PathBuf>,
    /// What the post-renderer compares with is hashed with this: `PLATCTL_GUARD_SALT`. It is on no disk.
    pub guard_salt: Option<String>,
    /// `NO_COLOR` is set.
    pub no_color: bool,
    /// This program's own executable.
    pub executable: PathBuf,
}

/// A password, which nothing prints.
#[derive(Clone)]
pub struct Password(pub String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// The variable that holds the password of a key to sign with.
pub const SIGN_PASSWORD: &str = "PLATCTL_SIGN_PASSWORD";
/// The keys that a machine trusts, whoever uses it.
const TRUST_OF_THE_MACHINE: &str = "/etc/platctl/trust.d";

/// The variable that names a post-renderer's task.
pub const POST_RENDER: &str = "PLATCTL_POST_RENDER";
/// The variable that holds the salt of a post-renderer's comparison.
pub const GUARD_SALT: &str = "PLATCTL_GUARD_SALT";

impl Surroundings {
    /// Takes the process's surroundings.
    #[allow(clippy::disallowed_methods)] // The one place that may.
    pub fn take() -> Surroundings {
        let mut variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        let get = |name: &str| {
            let found = variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
            found.filter(|value| !value.is_empty())
        };
        let path = |name: &str| get(name).map(PathBuf::from);
        let home = path("HOME").unwrap_or_else(|| PathBuf::from("/"));
        let cache = path("PLATCTL_CACHE_DIR")
            .or_else(|| path("XDG_CACHE_HOME").map(|cache| cache.join("platctl")))
            .unwrap_or_else(|| home.join(".cache/platctl"));
        let docker = path("DOCKER_CONFIG").unwrap_or_else(|| home.join(".docker")).join("config.json");
        let config = path("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        let helm = path("HELM_CONFIG_HOME").unwrap_or_else(|| config.join("helm"));
        let helms = |name: &str, usual: &str| Some(path(name).unwrap_or_else(|| helm.join(usual)));
        let list = |name: &str| get(name).map(|list| list.to_string_lossy().into_owned()).unwrap_or_default();
        let (mirrors, trust_keys) = (list("PLATCTL_MIRROR"), list("PLATCTL_TRUST_KEY"));
        let parts = |list: &str| -> Vec<String> {
            list.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        // It may be empty, which is a password too.
        let sign_password = variables.iter().find(|(key, _)| key == SIGN_PASSWORD);
        let sign_password = sign_password.map(|(_, value)| Password(value.to_string_lossy().into_owned()));
        Surroundings {
            cache,
            docker_config: docker.is_file().then_some(docker),
            helm_registry_config: helms("HELM_REGISTRY_CONFIG", "registry/config.json"),
            helm_repositories: helms("HELM_REPOSITORY_CONFIG", "repositories.yaml"),
            mirrors: parts(&mirrors),
            trust_keys: parts(&trust_keys).into_iter().map(PathBuf::from).collect(),
            trust_folders: vec![PathBuf::from(TRUST_OF_THE_MACHINE), config.join("platctl/trust.d")],
            sign_password,
            bundle: path("PLATCTL_BUNDLE"),
            ca_file: path("PLATCTL_CA_FILE"),
            post_render: path(POST_RENDER),
            guard_salt: get(GUARD_SALT).map(|salt| salt.to_string_lossy().into_owned()),
            no_color: get("NO_COLOR").is_some(),
            executable: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("platctl")),
            variables: {
                variables.retain(|(key, _)| key != SIGN_PASSWORD);
                variables
            },
        }
    }
}
