# shellcheck shell=bash disable=SC2154 # Sourced by scripts/bench, which sets and reads the variables.
# A first apply of 30 releases in four tiers, beside the same helm commands run by a shell: tier by tier, four at once.

bench_apply() {
  local folder=$work/apply round floor measured
  say "apply: a control plane"
  "$ROOT/scripts/rig" up "$work/rig" --no-registry
  # shellcheck source=/dev/null
  source "$work/rig/env"
  write_environment "$folder" "cluster: {uid: $RIG_CLUSTER_UID}"
  write_releases "$folder"
  mkdir -p "$work/apply-upstream" "$work/apply-floor"
  printf 'tools: {helm: %s, kubectl: %s}\n' "$helm" "$kubernetes" >"$work/apply-upstream/upstream.yaml"
  start_upstream "$work/apply-upstream/upstream.yaml"
  "$platctl" -C "$folder" lock --mirror "*=$internet" --vendor "$work/apply-floor" >"$work/log" 2>&1
  write_shell_installer "$folder" "$work/apply-floor" install --disable-openapi-validation
  write_shell_installer "$folder" "$work/apply-floor" install-plainly
  say "apply: $APPLY_ROUNDS first applies, in turns with the floor"
  measure warm "$platctl" -C "$folder" apply -e bench
  for ((round = 0; round < APPLY_ROUNDS; round++)); do
    remove_everything
    measure shell "$work/apply-floor/install"
    expect_deployed
    remove_everything
    measure plainly "$work/apply-floor/install-plainly"
    expect_deployed
    remove_everything
    rm -rf "$PLATCTL_CACHE_DIR/renders"
    measure first "$platctl" -C "$folder" apply -e bench
    expect_deployed
    remove_everything
    measure rendered "$platctl" -C "$folder" apply -e bench
    expect_deployed
  done
  floor=$(median shell) measured=$(median first)
  row "first apply, $RELEASES releases in 4 tiers" "$measured" "$floor" "$(awk -v f="$floor" 'BEGIN { print 1.15 * f }')"
  row "the same, rendered before" "$(median rendered)" "$floor" "$(awk -v f="$floor" 'BEGIN { print 1.15 * f }')"
  notes+=("first apply: median of $APPLY_ROUNDS, $(spread first), peak $(peak first); floor: the same helm upgrade --install by a shell, tier by tier, four at once, $(spread shell)")
  notes+=("  target: 1.15 × floor; the floor neither rewrites images nor checks anything; nothing was rendered before")
  notes+=("  rendered before, as after lock, plan or diff on this host: $(spread rendered), peak $(peak rendered)")
  notes+=("  the same shell without --disable-openapi-validation: $(median plainly) s, $(spread plainly)")
  measure_helmfile "$folder" "$work/apply-floor"
  "$ROOT/scripts/rig" down "$work/rig"
}

expect_deployed() {
  [[ $("$bin/kubectl" get secrets -A -l owner=helm,status=deployed --no-headers | wc -l) == "$RELEASES" ]] \
    || die "not every release is deployed"
}

# As if nothing had ever been installed; the namespaces stay for both.
remove_everything() {
  # shellcheck disable=SC2016 # The inner shell expands them.
  "$bin/helm" list -A --max 1000 -o json | python3 -c 'import json, sys
for release in json.load(sys.stdin): print(release["name"], release["namespace"])' \
    | xargs -P4 -L1 bash -c '"$0" uninstall "$1" -n "$2" --wait=watcher >/dev/null' "$bin/helm"
  local deadline=$((SECONDS + 120))
  while "$bin/kubectl" get pods -A --no-headers 2>/dev/null | grep -qE ' r[0-9]{2,}-'; do
    ((SECONDS < deadline)) || die "pods stay"
    sleep 0.5
  done
}

# What somebody would write who has helm and a shell: write_shell_installer DEFINITION FOLDER NAME [FLAG]
write_shell_installer() {
  local definition=$1 folder=$2 tier release name flag=${4:-}
  {
    echo '#!/bin/bash'
    echo 'set -euo pipefail'
    printf 'export HELM_BURST_LIMIT=300 HELM_QPS=50 HELM_CACHE_HOME=%q/cache HELM_CONFIG_HOME=%q/config HELM_DATA_HOME=%q/data\n' "$folder" "$folder" "$folder"
    # shellcheck disable=SC2016 # The written script expands them.
    printf 'install() { %q upgrade --install "$1" %q/tiny-0.1.0.tgz --namespace "$2" --values %q/"$1".json --reset-values --server-side=true --skip-crds --hide-notes --wait=watcher --wait-for-jobs --timeout=600s --labels=a/inputs=0123456789012345678901234567890123456789 %s >/dev/null; }\n' \
      "$bin/helm" "$folder" "$folder" "$flag"
    echo 'export -f install'
    for tier in infrastructure monitoring security applications; do
      printf 'printf "%%s\\n"'
      for release in "$definition/templates/$tier"/r*; do
        name=$(basename "$release")
        printf ' %s' "$name"
        printf '{"message":"hello from %s"}\n' "$name" >"$folder/$name.json"
      done
      # shellcheck disable=SC2016
      printf ' | xargs -P4 -I{} bash -c '\''install "$1" %s'\'' - {}\n' "$tier"
    done
  } >"$folder/$3"
  chmod +x "$folder/$3"
}

# The same platform by helmfile, once: measure_helmfile DEFINITION FOLDER
measure_helmfile() {
  helmfile_is_there || return 0
  write_helmfile "$1" "$2"
  remove_everything
  measure helmfile-first bash -c 'by_helmfile "$@"' - "$2" apply
  expect_deployed
  measure helmfile-unchanged bash -c 'by_helmfile "$@"' - "$2" apply
  measure helmfile-diff bash -c 'by_helmfile "$@"' - "$2" diff
  notes+=("helmfile with helm-diff, once each: first apply $(median helmfile-first) s, unchanged apply $(median helmfile-unchanged) s, unchanged diff $(median helmfile-diff) s")
}
