# shellcheck shell=bash disable=SC2154 # Sourced by scripts/bench, which sets and reads the variables.
# An apply that changes nothing, of 30 and of 300 releases, beside one metadata list.

bench_releases() {
  measure_unchanged few
  # A function's own RELEASES is what those that it calls see.
  local RELEASES=300
  measure_unchanged many
  local few many
  few=$(median unchanged-few) many=$(median unchanged-many)
  row "apply, 300 unchanged, beside 30 unchanged" "$many" "$few" "$(awk -v f="$few" 'BEGIN { print 3 * f }')"
}

# Installs $RELEASES releases and measures applies that change nothing: measure_unchanged NAME
measure_unchanged() {
  local name=$1 folder=$work/releases-$1 round floor measured
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
  measure "first-$name" "$platctl" -C "$folder" apply -e bench
  [[ $("$bin/kubectl" get secrets -A -l owner=helm,status=deployed --no-headers | wc -l) == "$RELEASES" ]] \
    || die "not every release is deployed"
  say "$ROUNDS times nothing to do, in turns with the floor"
  list=("$bin/kubectl" get secrets -A -l owner=helm --show-labels --no-headers)
  measure warm "${list[@]}"
  measure warm "$platctl" -C "$folder" apply -e bench
  for ((round = 0; round < ROUNDS; round++)); do
    measure "list-$name" "${list[@]}"
    measure "unchanged-$name" "$platctl" -C "$folder" apply -e bench
    grep -q "$RELEASES unchanged" "$work/log" || die "an apply that should change nothing: $(cat "$work/log")"
  done
  floor=$(median "list-$name") measured=$(median "unchanged-$name")
  row "apply, $RELEASES releases unchanged, 1 guard" "$measured" "$floor" "$(awk -v f="$floor" 'BEGIN { print 2 * f + 0.05 }')"
  notes+=("apply of $RELEASES unchanged: median of $ROUNDS, $(spread "unchanged-$name"), peak $(peak "unchanged-$name"); floor: kubectl get secrets -A -l owner=helm, $(spread "list-$name")")
  notes+=("  target: 2 × floor + 50 ms for each guard declared (the cluster's uid); first apply of them: $(median "first-$name") s, peak $(peak "first-$name")")
  "$ROOT/scripts/rig" down "$work/rig"
}
