# shellcheck shell=bash disable=SC2154 # Sourced by scripts/bench, which sets and reads the variables.
# Rendering 30 releases from nothing, beside the same charts rendered by helm alone, two at once.

bench_template() {
  local folder=$work/template-platform round floor measured i
  write_environment "$folder"
  write_releases "$folder"
  mkdir -p "$work/template-upstream" "$work/template-floor"
  printf 'tools: {helm: %s, kubectl: %s}\n' "$helm" "$kubernetes" >"$work/template-upstream/upstream.yaml"
  start_upstream "$work/template-upstream/upstream.yaml"
  "$platctl" -C "$folder" lock --mirror "*=$internet" --vendor "$work/template-floor" >"$work/log" 2>&1
  for ((i = 0; i < RELEASES; i++)); do
    printf '{"message":"hello from r%02d"}' "$i" >"$work/template-floor/$(printf 'r%02d' "$i").json"
  done
  say "template: $ROUNDS rounds, in turns with the floor"
  local cold=("$platctl" -C "$folder" template -e bench --no-cache)
  # shellcheck disable=SC2016 # The inner shell expands them.
  local plain=(bash -c 'printf "%s\n" "$2"/*.json | xargs -P2 -I{} sh -c '\''
    "$1" template "$(basename "$3" .json)" "$2/tiny-0.1.0.tgz" --namespace n --kube-version "$4" --include-crds -f "$3"'\'' - "$1" "$2" {} "$3"'
    - "$bin/helm" "$work/template-floor" "$kubernetes")
  measure warm "${cold[@]}"
  for ((round = 0; round < ROUNDS; round++)); do
    measure helm-template "${plain[@]}"
    [[ $(grep -c '^kind: Deployment' "$work/log") == "$RELEASES" ]] || die "helm did not render everything"
    measure template "${cold[@]}"
    [[ $(grep -c '^kind: Deployment' "$work/log") == "$RELEASES" ]] || die "platctl did not render everything"
  done
  floor=$(median helm-template) measured=$(median template)
  row "template, $RELEASES releases, nothing cached" "$measured" "$floor" "$(awk -v f="$floor" 'BEGIN { print 1.1 * f }')"
  notes+=("template: median of $ROUNDS, $(spread template), peak $(peak template); floor: $RELEASES × helm template, two at once, $(spread helm-template); target: 1.1 × floor")
}
