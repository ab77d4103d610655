# shellcheck shell=bash disable=SC2154 # Sourced by scripts/soak, which sets and reads the variables.
# Making a bundle: killed at many moments, and larger than tests make one.

# soak_bundle_killed: kill -9 at random moments of a bundle, each followed by a run that finishes it
soak_bundle_killed() {
  (cd "$ROOT" && PLATCTL_TEST_KILLS=$1 cargo test --test cli bundle_killed -- --nocapture)
  result "bundle killed at $1 random moments: every next run finished with the same bytes and fetched what was missing"
}

built_program() { sed -n 's/.*"executable":"\([^"]*\/'"$1"'\)".*/\1/p' "$work/built" | tail -n1; }

# write_large FOLDER SIZE: a platform of one image with a layer of this size, and the internet that has it.
write_large() {
  local folder=$1 size=$2 release=$1/templates/one/large platform helm kubernetes
  platform=linux/$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
  helm=$("$bin/helm" version --template '{{.Version}}') helm=${helm#v}
  kubernetes=$("$bin/kubectl" version --client | sed -n 's/^Client Version: v//p')
  mkdir -p "$folder/environments/soak" "$release/chart/templates"
  cat >"$folder/environments/soak/environment.yaml" <<YAML
apiVersion: platctl.dev/v1
kubeVersion: "$kubernetes"
tools: {helm: $helm, kubectl: $kubernetes}
platforms: [$platform]
YAML
  printf 'apiVersion: platctl.dev/v1\norder: 10\n' >"$folder/templates/one/tier.yaml"
  printf 'apiVersion: platctl.dev/v1\nchart: {path: ./chart}\nnamespace: large\nimages: {extra: ["one.example/team/large:1"]}\n' \
    >"$release/release.yaml"
  printf 'apiVersion: v2\nname: large\nversion: 0.1.0\n' >"$release/chart/Chart.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: none}\n' >"$release/chart/templates/none.yaml"
  mkdir -p "$folder-upstream"
  printf 'tools: {helm: %s, kubectl: %s}\nimages:\n- {ref: "one.example/team/large:1", layers: [%s], noise: true, platforms: [%s], single: true}\n' \
    "$helm" "$kubernetes" "$size" "$platform" >"$folder-upstream/upstream.yaml"
}

# soak_bundle_large: a layer of 9 GiB, killed in the middle, finished, and read by others
soak_bundle_large() {
  local folder=$work/large file=$work/large.tar bin platctl internet size before
  if (($(free_gib) < 12)); then die "bundle_large needs 12 GiB of room in ${TMPDIR:-/tmp}; there are $(free_gib)"; fi
  (cd "$ROOT" && cargo build --bin platctl --example upstream --message-format=json-render-diagnostics) >"$work/built"
  "$ROOT/scripts/rig" build
  bin=$("$ROOT/scripts/rig" bin) platctl=$(built_program platctl)
  export PLATCTL_CACHE_DIR=$work/cache
  # A program that is no platctl, but may be carried: that of a debug build is not static.
  printf '\x7fELF\x02\x01\x01' >"$work/carried"
  head -c 4089 /dev/zero >>"$work/carried"
  write_large "$folder" 9GiB
  "$(built_program upstream)" --config "$folder-upstream/upstream.yaml" --tools "$bin" --cache "$work/upstream-cache" \
    --address-file "$work/address" >"$work/upstream.log" 2>&1 &
  children+=($!)
  until [[ -s $work/address ]]; do sleep 0.1; done
  internet=$(cat "$work/address")
  "$platctl" -C "$folder" lock -e soak --mirror "*=$internet"

  local command=("$platctl" -C "$folder" bundle -e soak --platctl "$work/carried" -o "$file" --mirror "*=$internet")
  "${command[@]}" &
  before=$!
  until [[ -s $file.partial ]] && (($(fetched) > 5000000000)); do
    kill -0 "$before" 2>/dev/null || die "the first run ended by itself"
    sleep 0.2
  done
  kill -9 "$before"
  wait "$before" 2>/dev/null || true
  [[ ! -e $file ]] || die "half a bundle has the bundle's name"
  before=$(fetched)
  "${command[@]}"
  size=$(($(fetched) - before))
  ((size < 5000000000)) || die "the second run fetched $size bytes: nothing was resumed"
  tar tvf "$file" | grep -q ' 9663676416 ' || die "GNU tar does not see the layer"
  "$platctl" inspect "$file" --verify
  if command -v skopeo >/dev/null && (($(free_gib) > 22)); then
    skopeo --tmpdir "$work" inspect "oci-archive:$file:one.example/team/large:1" >/dev/null || die "skopeo does not read it"
    result "a layer of 9 GiB: killed in the middle, resumed with $size bytes, read by tar, skopeo and inspect --verify"
  else
    result "a layer of 9 GiB: killed in the middle, resumed with $size bytes, read by tar and inspect --verify; not by skopeo, which needs 22 GiB of room"
  fi
  rm -f "$file"
}

# fetched: bytes of blobs that the upstream has sent.
fetched() {
  curl -fsS "$internet/_control/requests" |
    python3 -c 'import json, sys; print(sum(r["bytes"] for r in json.load(sys.stdin) if "/blobs/" in r["path"]))'
}
