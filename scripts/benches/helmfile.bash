# shellcheck shell=bash disable=SC2154 # Sourced by scripts/bench, which sets and reads the variables.
# The platform of thirty releases by helmfile with helm-diff, where both are there: they are other people's tools, and not
# fetched.

# helmfile_is_there: whether they can be measured; a note says so if not.
helmfile_is_there() {
  if command -v helmfile >/dev/null && "$bin/helm" plugin list 2>/dev/null | grep -q '^diff'; then return; fi
  notes+=("helmfile with helm-diff: not both are there, not measured")
  return 1
}

# write_helmfile DEFINITION FOLDER: FOLDER/helmfile.yaml, tier by tier, with the chart and values that are in FOLDER.
write_helmfile() {
  local tier release name needs=""
  {
    printf 'helmBinary: %s\nhelmDefaults: {wait: true, timeout: 600}\nreleases:\n' "$bin/helm"
    for tier in infrastructure monitoring security applications; do
      for release in "$1/templates/$tier"/r*; do
        name=$(basename "$release")
        printf '{"message":"hello from %s"}\n' "$name" >"$2/$name.json"
        printf -- '- {name: %s, namespace: %s, chart: %s/tiny-0.1.0.tgz, values: [%s/%s.json], needs: [%s]}\n' \
          "$name" "$tier" "$2" "$2" "$name" "$needs"
      done
      needs=$(for release in "$1/templates/$tier"/r*; do printf '%s/%s,' "$tier" "$(basename "$release")"; done)
      needs=${needs%,}
    done
  } >"$2/helmfile.yaml"
}

# by_helmfile FOLDER VERB: four at once.
by_helmfile() { helmfile -f "$1/helmfile.yaml" "$2" --concurrency 4; }
export -f by_helmfile
