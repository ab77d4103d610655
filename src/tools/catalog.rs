//! The tools the platform uses and where their publishers serve them.

use crate::image::Platform;

/// A tool: its name and the shape of what its publisher serves.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// The executable's name.
    pub name: &'static str,
    address: fn(version: &str, platform: &Platform) -> String,
    packed: bool,
}

const TOOLS: [Tool; 3] = [
    Tool {
        name: "helm",
        address: |v, p| format!("https://get.helm.sh/helm-v{v}-{}-{}.tar.gz", p.os, p.arch),
        packed: true,
    },
    Tool {
        name: "kubectl",
        address: |v, p| format!("https://dl.k8s.io/release/v{v}/bin/{}/{}/kubectl", p.os, p.arch),
        packed: false,
    },
    Tool {
        name: "sops",
        address: |v, p| format!("https://github.com/getsops/sops/releases/download/v{v}/sops-v{v}.{}.{}", p.os, p.arch),
        packed: false,
    },
];

/// The tool of a name.
pub fn tool(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

impl Tool {
    /// Where the publisher serves it.
    pub fn url(&self, version: &str, platform: &Platform) -> String {
        (self.address)(version, platform)
    }

    /// The executable's path inside the archive, when the publisher serves a tar.gz.
    pub(super) fn member(&self, platform: &Platform) -> Option<String> {
        self.packed.then(|| format!("{}-{}/{}", platform.os, platform.arch, self.name))
    }
}
