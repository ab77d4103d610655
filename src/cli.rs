//! The command line: flags, verbs, and from there to one command. The doc comments here are the help. Must not do
//! any verb's work.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::commands::{self, Context, Global};
use crate::surroundings::Surroundings;
use crate::tools::{Interrupt, Interrupter};
use crate::ui::failure::{Code, Failure, Kind, exit};
use crate::ui::{Failures, Ui, Volume};

/// How long a verb that changes no cluster may go on after an interrupt.
const GRACE: Duration = Duration::from_secs(2);

/// Installs an ML platform on Kubernetes with Helm, and carries everything it needs into places without internet.
///
/// Online: `platctl lock`, `platctl bundle -e prod -o platform.tar`.
/// At the site: `platctl apply -e prod --bundle platform.tar`, `platctl status -e prod`.
#[derive(Debug, Parser)]
#[command(name = "platctl", version, disable_help_subcommand = true, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Pin charts, images and tools by content (online)
    Lock(commands::lock::Args),
    /// Put everything an environment needs into one file (online)
    Bundle(commands::bundle::Args),
    /// Show what a bundle holds
    Inspect(commands::inspect::Args),
    /// Take the definition out of a bundle
    Unpack(commands::unpack::Args),
    /// Push a bundle's images into the site's registry
    Push(commands::push::Args),
    /// Print values, of an environment or of releases, and where they come from
    Values(commands::values::Args),
    /// Print what would be applied, rewritten for the site
    Template(commands::template::Args),
    /// Say what is wrong in the definition, of one environment or all, without a cluster or keys
    Lint(commands::lint::Args),
    /// Show what differs: from what is installed, a revision, another environment or a bundle
    Diff(commands::diff::Args),
    /// Show what apply would do
    Plan(commands::plan::Args),
    /// Make the cluster what the definition says
    Apply(commands::apply::Args),
    /// Show what is installed
    Status(commands::status::Args),
    /// Show the runs of the environment, or the revisions of releases
    ///
    /// Runs are known from their journals, of which the newest 20 are kept in the cluster, and further back from helm's
    /// records, of which helm keeps ten a release. With a release's name, or -l, it shows their revisions.
    History(commands::history::Args),
    /// Give releases what they had when a run was over, from the last tier to the first
    ///
    /// As far as helm's history reaches. Custom resource definitions of crds/, Secrets that platctl makes and data in volumes do
    /// not go back. What came later is left; what was removed since is not installed.
    Rollback(commands::rollback::Args),
    /// Remove everything of the environment, or what is selected, from the last tier to the first
    ///
    /// Asks for the environment's name; where nobody can be asked, --confirm must give it. PersistentVolumeClaims, custom
    /// resource definitions and namespaces stay unless they are named; --dry-run lists them.
    Destroy(commands::destroy::Args),
    /// Compare the cluster with what the definition takes it for, or record what it offers
    ///
    /// Asks the cluster for its version, its uid and everything it offers, and compares that with the environment: its
    /// guard, its `kubeVersion`, and what charts are told (`capabilities.yaml`, or platctl's table of that Kubernetes
    /// minor). Changes nothing, says what to do, and ends with 1 when something differs.
    ///
    /// With --record it writes what the cluster offers into `environments/NAME/capabilities.yaml`: record clusters that
    /// have more than a plain one, and again after an upgrade of Kubernetes. Every render then uses it.
    Doctor(commands::doctor::Args),
    /// Generate, edit and rotate the environment's secrets
    Secrets(commands::secrets::Args),
    /// Say what a failure's code means and what to do; without a code, list them
    Runbook(commands::runbook::Args),
    /// Print the version
    Version,
    /// Rewrite what helm rendered (helm calls this)
    #[command(name = "post-render", hide = true)]
    PostRender,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let surroundings = Surroundings::take();
    let volume = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => Volume::Quiet,
        (_, true) => Volume::Verbose,
        _ => Volume::Normal,
    };
    let ui = Ui::new(cli.global.color, surroundings.no_color, volume);
    let (interrupter, interrupt) = Interrupt::pair();
    let context = Context { surroundings, global: cli.global, ui, interrupt };
    if let Verb::Values(args) = &cli.verb {
        // It reads and prints: threads would only cost time.
        return ended(&context, commands::values::run(&context, args));
    }
    if let Verb::Inspect(args) = &cli.verb {
        return ended(&context, commands::inspect::run(&context, args));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(&context, interrupter, cli.verb)),
        Err(error) => {
            let failure = Failure::new(Code::Tool, Kind::Transient, format!("cannot start: {error}"));
            context.ui.fail(&failure.help("the system lacks threads or file handles").into());
            return ExitCode::from(exit::FAILED);
        }
    };
    ended(&context, result)
}

fn ended(context: &Context, result: Result<u8, Failures>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failures) => {
            context.ui.fail(&failures);
            ExitCode::from(failures.exit)
        }
    }
}

async fn dispatch(context: &Context, interrupter: Interrupter, verb: Verb) -> Result<u8, Failures> {
    match verb {
        // These only read, or write one whole file after the other: a signal may end them where they are.
        Verb::Inspect(args) => commands::inspect::run(context, &args),
        Verb::Unpack(args) => commands::unpack::run(context, &args),
        Verb::PostRender => commands::post_render::run(context).await,
        Verb::Values(args) => commands::values::run(context, &args),
        Verb::Runbook(args) => commands::runbook::run(context, &args),
        Verb::Version => {
            context.ui.result(&format!("platctl {}\n", env!("CARGO_PKG_VERSION")))?;
            Ok(0)
        }
        verb => {
            tokio::spawn(hear_signals(interrupter));
            interruptible(context, verb).await
        }
    }
}

/// Runs a verb that waits for children or servers. An interrupt reaches children at once; then `apply` and an editor are
/// waited for to their end, the others for a moment.
async fn interruptible(context: &Context, verb: Verb) -> Result<u8, Failures> {
    let patient = match &verb {
        Verb::Apply(_) | Verb::Destroy(_) | Verb::Rollback(_) => true,
        Verb::Secrets(args) => args.is_interactive(),
        _ => false,
    };
    let work = async {
        match verb {
            Verb::Lock(args) => Box::pin(commands::lock::run(context, args)).await,
            Verb::Bundle(args) => Box::pin(commands::bundle::run(context, args)).await,
            Verb::Push(args) => Box::pin(commands::push::run(context, args)).await,
            Verb::Template(args) => Box::pin(commands::template::run(context, args)).await,
            Verb::Lint(args) => Box::pin(commands::lint::run(context, args)).await,
            Verb::Diff(args) => Box::pin(commands::diff::run(context, args)).await,
            Verb::Plan(args) => Box::pin(commands::plan::run(context, args)).await,
            Verb::Apply(args) => Box::pin(commands::apply::run(context, args)).await,
            Verb::Status(args) => Box::pin(commands::status::run(context, args)).await,
            Verb::History(args) => Box::pin(commands::history::run(context, args)).await,
            Verb::Rollback(args) => Box::pin(commands::rollback::run(context, args)).await,
            Verb::Destroy(args) => Box::pin(commands::destroy::run(context, args)).await,
            Verb::Doctor(args) => Box::pin(commands::doctor::run(context, args)).await,
            Verb::Secrets(args) => Box::pin(commands::secrets::run(context, args)).await,
            Verb::Inspect(_) | Verb::Unpack(_) | Verb::Values(_) => Ok(0),
            Verb::Runbook(_) | Verb::Version | Verb::PostRender => Ok(0),
        }
    };
    let impatience = async {
        context.interrupt.wait().await;
        if patient {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(GRACE).await;
    };
    let result = tokio::select! {
        result = work => result,
        () = impatience => Err(interrupted()),
    };
    match result {
        Err(failures) if context.interrupt.said() => Err(failures.exit(exit::INTERRUPTED)),
        result => result,
    }
}

fn interrupted() -> Failures {
    let failure = Failure::new(Code::Interrupted, Kind::Transient, "interrupted");
    failure.help("run the same command again: nothing half-written is taken for whole").into()
}

/// Passes SIGINT and SIGTERM on to everything that waits; SIGHUP too, which a lost connection sends, unless whoever started this
/// wanted it to go on then (`nohup`).
async fn hear_signals(interrupter: Interrupter) {
    use tokio::signal::unix::{SignalKind, signal};
    let stays = is_ignored(SignalKind::hangup().as_raw_value());
    let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        return;
    };
    let mut hangup = if stays { None } else { signal(SignalKind::hangup()).ok() };
    loop {
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            _ = hung_up => {}
        }
        interrupter.say();
    }
}

/// Whether this process was started with a signal ignored: `SigIgn` of proc_pid_status(5), a bit for each.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim);
    let mask = mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}

/// Help and version are results; everything else is a mistake on the command line.
#[allow(clippy::print_stdout, clippy::print_stderr)] // clap draws its own help.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 })
}
