//! What a verb works on: definition and lock, from a folder or a bundle, with the store, the network and the tools.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::kitchen::Kitchen;
use super::network::{settings, upstream};
use super::{Context, Rendering, trust};
use crate::bundle::Bundle;
use crate::definition::{Definition, Environment, LOCK_PATH, Tree};
use crate::files::{self, Store};
use crate::image::Platform;
use crate::lock::Lock;
use crate::net::{Authority, Client};
use crate::render::Cache;
use crate::resolve;
use crate::secrets::{Layers, Revealed};
use crate::supply::Supply;
use crate::tools::{Births, Cluster, Helm, Kubectl, Sops};
use crate::ui::failure::{Code, Failure, Failures, Kind, exit};

/// Definition, lock and where bytes come from.
pub struct Workspace {
    /// The definition's files.
    pub tree: Tree,
    /// The folder it was read from; none when it is the bundle's.
    pub folder: Option<PathBuf>,
    /// The bundle.
    pub bundle: Option<Bundle>,
    /// What is locked.
    pub lock: Lock,
    /// Charts and tools on the disk.
    pub store: Store,
    /// The network, through the mirrors.
    pub upstream: Client,
    /// What was rendered before.
    pub renders: Cache,
}

impl Workspace {
    /// Opens the definition that the flags name: a folder, else the working directory, else the bundle.
    ///
    /// # Errors
    /// [`Failures`].
    pub fn open(context: &Context) -> Result<Workspace, Failures> {
        let bundle = context.global.bundle.as_deref().or(context.surroundings.bundle.as_deref());
        Workspace::with_bundle(context, bundle)
    }

    /// As [`Workspace::open`], with the bundle named.
    ///
    /// # Errors
    /// [`Failures`].
    pub fn with_bundle(context: &Context, bundle: Option<&Path>) -> Result<Workspace, Failures> {
        Workspace::on(context, Files::with_bundle(context, bundle)?)
    }

    /// The definition in a bundle, whatever folder there is.
    ///
    /// # Errors
    /// [`Failures`].
    pub fn of_bundle(context: &Context, path: &Path) -> Result<Workspace, Failures> {
        let bundle = trust::open(context, path)?;
        let tree = Tree::from_tar(&bundle.definition()?)?;
        Workspace::on(context, Files { tree, folder: None, bundle: Some(bundle) })
    }

    /// Another state of the same definition, or the same once more, with bytes from where this one has them.
    ///
    /// # Errors
    /// [`Failures`].
    pub fn beside(&self, context: &Context, tree: Option<Tree>) -> Result<Workspace, Failures> {
        let path = self.bundle.as_ref().map(|bundle| bundle.path().to_owned());
        let mut files = Files::with_bundle(context, path.as_deref())?;
        files.tree = tree.unwrap_or(files.tree);
        Workspace::on(context, files)
    }

    fn on(context: &Context, files: Files) -> Result<Workspace, Failures> {
        let Files { tree, folder, bundle } = files;
        let lock = match tree.get(LOCK_PATH) {
            None => Lock::default(),
            Some(bytes) => Lock::parse(LOCK_PATH, &String::from_utf8_lossy(bytes))
                .map_err(|problem| Failure::problem(Code::LockUnreadable, &problem))?,
        };
        files::private_folder(&context.surroundings.cache)?;
        let store = Store::open(&context.surroundings.cache.join("store"))?;
        let upstream = upstream(context)?;
        let renders = Cache::open(context.surroundings.cache.join("renders"));
        Ok(Workspace { tree, folder, bundle, lock, store, upstream, renders })
    }

    /// The same for a verb that renders, as its flags say.
    #[must_use]
    pub fn rendering(self, rendering: &Rendering) -> Workspace {
        if rendering.no_cache { Workspace { renders: Cache::off(), ..self } } else { self }
    }

    /// The environment that the flags name, or the bundle's.
    ///
    /// # Errors
    /// [`Failures`] when none is named or the definition is wrong.
    pub fn definition(&self, context: &Context) -> Result<Definition, Failures> {
        Ok(Definition::load(&self.tree, &self.environment(context)?)?)
    }

    /// The same before its secrets are all there: for the verbs that put them there.
    ///
    /// # Errors
    /// As [`Workspace::definition`].
    pub fn definition_without_secrets(&self, context: &Context) -> Result<Definition, Failures> {
        Ok(Definition::load_without_secrets(&self.tree, &self.environment(context)?)?)
    }

    /// The name of the environment that the flags mean, or the bundle's.
    ///
    /// # Errors
    /// [`Failures`] when none is named.
    pub fn environment(&self, context: &Context) -> Result<String, Failures> {
        environment(context, &self.tree, self.folder.is_some(), self.bundle.as_ref())
    }

    /// Where locked bytes come from.
    pub fn supply(&self) -> Supply<'_> {
        Supply { store: &self.store, bundle: self.bundle.as_ref(), client: &self.upstream }
    }

    /// The environment's helm.
    ///
    /// # Errors
    /// [`Failures`] when it is not locked or can't be had.
    pub async fn helm(&self, context: &Context, environment: &Environment) -> Result<Helm, Failures> {
        self.helm_of(context, environment, &self.lock).await
    }

    /// What a definition is rendered with, by a lock: this one, or one that is being made.
    ///
    /// # Errors
    /// [`Failures`] when helm or a chart is not locked or can't be had.
    pub async fn kitchen(&self, context: &Context, definition: &Definition, lock: &Lock) -> Result<Kitchen, Failures> {
        let helm = self.helm_of(context, &definition.environment, lock).await?;
        let charts = resolve::chart_files(&definition.releases, lock, &self.tree, self.supply()).await?;
        let scans = context.surroundings.cache.join("scans");
        files::private_folder(&scans)?;
        Ok(Kitchen { helm, charts, scans, renders: self.renders.clone() })
    }

    /// The helm that another lock names for an environment.
    async fn helm_of(&self, context: &Context, environment: &Environment, lock: &Lock) -> Result<Helm, Failures> {
        let cache = &context.surroundings.cache;
        let program = self.supply().tool(lock, environment, "helm", cache).await?;
        let home = cache.join("helm");
        files::private_folder(&home)?;
        Ok(Helm {
            program,
            plugins: home.join("no-plugins"),
            home,
            variables: context.surroundings.variables.clone(),
            interrupt: context.interrupt.clone(),
            births: Births::default(),
        })
    }

    /// The environment's kubectl, for the cluster that environment and flags name.
    ///
    /// # Errors
    /// [`Failures`] when it is not locked or can't be had, or when flags and environment name different contexts.
    pub async fn kubectl(&self, context: &Context, environment: &Environment) -> Result<Kubectl, Failures> {
        let cache = &context.surroundings.cache;
        let program = self.supply().tool(&self.lock, environment, "kubectl", cache).await?;
        self.kubectl_at(context, environment, program)
    }

    /// Whether a tool is locked for the platform this program runs on.
    pub fn has_locked(&self, environment: &Environment, tool: &str) -> bool {
        let version = environment.tools.0.get(tool).map_or("", String::as_str);
        self.lock.tool(tool, version, &Platform::host()).is_some()
    }

    /// As [`Workspace::kubectl`], with the executable named.
    ///
    /// # Errors
    /// [`Failures`] when flags and environment name different contexts.
    pub fn kubectl_at(
        &self,
        context: &Context,
        environment: &Environment,
        program: PathBuf,
    ) -> Result<Kubectl, Failures> {
        let home = context.surroundings.cache.join("kubectl");
        files::private_folder(&home)?;
        Ok(Kubectl {
            program,
            cluster: Cluster {
                kubeconfig: context.global.kubeconfig.clone(),
                context: cluster_context(context, environment)?,
            },
            home,
            variables: context.surroundings.variables.clone(),
            request_timeout: environment.timeouts.request,
            patience: Duration::ZERO,
            interrupt: context.interrupt.clone(),
        })
    }

    /// The environment's sops.
    ///
    /// # Errors
    /// [`Failures`] when the environment names none, or when it is not locked or can't be had.
    pub async fn sops(&self, context: &Context, environment: &Environment) -> Result<Sops, Failures> {
        check_sops(environment)?;
        let program = self.supply().tool(&self.lock, environment, "sops", &context.surroundings.cache).await?;
        Ok(Sops { program, variables: context.surroundings.variables.clone(), interrupt: context.interrupt.clone() })
    }

    /// All secrets of an environment in the clear.
    ///
    /// # Errors
    /// [`Failures`] without sops or a key that fits.
    pub async fn revealed(&self, context: &Context, definition: &Definition) -> Result<Revealed, Failures> {
        let layers = Layers::read(&self.tree, &definition.environment.layers)?;
        let sops = self.sops(context, &definition.environment).await?;
        Ok(layers.reveal(&sops).await?)
    }

    /// A client for the site's registry. No mirror ever stands in for it.
    ///
    /// # Errors
    /// [`Failures`] when an authority's file can't be read.
    pub fn site_client(&self, context: &Context, environment: &Environment) -> Result<Client, Failures> {
        let mut settings = settings(context)?;
        settings.timeout = environment.timeouts.request;
        if let Some(registry) = &environment.registry {
            if registry.plain_http {
                settings.plain_http.insert(registry.site.address.clone());
            }
            if let Some(pem) = &registry.ca {
                // An authority means TLS, also on a loopback address.
                settings.secure.insert(registry.site.address.clone());
                settings.authorities.push(Authority { name: "registry.ca".to_owned(), pem: pem.clone() });
            }
        }
        Ok(Client::new(settings))
    }

    /// The digest pods are given for each image that the bundle has.
    pub fn bundled_tops(&self) -> BTreeMap<String, crate::digest::Digest> {
        let images = self.bundle.iter().flat_map(Bundle::images);
        images.map(|image| (image.reference.to_string(), image.top.digest)).collect()
    }
}

/// The oldest sops that takes a value and a file on its standard input.
const MIN_SOPS: semver::Version = semver::Version::new(3, 11, 0);

fn check_sops(environment: &Environment) -> Result<(), Failures> {
    let title = match environment.tools.0.get("sops") {
        None => format!("environment {} has secrets, and names no sops in `tools`", environment.name),
        Some(version) if semver::Version::parse(version).is_ok_and(|version| version >= MIN_SOPS) => return Ok(()),
        Some(version) => format!("sops {version} is too old or no version"),
    };
    let help = format!("name {MIN_SOPS} or newer as `sops` in `tools` of environment.yaml, and run `platctl lock`");
    Err(Failure::new(Code::Definition, Kind::Yours, title).help(help).into())
}

/// The definition's files, for verbs that need nothing else: neither lock nor cache nor network.
pub struct Files {
    tree: Tree,
    folder: Option<PathBuf>,
    bundle: Option<Bundle>,
}

impl Files {
    /// Opens what the flags name, as [`Workspace::open`] does.
    ///
    /// # Errors
    /// [`Failures`].
    pub fn open(context: &Context) -> Result<Files, Failures> {
        Files::with_bundle(context, context.global.bundle.as_deref().or(context.surroundings.bundle.as_deref()))
    }

    fn with_bundle(context: &Context, bundle: Option<&Path>) -> Result<Files, Failures> {
        let bundle = bundle.map(|path| trust::open(context, path)).transpose()?;
        let folder = folder(context, bundle.is_some())?;
        let tree = match (&folder, &bundle) {
            (Some(folder), _) => Tree::read(folder)?,
            (None, Some(bundle)) => Tree::from_tar(&bundle.definition()?)?,
            (None, None) => Tree::read(Path::new("."))?,
        };
        Ok(Files { tree, folder, bundle })
    }

    /// The environment that the flags name, or the bundle's.
    ///
    /// # Errors
    /// [`Failures`] when none is named or the definition is wrong.
    pub fn definition(&self, context: &Context) -> Result<Definition, Failures> {
        let name = environment(context, &self.tree, self.folder.is_some(), self.bundle.as_ref())?;
        Ok(Definition::load_without_secrets(&self.tree, &name)?)
    }
}

/// The environment that the flags name, or the bundle's.
fn environment(context: &Context, tree: &Tree, has_folder: bool, bundle: Option<&Bundle>) -> Result<String, Failures> {
    let bundled = bundle.map(Bundle::environment);
    match (context.global.environment.as_deref(), bundled) {
        (Some(name), Some(bundled)) if !has_folder && name != bundled => {
            let failure =
                Failure::new(Code::NotInBundle, Kind::Yours, format!("environment `{name}` is not in the bundle"));
            Err(Failures::from(failure.help(format!("the bundle is for `{bundled}`"))).exit(exit::REFUSED))
        }
        (Some(name), _) => Ok(name.to_owned()),
        (None, Some(bundled)) => Ok(bundled.to_owned()),
        (None, None) => {
            let known = Definition::environments(tree).join(", ");
            let failure = Failure::new(Code::Usage, Kind::Yours, "no environment was named");
            Err(Failures::from(failure.help(format!("name one with -e: {known}"))).exit(exit::USAGE))
        }
    }
}

/// The context to use; the environment's guard and the flag must agree.
fn cluster_context(context: &Context, environment: &Environment) -> Result<Option<String>, Failures> {
    match (&environment.cluster.context, &context.global.context) {
        (Some(declared), Some(asked)) if declared != asked => {
            let title = format!("environment {} belongs to context `{declared}`, not `{asked}`", environment.name);
            let failure = Failure::new(Code::WrongCluster, Kind::Yours, title);
            Err(Failures::from(failure.help("leave --context out, or name the other environment")).exit(exit::REFUSED))
        }
        (declared, asked) => Ok(declared.clone().or_else(|| asked.clone())),
    }
}

/// The folder of the definition, when it does not come from the bundle.
fn folder(context: &Context, has_bundle: bool) -> Result<Option<PathBuf>, Failures> {
    if let Some(folder) = &context.global.directory {
        return Ok(Some(folder.clone()));
    }
    let here = PathBuf::from(".");
    if here.join("environments").is_dir() {
        return Ok(Some(here));
    }
    if has_bundle {
        return Ok(None);
    }
    let failure =
        Failure::new(Code::NoDefinition, Kind::Yours, "this folder holds no definition: there is no `environments/`");
    Err(failure.help("give its folder with -C DIR, or a bundle with --bundle FILE").into())
}
