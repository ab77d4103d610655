# shellcheck shell=bash disable=SC2153,SC2154 # Sourced by scripts/bench, which sets and reads the variables.
# Memory of large bundles, which must not grow with them. The layers are noise that takes no room upstream.

bench_bundle-large() {
  local gib folder release free
  for gib in ${PLATCTL_BENCH_LARGE:-1 20}; do
    free=$(df --output=avail -B1G "$work" | tail -n1 | tr -d ' ')
    if ((free < gib + 2)); then
      notes+=("bundle of $gib GiB: left out, there are only $free GiB of room in ${TMPDIR:-/tmp}")
      continue
    fi
    say "bundle of $gib GiB"
    folder=$work/platform-$gib release=$work/platform-$gib/templates/applications/large
    mkdir -p "$release/chart/templates" "$folder-upstream"
    write_environment "$folder"
    printf 'apiVersion: platctl.dev/v1\norder: 10\n' >"$folder/templates/applications/tier.yaml"
    printf 'apiVersion: platctl.dev/v1\nchart: {path: ./chart}\nnamespace: large\nimages: {extra: ["one.example/team/large:%s"]}\n' "$gib" \
      >"$release/release.yaml"
    printf 'apiVersion: v2\nname: large\nversion: 0.1.0\n' >"$release/chart/Chart.yaml"
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: none}\n' >"$release/chart/templates/none.yaml"
    printf 'tools: {helm: %s, kubectl: %s}\nimages:\n- {ref: "one.example/team/large:%s", layers: [%s], noise: true, platforms: [%s], single: true}\n' \
      "$helm" "$kubernetes" "$gib" "$(layers_of "$gib")" "$PLATFORM" >"$folder-upstream/upstream.yaml"
    start_upstream "$folder-upstream/upstream.yaml"
    "$platctl" -C "$folder" lock -e bench --mirror "*=$internet" >"$work/log" 2>&1
    measure "large-$gib" "$platctl" -C "$folder" bundle -e bench -o "$work/large.tar" --mirror "*=$internet"
    rm "$work/large.tar"
    notes+=("bundle of $gib GiB, 8 layers: $(median "large-$gib") s, peak $(peak "large-$gib") (target: 64 MiB, whatever the size)")
  done
}

# layers_of GIB: eight equal ones.
layers_of() {
  local size=$(($1 * 1024 / 8))MiB
  printf '%s,%s,%s,%s,%s,%s,%s,%s' "$size" "$size" "$size" "$size" "$size" "$size" "$size" "$size"
}
