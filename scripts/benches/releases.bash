# shellcheck shell=bash disable=SC2154 # Sourced by scripts/bench, which sets and reads the variables.
# An apply that changes nothing, beside one metadata list.

bench_releases() {
  local folder=$work/releases round floor measured
  say "$RELEASES releases: a control plane"
  "$ROOT/scripts/rig" up "$work/rig" --no-registry
  # shellcheck source=/dev/null
  source "$work/rig/env"
  write_environment "$folder" "cluster: {uid: $RIG_CLUSTER_UID}"
  write_releases "$folder"
  mkdir -p "$work/releases-upstream"
  printf 'tools: {helm: %s, kubectl: %s}\n' "$helm" "$kubernetes" >"$work/releases-upstream/upstream.yaml"
  start_upstream "$work/releases-upstream/upstream.yaml"
  "$platctl" -C "$folder" lock --mirror "*=$internet" >"$work/log" 2>&1
  say "first apply"
  measure first "$platctl" -C "$folder" apply -e bench
  [[ $("$bin/kubectl" get secrets -A -l owner=helm,status=deployed --no-headers | wc -l) == "$RELEASES" ]] \
    || die "not every release is deployed"
  say "$ROUNDS times nothing to do, in turns with the floor"
  list=("$bin/kubectl" get secrets -A -l owner=helm --show-labels --no-headers)
  measure warm "${list[@]}"
  measure warm "$platctl" -C "$folder" apply -e bench
  for ((round = 0; round < ROUNDS; round++)); do
    measure list "${list[@]}"
    measure unchanged "$platctl" -C "$folder" apply -e bench
    grep -q "$RELEASES unchanged" "$work/log" || die "an apply that should change nothing: $(cat "$work/log")"
  done
  floor=$(median list) measured=$(median unchanged)
  row "apply, $RELEASES releases unchanged, 1 guard" "$measured" "$floor" "$(awk -v f="$floor" 'BEGIN { print 2 * f + 0.05 }')"
  notes+=("apply unchanged: median of $ROUNDS, $(spread unchanged), peak $(peak unchanged); floor: kubectl get secrets -A -l owner=helm, $(spread list)")
  notes+=("  target: 2 × floor + 50 ms for each guard declared (the cluster's uid)")
  notes+=("first apply of the $RELEASES releases: $(median first) s, peak $(peak first)")
  "$ROOT/scripts/rig" down "$work/rig"
}
