# shellcheck shell=bash disable=SC2153,SC2154 # Sourced by scripts/bench, which sets and reads the variables.
# A bundle of 2 GB, beside downloading and hashing alone, and writing alone.

# 20 images of three layers of their own, with a base for every host of two: 62 layers.
image() {
  local hosts=(one two)
  printf '%s.example/team/app%02d:1' "${hosts[$1 % 2]}" "$1"
}

write_images() {
  local folder=$1 i release=$1/templates/applications/images
  mkdir -p "$release/chart/templates"
  printf 'apiVersion: platctl.dev/v1\norder: 10\n' >"$folder/templates/applications/tier.yaml"
  {
    printf 'apiVersion: platctl.dev/v1\nchart: {path: ./chart}\nnamespace: images\nimages:\n  extra:\n'
    for ((i = 0; i < IMAGES; i++)); do echo "  - $(image "$i")"; done
  } >"$release/release.yaml"
  printf 'apiVersion: v2\nname: images\nversion: 0.1.0\n' >"$release/chart/Chart.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: none}\n' >"$release/chart/templates/none.yaml"
}

write_upstream() {
  local i layers
  layers=$(IFS=,; echo "${LAYERS[*]}")
  printf 'tools: {helm: %s, kubectl: %s}\nimages:\n' "$helm" "$kubernetes"
  for ((i = 0; i < IMAGES; i++)); do
    printf -- '- {ref: "%s", layers: [%s], platforms: [%s], single: true}\n' "$(image "$i")" "$layers" "$PLATFORM"
  done
}

start_registry() {
  local attempt i
  for ((attempt = 0; attempt < 5; attempt++)); do
    port=$((20000 + RANDOM % 12000))
    cat >"$work/registry.yaml" <<YAML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: "$work/registry"}, maintenance: {uploadpurging: {enabled: false}}}
http: {addr: "127.0.0.1:$port", secret: bench}
YAML
    OTEL_TRACES_EXPORTER=none "$bin/registry" serve "$work/registry.yaml" >"$work/registry.log" 2>&1 &
    children+=($!)
    for ((i = 0; i < 100; i++)); do
      kill -0 "${children[-1]}" 2>/dev/null || continue 2
      if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
      sleep 0.05
    done
  done
  die "the registry does not start: $(tail -n5 "$work/registry.log")"
}

# Downloads every blob of the images once, eight at once, and hashes it; keeps nothing.
floor_download() {
  measure download python3 -c '
import concurrent.futures, hashlib, json, sys, urllib.request
base, names = sys.argv[1], sys.argv[2:]
kinds = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
blobs = {}
for name in names:
    repository, tag = name.rsplit(":", 1)
    asked = urllib.request.Request(f"{base}/v2/{repository}/manifests/{tag}", headers={"Accept": kinds})
    manifest = json.load(urllib.request.urlopen(asked))
    for blob in [manifest["config"], *manifest["layers"]]:
        blobs.setdefault(blob["digest"], (repository, blob["size"]))
def get(blob):
    digest, (repository, _) = blob
    hashed = hashlib.sha256()
    with urllib.request.urlopen(f"{base}/v2/{repository}/blobs/{digest}") as answer:
        while part := answer.read(1 << 20):
            hashed.update(part)
    assert "sha256:" + hashed.hexdigest() == digest
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    list(pool.map(get, sorted(blobs.items(), key=lambda blob: -blob[1][1])))
print(len(blobs), sum(size for _, size in blobs.values()))
' "http://127.0.0.1:$port" "$@"
}

# peers REGISTRY NAME…: others that are at hand do the same once, for comparison: registry to one file.
peers() {
  local registry=${1#http://} name file=$work/peer
  shift
  local references=("${@/#/$registry/}")
  mkdir -p "$file"
  if command -v crane >/dev/null; then
    # shellcheck disable=SC2016 # The inner shell's own variables.
    peer crane "pull into one layout, tar" bash -c 'out=$1; shift; crane pull --format=oci "$@" "$out/layout" && tar -cf "$out/all.tar" -C "$out/layout" .' \
      crane "$file" "${references[@]}"
  fi
  if command -v hauler >/dev/null; then
    # shellcheck disable=SC2016
    peer hauler "store add, one after the other, and store save" bash -c 'out=$1; shift; for one; do hauler store add image "$one" --store "$out/store" || exit; done; hauler store save --store "$out/store" --filename "$out/haul.tar.zst"' \
      hauler "$file" "${references[@]}"
  fi
  if command -v zarf >/dev/null; then
    {
      printf 'kind: ZarfPackageConfig\nmetadata: {name: bench, architecture: %s}\ncomponents:\n- name: images\n  required: true\n  images:\n' "${PLATFORM#*/}"
      for name in "${references[@]}"; do echo "  - $name"; done
    } >"$file/zarf.yaml"
    peer zarf "package create" zarf package create "$file" --output "$file" --confirm --skip-sbom --plain-http --no-progress
  fi
  rm -rf "$file"
}

# peer NAME HOW COMMAND…
peer() {
  local name=$1 how=$2
  shift 2
  if measure "peer-$name" "$@"; then
    notes+=("  $name ($how): $(median "peer-$name") s, peak $(peak "peer-$name")")
  else
    notes+=("  $name ($how): failed: $(tail -n1 "$work/log")")
  fi
  rm -rf "${work:?}/peer/"*
}

bench_bundle() {
  local folder=$work/images i round names=() bytes download write longer measured
  mkdir -p "$work/images-upstream"
  start_registry
  write_environment "$folder" "registry: {address: \"127.0.0.1:$port\", plainHTTP: true}"
  write_images "$folder"
  write_upstream >"$work/images-upstream/upstream.yaml"
  start_upstream "$work/images-upstream/upstream.yaml"
  for ((i = 0; i < IMAGES; i++)); do names+=("$(image "$i")"); done

  say "bundle: filling a registry (made up, locked, bundled, pushed)"
  "$platctl" -C "$folder" lock -e bench --mirror "*=$internet" >"$work/log" 2>&1
  "$platctl" -C "$folder" bundle -e bench -o "$work/fill.tar" --mirror "*=$internet" >"$work/log" 2>&1
  measure push "$platctl" push "$work/fill.tar"
  bytes=$(stat -c %s "$work/fill.tar")
  rm "$work/fill.tar"
  sync -f "$work" # what is still to be written would count against whoever comes first

  local registry=http://127.0.0.1:$port
  for ((round = 0; round < BUNDLE_ROUNDS; round++)); do
    say "bundle: round $((round + 1)) of $BUNDLE_ROUNDS"
    floor_download "${names[@]}"
    measure write dd if=/dev/zero "of=$work/zeros" bs=1M "count=$(((bytes + 1048575) / 1048576))" conv=fdatasync
    rm "$work/zeros"
    measure bundle "$platctl" -C "$folder" bundle -e bench -o "$work/platform.tar" --mirror "*=$registry"
    [[ $(stat -c %s "$work/platform.tar") == "$bytes" ]] || die "the bundle has another size than the first one"
    rm "$work/platform.tar"
  done
  peers "$registry" "${names[@]}"
  download=$(median download) write=$(median write) measured=$(median bundle)
  longer=$(awk -v a="$download" -v b="$write" 'BEGIN { print (a > b) ? a : b }')
  row "bundle, $(awk -v b="$bytes" 'BEGIN { printf "%.2f GB", b / 1e9 }'), $IMAGES images, $((IMAGES * ${#LAYERS[@]} + 2)) layers" \
    "$measured" "$longer" "$(awk -v f="$longer" 'BEGIN { print 1.3 * f }')"
  notes+=("bundle: median of $BUNDLE_ROUNDS, $(spread bundle), peak $(peak bundle)")
  notes+=("  floors: download and hash, 8 at once: $(spread download); write and sync: $(spread write); target: 1.3 × the longer")
  notes+=("push of the same bundle into the empty registry: $(median push) s, peak $(peak push)")
}
