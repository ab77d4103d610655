//! The program: takes arguments and surroundings, runs one command, ends with its exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    platctl::cli::main()
}
