# shellcheck shell=bash disable=SC2154 # Sourced by scripts/soak, which sets and reads the variables.
# Applying, with processes killed at many random moments, on the real API server.

# killed_rounds TEST ROUNDS: the end-to-end test with that many rounds; its seed is printed, and taken from
# PLATCTL_TEST_SEED when that is set.
killed_rounds() {
  "$ROOT/scripts/rig" build
  (
    cd "$ROOT" || exit
    RIG_BIN=$(scripts/rig bin) PLATCTL_TEST_KILLS=$2 cargo test --test e2e "$1" -- --nocapture
  )
}

# soak_apply_killed: kill -9 of platctl at random moments of an apply, each followed by one that resumes it
soak_apply_killed() {
  killed_rounds killed::platctl_is_killed_at_random_moments "$1"
  result "platctl killed at $1 random moments: every next run ended with everything deployed, and nothing was left pending"
}

# soak_helm_killed: kill -9 of a helm at random moments of an apply, each followed by one that resumes it
soak_helm_killed() {
  killed_rounds killed::a_helm_is_killed_at_random_moments "$1"
  result "helm killed at $1 random moments: told by its code, and every next run ended with everything deployed"
}
