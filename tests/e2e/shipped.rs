//! The platform that ships, as it is at a site of the tests: `environments/` and `templates/` of the repository, the
//! test environments over them, secrets of its own. Locked anew: the lock that ships has the digests of upstream's
//! packages, and the internet of the tests has stand-ins for them. Locked and bundled once for all tests.

use std::path::PathBuf;
use std::sync::OnceLock;

use crate::rig::{Rig, rig};
use crate::support::{Output, Platctl, copy_folder, files, put, read, root, static_executable};

/// The environment of the rig that all tests share: all of the platform.
pub const HERE: &str = "here";

pub struct Shipped {
    folder: PathBuf,
}

static SHIPPED: OnceLock<Shipped> = OnceLock::new();

/// The platform, locked, and the bundle of [`HERE`].
pub fn shipped() -> &'static Shipped {
    SHIPPED.get_or_init(Shipped::make)
}

impl Shipped {
    fn make() -> Shipped {
        let shipped = Shipped { folder: rig().place("shipped") };
        let platform = shipped.platform();
        for folder in ["environments", "templates"] {
            copy_folder(&root().join(folder), &platform.join(folder));
        }
        copy_folder(&root().join("tests/fixtures/environments"), &platform.join("environments"));
        put(&platform.join(format!("environments/{HERE}/environment.yaml")), site(rig(), "rig"));
        put(&platform.join(".sops.yaml"), format!("creation_rules:\n- {{age: {}}}\n", shipped.recipient()));
        let online = |args: &[&str]| shipped.online(rig()).args(args).run().ok();
        online(&["lock"]);
        // With sops, which is locked like everything else.
        online(&["secrets", "generate", "-e", HERE]);
        online(&["lock", "--check"]);
        static_executable(&shipped.path("platctl-to-carry"));
        online(&["bundle", "-e", HERE, "--platctl", "../platctl-to-carry", "-o", "../platform.tar"]);
        shipped
    }

    /// A new key of age; what is encrypted to.
    fn recipient(&self) -> String {
        rig().tool("age-keygen", &["-o", self.key().to_str().unwrap()]).unwrap();
        rig().tool("age-keygen", &["-y", self.key().to_str().unwrap()]).unwrap().trim().to_owned()
    }

    /// What decrypts the secrets.
    pub fn key(&self) -> PathBuf {
        self.path("key")
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.join(inside)
    }

    /// The folder of the definition.
    pub fn platform(&self) -> PathBuf {
        self.path("platform")
    }

    pub fn bundle(&self) -> PathBuf {
        self.path("platform.tar")
    }

    /// The program in the folder of the definition, with the key, the internet, and a cluster.
    pub fn online(&self, rig: &Rig) -> Platctl {
        rig.platctl(&self.folder).folder(&self.platform()).env("SOPS_AGE_KEY_FILE", self.key())
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.online(rig()).args(args).run()
    }

    /// The environments that can be installed, those of the repository and those of the tests.
    pub fn environments(&self) -> Vec<String> {
        let all = files(&self.platform().join("environments"));
        let all = all.iter().filter(|file| file.ends_with("environment.yaml"));
        let whole = all.filter(|file| !read(file).lines().any(|line| line.starts_with("abstract: true")));
        whole.map(|file| file.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    /// Every release there is, by the folders.
    pub fn releases(&self) -> Vec<String> {
        let all = files(&self.platform().join("templates"));
        let all = all.iter().filter(|file| file.ends_with("release.yaml"));
        all.map(|file| file.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }
}

/// environment.yaml of a site whose cluster and registry are a rig's.
pub fn site(rig: &Rig, extends: &str) -> String {
    format!(
        "apiVersion: platctl.dev/v1\nextends: {extends}\nregistry: {{address: \"{}\"}}\ncluster: {{context: rig, uid: {}}}\n",
        rig.registry, rig.uid
    )
}
