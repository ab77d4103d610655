//! The plugin folder that makes this program helm's post-renderer.

use std::path::Path;

use crate::files::{self, FileError};

/// The plugin's name, given to `--post-renderer`.
pub(super) const NAME: &str = "platctl";

/// Writes the plugin that calls `executable post-render` into a private HELM_PLUGINS folder.
///
/// # Errors
/// [`FileError`] naming the path.
pub fn write_post_renderer(plugins: &Path, executable: &Path) -> Result<(), FileError> {
    let folder = plugins.join(NAME);
    files::private_folder(&folder)?;
    let command = serde_json::Value::from(executable.to_string_lossy());
    let text = format!(
        "apiVersion: v1\nname: {NAME}\nversion: {}\ntype: postrenderer/v1\nruntime: subprocess\nconfig: {{}}\n\
         runtimeConfig:\n  platformCommand:\n  - command: {command}\n    args: [post-render]\n",
        env!("CARGO_PKG_VERSION")
    );
    files::write_private(&folder.join("plugin.yaml"), text.as_bytes())
}
