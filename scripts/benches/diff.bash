# shellcheck shell=bash disable=SC2154 # Sourced by scripts/bench, which sets and reads the variables.
# Comparing 30 releases with what helm stored: nothing changed beside one metadata list, all of them beside 30 helm
# template two at once, three changed. Where helmfile and helm-diff are on the path they do the same in the same run.

bench_diff() {
  local folder=$work/diff-platform round floor i list plain
  say "a control plane and $RELEASES releases"
  "$ROOT/scripts/rig" up "$work/rig" >"$work/log" 2>&1
  # shellcheck source=/dev/null
  source "$work/rig/env"
  write_environment "$folder" "cluster: {uid: $RIG_CLUSTER_UID}"
  write_releases "$folder"
  mkdir -p "$work/diff-upstream" "$work/diff-floor"
  printf 'tools: {helm: %s, kubectl: %s}\n' "$helm" "$kubernetes" >"$work/diff-upstream/upstream.yaml"
  start_upstream "$work/diff-upstream/upstream.yaml"
  "$platctl" -C "$folder" lock --mirror "*=$internet" --vendor "$work/diff-floor" >"$work/log" 2>&1
  "$platctl" -C "$folder" apply -e bench >"$work/log" 2>&1
  for ((i = 0; i < RELEASES; i++)); do
    printf '{"message":"hello from r%02d"}' "$i" >"$work/diff-floor/$(printf 'r%02d' "$i").json"
  done
  list=("$bin/kubectl" get secrets -A -l owner=helm --show-labels --no-headers)
  # shellcheck disable=SC2016 # The inner shell expands them.
  plain=(bash -c 'printf "%s\n" "$2"/*.json | xargs -P2 -I{} sh -c '\''
    "$1" template "$(basename "$3" .json)" "$2/tiny-0.1.0.tgz" --namespace n --kube-version "$4" --include-crds -f "$3"'\'' - "$1" "$2" {} "$3"'
    - "$bin/helm" "$work/diff-floor" "$kubernetes")
  say "diff: $ROUNDS rounds, in turns with the floors"
  measure warm "${list[@]}"
  measure warm "$platctl" -C "$folder" diff -e bench
  for ((round = 0; round < ROUNDS; round++)); do
    measure diff-list "${list[@]}"
    measure diff-unchanged "$platctl" -C "$folder" diff -e bench
    grep -q "$RELEASES unchanged" "$work/log" || die "a diff of nothing: $(cat "$work/log")"
    measure diff-template "${plain[@]}"
    [[ $(grep -c '^kind: Deployment' "$work/log") == "$RELEASES" ]] || die "helm did not render everything"
    measure diff-all "$platctl" -C "$folder" diff -e bench --no-cache
    grep -q "$RELEASES unchanged" "$work/log" || die "a diff of everything: $(cat "$work/log")"
  done
  mkdir -p "$folder/environments/bench/releases"
  for ((round = 0; round < ROUNDS; round++)); do
    # Values that were never rendered, so that nothing is remembered.
    for i in r03 r13 r23; do printf 'message: other %s\n' "$round" >"$folder/environments/bench/releases/$i.yaml"; done
    measure diff-three "$platctl" -C "$folder" diff -e bench
    grep -q "3 upgrade, $((RELEASES - 3)) unchanged" "$work/log" || die "a diff of three: $(cat "$work/log")"
  done
  floor=$(median diff-list)
  row "diff, $RELEASES releases unchanged, 1 guard" "$(median diff-unchanged)" "$floor" "$(awk -v f="$floor" 'BEGIN { print 2 * f + 0.05 }')"
  row "diff --no-cache of all $RELEASES" "$(median diff-all)" "$(median diff-template)" "$(awk -v f="$(median diff-template)" 'BEGIN { print 1.2 * f }')"
  row "diff, 3 of $RELEASES changed" "$(median diff-three)" "$floor" 0.5
  notes+=("diff unchanged: median of $ROUNDS, $(spread diff-unchanged), peak $(peak diff-unchanged); floor: one metadata list, $(spread diff-list); target: 2 × floor + 50 ms for the guard")
  notes+=("diff --no-cache: $(spread diff-all), peak $(peak diff-all); floor: $RELEASES × helm template, two at once, $(spread diff-template); target: 1.2 × floor")
  notes+=("diff of 3 changed: $(spread diff-three), peak $(peak diff-three); target: 0.5 s")
  measure_helmfile_diff "$folder" "$work/diff-floor"
  "$ROOT/scripts/rig" down "$work/rig"
}

# The same releases by helmfile, once: measure_helmfile_diff DEFINITION FOLDER
measure_helmfile_diff() {
  helmfile_is_there || return 0
  write_helmfile "$1" "$2"
  measure helmfile-diff bash -c 'by_helmfile "$@"' - "$2" diff
  notes+=("helmfile diff of the same $RELEASES releases, unchanged: $(median helmfile-diff) s")
}
