//! The flags that every verb takes, and those that several share. The doc comments are their help.

use std::path::PathBuf;

use crate::plan::Selector;
use crate::ui::{Color, Failures};

/// Where platctl keeps its own state, unless another namespace is named.
const STATE_NAMESPACE: &str = "platctl-system";

/// Flags of every verb.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// Folder of the definition [default: this folder, if it holds `environments/`]
    #[arg(short = 'C', long = "directory", value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    /// Environment
    #[arg(short, long, value_name = "NAME", global = true)]
    pub environment: Option<String>,
    /// Bundle to take charts, images and tools from, and the definition when there is no folder [env: PLATCTL_BUNDLE]
    #[arg(long, value_name = "FILE", global = true)]
    pub bundle: Option<PathBuf>,
    /// Releases, as tier=NAME,name=NAME
    #[arg(short = 'l', long, value_name = "SELECTOR", global = true)]
    pub selector: Option<String>,
    /// Kubeconfig file
    #[arg(long, value_name = "FILE", global = true)]
    pub kubeconfig: Option<PathBuf>,
    /// Kubeconfig context
    #[arg(long, value_name = "NAME", global = true)]
    pub context: Option<String>,
    /// Namespace of platctl's own state in the cluster: the lease and the journals of runs
    #[arg(long, value_name = "NAME", global = true, default_value = STATE_NAMESPACE)]
    pub state_namespace: String,
    /// Take a source from another address: FROM is a host, a URL prefix or `*`
    #[arg(long, value_name = "FROM=TO", global = true)]
    pub mirror: Vec<String>,
    /// Trust the certificate authorities in this file too
    #[arg(long, value_name = "FILE", global = true)]
    pub ca_file: Option<PathBuf>,
    /// Take only bundles that are signed by the minisign key in this file; may be given several times [env: PLATCTL_TRUST_KEY]
    #[arg(long, value_name = "FILE", global = true)]
    pub trust_key: Vec<PathBuf>,
    /// Say more
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Say nothing but results and failures
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Colours
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", global = true)]
    pub color: Color,
}

/// Flags of the verbs that render.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Rendering {
    /// Render everything anew, though it was rendered before
    #[arg(long)]
    pub no_cache: bool,
}

impl Global {
    /// The selector; everything, when none was given.
    ///
    /// # Errors
    /// [`Failures`] for a text that is none.
    pub fn selector(&self) -> Result<Selector, Failures> {
        Ok(self.selector.as_deref().map(str::parse).transpose()?.unwrap_or_default())
    }
}
