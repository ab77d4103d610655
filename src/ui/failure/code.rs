//! The codes of failures, in one table: number, name, who can do something, what it means, where it comes from and what
//! to do. They are stable: a code keeps its meaning for ever, and new ones are added at the end of their range.
//! `docs/runbook.md` is written from it. Texts alone: must not know errors, which are mapped beside this file.

use std::fmt;

use super::Kind;
use crate::render::Rule;

/// A row of the table, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The code.
    pub code: Code,
    /// Its name in a few words.
    pub name: &'static str,
    /// Who can do something, mostly; each failure says it for itself.
    pub kind: Kind,
    /// What it means and where it comes from.
    pub causes: &'static str,
    /// What to do.
    pub todo: &'static str,
}

/// A row: `Variant = number, kind, "name", "causes", "what to do";`.
macro_rules! table {
    ($($variant:ident = $number:literal, $kind:ident, $name:literal, $causes:literal, $todo:literal;)*) => {
        /// A failure's code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $name] $variant = $number,)*
        }

        /// Every code, by number.
        pub const TABLE: &[Row] = &[
            $(Row { code: Code::$variant, name: $name, kind: Kind::$kind, causes: $causes, todo: $todo },)*
        ];
    };
}

table! {
    Definition = 101, Yours, "A file of the definition is wrong",
        "A file below `environments/` or `templates/` can't be read, holds a key that is unknown, or contradicts another. The failure names file, line and column.",
        "Correct the line. `platctl lint` says everything that is wrong at once, without a cluster.";
    NoDefinition = 102, Yours, "There is no definition, or no such environment",
        "The folder has no `environments/`, or the environment that was named is not in it.",
        "Name the folder with `-C DIR` or a bundle with `--bundle FILE`, and the environment with `-e NAME`.";
    SecretMissing = 103, Yours, "A secret is not there yet",
        "The definition uses a secret that is in no `secrets.yaml` of the environment, or one that is still to be generated.",
        "`platctl secrets generate` makes those that can be made; set the others with `platctl secrets edit`.";
    NoKey = 104, Yours, "No key to decrypt secrets is at hand",
        "`secrets.yaml` is encrypted to keys of which none is here.",
        "Use a key that the failure names. For age: `SOPS_AGE_KEY_FILE=FILE`.";
    SecretsDamaged = 105, Yours, "A file of secrets is damaged, or not encrypted",
        "sops can't authenticate the file: it was edited by hand, merged by version control, or is plain text.",
        "Take it from version control again and edit it with `platctl secrets edit` only. What ever lay there in the clear must be rotated.";
    SecretRules = 106, Yours, "Nothing says to which keys a new file of secrets is encrypted",
        "There is no `.sops.yaml` beside `environments/`, or no rule in it fits.",
        "Write one: `creation_rules: [{age: age1…}]`, with every recipient that has to decrypt.";
    SecretNotMade = 107, Yours, "A secret can't be generated or set",
        "Two declarations of it contradict each other, a name stands in the way of another, or the file can't be written.",
        "The failure names both places; make them agree.";
    LockUnreadable = 201, Yours, "The lock can't be read",
        "`charts-lock.yaml` was edited, cut short, or written by a newer platctl.",
        "Take it from version control, or write it anew with `platctl lock`.";
    NotLocked = 202, Yours, "Something is not in the lock",
        "A chart, an image or a tool that is declared was never pinned.",
        "Run `platctl lock` where there is internet, and bundle again for sites without.";
    LockStale = 203, Yours, "The lock is not what it would become",
        "`platctl lock --check` found that locking again would change the file.",
        "Run `platctl lock` and commit the file.";
    Unresolved = 204, Yours, "Something can't be looked up",
        "A repository or registry does not have what was asked for, wants a login, or can't be reached.",
        "Check name and version; the failure says what there is, or where logins are taken from.";
    Changed = 205, Permanent, "Bytes are not the ones that are locked",
        "The publisher replaced a version, a mirror serves something else, or a file was damaged on its way.",
        "Compare before you lock it again: this is what the lock is for.";
    Render = 207, Yours, "The chart does not render",
        "helm refuses the chart with these values: its schema, a `required` or `fail`, or a mistake in a template.",
        "Correct the values; the failure shows the line that set what helm complains about.";
    BundleNotMade = 301, Transient, "A bundle can't be made",
        "Something could not be fetched or written, or another process writes the file.",
        "Run the same command again: what is there is not fetched again.";
    BundleDamaged = 302, Permanent, "A bundle is damaged or is none",
        "An entry is missing, altered or cut short. Nothing was changed by it.",
        "Copy it again and compare its sha256, or make it again.";
    NotInBundle = 303, Yours, "A bundle lacks something",
        "It was made for another environment, or from another state of the definition.",
        "Make the bundle again from this definition.";
    Untrusted = 331, Yours, "A bundle is by nobody who is trusted",
        "It has no signature, or one of a key that is not trusted here, or was altered after it was signed.",
        "Ask whoever made it for the key, out of band, and name it with `--trust-key`. Never use one that was altered.";
    TrustKey = 332, Yours, "A key to trust can't be read",
        "The file is no public key of minisign.",
        "Name the `.pub` file that `minisign -G` wrote.";
    NotSigned = 333, Yours, "A bundle can't be signed",
        "The secret key can't be read, or its password is wrong.",
        "Name the key that `minisign -G` wrote; its password is asked for, or taken from `PLATCTL_SIGN_PASSWORD`.";
    WrongCluster = 401, Yours, "The cluster is not the one declared",
        "`cluster.uid` or `cluster.context` of the environment is not what kubeconfig leads to, or there is no such context.",
        "Check `--kubeconfig` and `--context`. Change `cluster.uid` only when the cluster was made anew.";
    Cluster = 402, Transient, "The cluster can't be reached or refuses",
        "The API server does not answer, is too slow, does not accept the login, or the user lacks a right. Single requests were tried again for some time already.",
        "`kubectl get --raw /readyz` with the same kubeconfig says more. When it is well, run the same command again.";
    Pending = 403, Yours, "A release is in the middle of an operation",
        "helm's newest record says `pending-…`: a helm is at work on it, or one was killed there.",
        "Make sure that no helm works on it, on any host. If the last run of platctl left it there: `platctl apply --resume`. Else the same command with `--recover rollback`, `--recover uninstall`, or `--recover unlock`, which marks the operation as failed and lets the next upgrade go ahead.";
    Foreign = 404, Yours, "A release belongs to somebody else",
        "A release of that name, or an object or a Secret that this one wants to make, is there and was made by hand, by another platform or by another release.",
        "Take it over with `--adopt RELEASE` (not a Secret that platctl makes), remove it, give this release another name or namespace, or let its owner go.";
    NeedMissing = 405, Yours, "A release that is needed is not there",
        "The selector leaves out a release that a selected one needs, and it is not deployed.",
        "Select it too, or insist with `--skip-needs`.";
    Prepare = 410, Yours, "What comes before a release can't be applied",
        "A namespace, a Secret or a custom resource definition was refused by the API server.",
        "The API server's own words are shown. A conflict names the field manager that owns the field.";
    Helm = 411, Permanent, "helm failed",
        "The API server refused an object of the release, or helm failed for a reason that has no code of its own.",
        "Read helm's words in the failure. Fields that somebody else owns are put back with `--check-drift`. What helm had done before stays; the next apply goes on from there.";
    NotReady = 412, Yours, "A release did not become ready",
        "Its objects were applied, and one of them was not ready when `timeout` was over, or failed for good. The failure names the object, its pods and what the cluster says of them: containers that crash with their exit code and last lines, images that can't be pulled, pods that fit on no node, claims without a volume, quotas.",
        "Mend what is named, then run the same command again: the release is upgraded, not installed anew. `CrashLoopBackOff`: read the last lines of its log. `ImagePullBackOff`: the image is not at the registry, or nodes can't log in. `not scheduled`: the scheduler's words count the nodes and why each is left out. A release that is only slow needs a longer `timeout`.";
    Interrupted = 413, Transient, "The run was interrupted",
        "Ctrl-C, or SIGTERM. Helms at work were told once and waited for.",
        "Run the same command again: what is done stays as it is.";
    RendersLive = 421, Yours, "A chart renders otherwise live than planned",
        "What helm rendered with the cluster at hand is not what was rendered without it, and was looked at: the chart looks into the cluster (`lookup`), makes values up (`randAlphaNum`, `now`), prints the revision, or is told of APIs that this cluster has and its environment does not record. Objects and fields are named, values are not. helm was stopped in the middle: it changed nothing and has no record of it.",
        "Set in the release's values what the chart makes up: a generated secret (`{{ secret('NAME') }}`) for a random one. If charts are told of another cluster, `platctl doctor` says so. A chart that must render live gets `render: {guard: live, reason: …}` in its release.yaml; the rules of the closed world hold for it all the same.";
    PlanClusterMoved = 422, Yours, "The cluster has moved since the plan was saved",
        "A release that the plan speaks of was installed, upgraded, rolled back or removed after `plan --save`, by platctl or by anybody else. The revisions then and now are named. Nothing was changed.",
        "Save a plan anew and look at it.";
    PlanInputsMoved = 423, Yours, "The definition has moved since the plan was saved",
        "What decides a release (its chart, values, images, secrets, capabilities) is not what it was when the plan was saved. Releases are named. Nothing was changed.",
        "Save a plan anew and look at it, or apply the definition that it was made from.";
    PlanElsewhere = 424, Yours, "The plan is for something else",
        "The plan was saved for another environment, cluster, bundle, definition or lock than the one at hand. Nothing was changed.",
        "Name what the plan was made for, or save one for what is at hand.";
    PlanUnreadable = 425, Yours, "The file is no plan that can be applied",
        "The file is damaged or was changed, is no plan, or was saved by another version of platctl. Nothing was changed.",
        "Save the plan anew with this platctl.";
    PlanRender = 426, Yours, "A chart renders otherwise than when the plan was saved",
        "The same chart with the same values came out differently without any cluster: it makes values up, or another helm rendered it. Objects and fields are named. Nothing was changed.",
        "Save a plan anew and look at it. Set in the release's values what the chart makes up.";
    NoRevision = 431, Yours, "A definition can't be read at a revision",
        "`diff git:REVISION` asks the git on the path: there is none, the folder is in no repository, or the repository has no such revision.",
        "`git -C FOLDER rev-parse REVISION` says the same. In CI fetch enough history: a shallow clone has no other revisions.";
    RecordUnreadable = 432, Permanent, "helm's record of a release can't be read",
        "The Secret in which helm keeps the release is damaged, or was written by something else.",
        "`helm get manifest NAME -n NAMESPACE` reads the same record. Where that fails too, roll back to an older revision, or apply: the next revision has a record of its own.";
    ChartHook = 441, Yours, "A hook of the chart failed",
        "A Job or pod that the chart runs before or after it is installed or upgraded failed, or did not end within `timeout`. The failure names it, its pod, the exit code and the last lines of its log.",
        "Mend what it complains about and run the same command again. A release that was never deployed and has hooks for the installation alone is then installed again, so that they run; PersistentVolumeClaims stay.";
    Hook = 442, Yours, "A hook of the definition failed",
        "A script below `hooks` in release.yaml or tier.yaml ended with another status than 0, or did not end within its `timeout`. Before a release: helm was not begun. After it: helm is done, and the release counts as not done.",
        "Read its last lines, mend what it checks, and run the same command again: the hook runs again, and so does helm.";
    WebhookDenied = 443, Yours, "An admission webhook denied an object",
        "A policy of the cluster (Kyverno, Gatekeeper, Pod Security, an operator's own) does not take an object of the release. Its words are shown.",
        "Change the object by the release's values, or ask for an exception. Trying again changes nothing.";
    WebhookSilent = 444, Transient, "An admission webhook does not answer",
        "The API server asks a webhook before it takes an object, and the webhook has no ready pod, can't be reached, is too slow, or has a certificate that is not trusted yet. It was tried again for up to two minutes, and no longer than the release's `timeout`.",
        "See whether the pods behind the webhook's Service are ready. What needs the webhook should name its release in `needs`. A configuration that was left behind by something that is gone must be deleted: `kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations`.";
    Immutable = 445, Yours, "A field can't be changed in place",
        "The API server never changes some fields of an object that is there: a workload's selector, most of a StatefulSet, a Job's template, a roleRef, a StorageClass's parameters.",
        "Undo the change, or let the object be deleted and made anew, right before helm upgrades: `--recreate RELEASE` for what is found of a release, `--recreate KIND/NAME` for one object, whatever is found of it. A StatefulSet's pods and claims stay and are taken over; other workloads stop for that time. A PersistentVolumeClaim is deleted only by its own name, and its data with it.";
    SameFailure = 446, Yours, "Several releases failed in the same way",
        "Three releases failed with the same words, but for their names: a webhook, a registry, a quota or the scheduler refuses all of them. Nothing more was begun.",
        "Mend what they have in common, then run the same command again.";
    LeaseHeld = 451, Transient, "Another run has the environment's lease",
        "Two runs never change one environment at the same time: the Lease `platctl-PLATFORM-ENVIRONMENT` in the state namespace (`--state-namespace`) says who may. A run on this host is looked at directly; of one on another host it was seen that it renews the lease.",
        "Wait until the run that the failure names has ended, and run the same command again. A run that is gone is followed by itself: on its own host at once, elsewhere when its lease has stood still for 30 s and no helm of it can be at work. Only when you know that it is dead and you cannot wait, delete the Lease.";
    LeaseLost = 452, Transient, "The run has lost its lease",
        "The lease could not be renewed for 30 s, because the API server did not answer or this host slept, or somebody removed or took it. Helms at work were waited for; nothing more was begun, and what had not written yet was kept from it.",
        "When the API server answers and no other run is at work: `platctl apply --resume`.";
    LeftPending = 453, Yours, "helm did not end by itself",
        "helm was killed, or could not reach the API server to write how it ended. Mostly its record then says `pending-…`; no helm works on it any more, because this run had started the only one.",
        "`platctl apply --resume` marks the operation as failed, without touching an object, and goes on. Or choose: `--recover rollback`, `--recover uninstall`, `--recover unlock`.";
    Moved = 454, Yours, "Somebody else changed a release since it was planned",
        "Right before a release is changed, its newest revision is compared with the one that the plan was made for. Somebody else's helm has made another one in between. It was not overwritten.",
        "Look at it (`helm history`, `platctl diff`), agree with whoever made it, and run the same command again.";
    NotRecorded = 455, Yours, "The run can't be recorded",
        "The journal in the cache (`runs/run-…/journal.json`) can't be written: no room, or no right. What can't be recorded is not begun: after a crash nobody would know of it. A run that was under way waits for what is at work and ends.",
        "Make room, or move the cache with `PLATCTL_CACHE_DIR`. Then run the same command again.";
    Fenced = 456, Transient, "helm was kept from writing",
        "Before helm writes, its post-renderer looks once more whether the run still has the lease. Another run has it now, or nobody could tell within 15 s. helm has changed nothing.",
        "When no other run is at work: `platctl apply --resume`.";
    NothingToResume = 457, Yours, "The last run is not one that apply resumes",
        "`--resume` goes on with the environment's last run when that was an apply that did not end well.",
        "Run the verb that the failure names again, or `platctl apply`.";
    RecordsHidden = 461, Yours, "helm's records can't be listed",
        "helm keeps its records in Secrets. The user of the kubeconfig may list them neither in all namespaces nor in the one that the failure names.",
        "Give the user the rights that the failure names in every namespace of the definition; `kubectl auth can-i list secrets --namespace NAMESPACE` checks it. With rights in all namespaces platctl also sees what is no longer declared.";
    NotConfirmed = 462, Yours, "A removal was not confirmed",
        "`destroy` wants the environment's name: typed at the terminal, or as `--confirm NAME`. What was given is another name, or nothing.",
        "Look at `platctl destroy -e NAME --dry-run`; then give the environment's own name.";
    StillNeeded = 463, Yours, "What is to be removed is still needed",
        "The selector names a release that another one, which stays, needs.",
        "Select that one too, or insist with `--skip-needs`.";
    NotRemoved = 464, Yours, "Something was not removed",
        "helm could not remove a release: a hook of its failed, an object has a finalizer that nobody takes away, or the API server refused. Or a definition was to be deleted of which there are still objects, or that nothing marks as this environment's.",
        "The failure has helm's words. An object that stays behind with a finalizer waits for its operator: bring that back, or take the finalizer away by hand. helm forgets such a release; platctl puts its record back, so that what it stands on stays. Then run the same command again: what is gone stays gone, and what the release needs was kept.";
    NoSuchRun = 465, Yours, "There is no such run",
        "No record of helm's and no journal knows a run of that name in this environment.",
        "`platctl history` lists the runs that are known.";
    HistoryTooShort = 466, Yours, "helm's history does not reach back to that run",
        "helm keeps ten revisions of a release. Those of the run are gone for the releases that the failure names; nothing was changed.",
        "Roll back to a later run, or select other releases with `-l`. Or go forward: take the definition of that time from version control and apply it.";
    NotRolledBack = 467, Yours, "A release was not put back",
        "helm could not go back to the revision: its objects are refused today, a hook failed, or it did not become ready.",
        "The failure has helm's words. Run the same command again, or go forward with `platctl apply`.";
    AdoptionConflict = 471, Yours, "Taking a release over would change fields that others set",
        "Objects of the release are there, and some of their fields were set by others (`kubectl edit`, an operator, another tool, an autoscaler) to something else than the release has. They are named with their field managers. Nothing was changed.",
        "Set these fields in the release's values as they are in the cluster, or take them over with `--force-conflicts`. What an autoscaler sets is never taken: leave replicas out of the values.";
    Network = 501, Transient, "The network failed",
        "A download was cut off, refused, or did not answer, several times over.",
        "Run the same command again; check proxy, authority (`--ca-file`) and mirrors (`--mirror`).";
    Push = 502, Yours, "A registry refused images",
        "The site's registry can't be reached, wants a login, is full or read-only, or limits what it takes.",
        "The failure says which of these and what to do. What is whole there is not sent again.";
    File = 601, Yours, "The file system refused",
        "A disk is full, a path is missing, or belongs to somebody else.",
        "Make room or correct the path; `PLATCTL_CACHE_DIR` puts the cache elsewhere.";
    Tool = 602, Permanent, "A tool can't be run",
        "helm, kubectl, sops or a script of the definition could not be started.",
        "Check that the file is made for this machine, and that its disk is not mounted `noexec`.";
    Usage = 701, Yours, "The command line is wrong",
        "A flag is unknown, or its value makes no sense, or the selector matches nothing.",
        "`platctl VERB --help`.";
    ImageNotLocked = 1201, Yours, "An image is not in the lock",
        "Something that is rendered names an image that was never pinned: it would run unchecked, and is not in the bundle.",
        "`platctl lock`, and bundle again. At the site it means that the cluster makes the chart render something else than the lock knows.";
    ImageFloats = 1202, Yours, "An image floats",
        "An image is named without a tag, or by one that moves.",
        "Name a version in the release's values.";
    Download = 1203, Yours, "Something is fetched while it runs",
        "A container, or an operator, downloads at the site, where there is no internet.",
        "Switch it off in the values, bring it as an extra, or except it with a reason.";
    ImageUndecided = 1204, Yours, "Nobody has decided whether something is an image",
        "A text looks like an image, and no rule says whether it is.",
        "Declare it below `images.extra` or `images.ignore` in release.yaml.";
    NoReference = 1205, Yours, "The place of an image holds none",
        "A value that should be an image is empty or no reference.",
        "Correct the value that the failure shows.";
}

/// Codes of `lint`'s rules are counted from here.
const RULES: u16 = 1000;

impl Code {
    /// What is known of it.
    pub fn row(self) -> &'static Row {
        // Every code is in the table: both are written from the same rows.
        TABLE.iter().find(|row| row.code == self).unwrap_or(&TABLE[0])
    }
}

impl From<Rule> for Code {
    fn from(rule: Rule) -> Code {
        match rule {
            Rule::NotLocked => Code::ImageNotLocked,
            Rule::Floating => Code::ImageFloats,
            Rule::Download => Code::Download,
            Rule::Undecided => Code::ImageUndecided,
            Rule::NoReference => Code::NoReference,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self as u16 {
            code @ ..RULES => write!(f, "E{code:04}"),
            rule => write!(f, "PL{}", rule - RULES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_one_code_everywhere() {
        for rule in [Rule::NotLocked, Rule::Floating, Rule::Download, Rule::Undecided, Rule::NoReference] {
            assert_eq!(Code::from(rule).to_string(), rule.code());
        }
        assert_eq!(Code::Definition.to_string(), "E0101");
    }

    #[test]
    fn rows_are_sorted_and_say_something() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
        for row in TABLE {
            assert!([row.name, row.causes, row.todo].iter().all(|text| !text.trim().is_empty()), "{}", row.code);
            assert!(row.causes.ends_with('.') && row.todo.ends_with('.'), "{}", row.code);
            assert_eq!(row.code.row(), row);
        }
    }
}
