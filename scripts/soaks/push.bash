# shellcheck shell=bash disable=SC2154 # Sourced by scripts/soak, which sets and reads the variables.
# Pushing into a real registry, killed at many moments.

# soak_push_killed: kill -9 at random moments of a push, each followed by a run that finishes it
soak_push_killed() {
  "$ROOT/scripts/rig" build
  (cd "$ROOT" && RIG_BIN=$(scripts/rig bin) PLATCTL_TEST_KILLS=$1 cargo test --test e2e a_killed_push -- --nocapture)
  result "push killed at $1 random moments: every next run finished, and the registry held what an undisturbed push brings"
}
