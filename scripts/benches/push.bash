# shellcheck shell=bash disable=SC2153,SC2154 # Sourced by scripts/bench, which sets and reads the variables.
# A bundle of 2 GB into an empty registry at the site, beside plain uploads of the same blobs. Takes the images and
# the registry of the figure `bundle` (scripts/benches/bundle.bash).

# Uploads every blob of the manifests once, four at once, from files: POST, then one PUT. Prints count and bytes.
floor_upload() {
  measure upload python3 -c '
import concurrent.futures, http.client, json, os, sys
from urllib.parse import urlsplit
address, layout = sys.argv[1:]
index = json.load(open(f"{layout}/index.json"))
path = lambda digest: f"{layout}/blobs/sha256/{digest[7:]}"
blobs = {}
def add(document):
    for child in document.get("manifests", []):
        add(json.load(open(path(child["digest"]))))
    for blob in document.get("layers", []) + [document[key] for key in ("config",) if key in document]:
        blobs[blob["digest"]] = blob["size"]
for descriptor in index["manifests"]:
    if descriptor["annotations"].get("dev.platctl.kind") == "image":
        add(json.load(open(path(descriptor["digest"]))))
def upload(blob):
    digest, size = blob
    connection = http.client.HTTPConnection(address)
    connection.request("POST", "/v2/floor/blobs/uploads/")
    answer = connection.getresponse()
    answer.read()
    place = urlsplit(answer.headers["Location"])
    connection.putrequest("PUT", f"{place.path}?{place.query}&digest={digest}")
    connection.putheader("Content-Type", "application/octet-stream")
    connection.putheader("Content-Length", str(size))
    connection.endheaders()
    with open(path(digest), "rb") as file:
        while part := file.read(1 << 20):
            connection.sock.sendall(part)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 201, answer.status
    connection.close()
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    list(pool.map(upload, sorted(blobs.items(), key=lambda blob: -blob[1])))
print(len(blobs), sum(blobs.values()))
' "127.0.0.1:$site_port" "$1"
}

# A site registry with nothing in it, always at the same port: the bundle has its address.
start_site() {
  local i
  rm -rf "$work/site"
  sync -f "$work" # what is still to be written would count against whoever comes next
  cat >"$work/site.yaml" <<YAML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: "$work/site"}, maintenance: {uploadpurging: {enabled: false}}}
http: {addr: "127.0.0.1:$site_port", secret: bench}
YAML
  OTEL_TRACES_EXPORTER=none "$bin/registry" serve "$work/site.yaml" >"$work/site.log" 2>&1 &
  site_pid=$!
  children+=("$site_pid")
  for ((i = 0; i < 200; i++)); do
    kill -0 "$site_pid" 2>/dev/null || die "the site's registry does not start: $(tail -n5 "$work/site.log")"
    if (exec 3<>"/dev/tcp/127.0.0.1/$site_port") 2>/dev/null; then return; fi
    sleep 0.05
  done
  die "the site's registry does not answer"
}

stop_site() {
  kill "$site_pid" 2>/dev/null || true
  wait "$site_pid" 2>/dev/null || true
}

# Other tools, where they are on PATH, with the same images into the same empty registry.
push_peers() {
  if command -v skopeo >/dev/null; then
    start_site
    # shellcheck disable=SC2016 # That shell's words.
    measure push_skopeo bash -c 'set -e; bundle=$1 site=$2; shift 2
      for image; do skopeo copy --quiet --dest-tls-verify=false "oci-archive:$bundle:$image" "docker://$site/skopeo/${image#*/}"; done' \
      _ "$work/push.tar" "127.0.0.1:$site_port" "$@"
    stop_site
    peers+=("skopeo copy, one image after another: $(median push_skopeo) s")
  fi
  start_site
  measure push_crane "$bin/crane" push --index "$work/layout" "127.0.0.1:$site_port/crane/all:1"
  stop_site
  peers+=("crane push --index of the unpacked layout (tools and definition too): $(median push_crane) s, peak $(peak push_crane)")
}

bench_push() {
  local folder=$work/site-images i round names=() bytes pushed again before after peers=()
  site_port=$((32000 + RANDOM % 700))
  mkdir -p "$work/push-upstream"
  write_environment "$folder" "registry: {address: \"127.0.0.1:$site_port\", plainHTTP: true}"
  write_images "$folder"
  write_upstream >"$work/push-upstream/upstream.yaml"
  start_upstream "$work/push-upstream/upstream.yaml"
  for ((i = 0; i < IMAGES; i++)); do names+=("$(image "$i")"); done
  say "push: making the bundle"
  "$platctl" -C "$folder" lock -e bench --mirror "*=$internet" >"$work/log" 2>&1
  "$platctl" -C "$folder" bundle -e bench -o "$work/push.tar" --mirror "*=$internet" >"$work/log" 2>&1
  bytes=$(stat -c %s "$work/push.tar")
  mkdir "$work/layout"
  tar xf "$work/push.tar" -C "$work/layout"
  for ((round = 0; round < PUSH_ROUNDS; round++)); do
    say "push: round $((round + 1)) of $PUSH_ROUNDS"
    start_site
    floor_upload "$work/layout"
    stop_site
    start_site
    measure pushed "$platctl" push "$work/push.tar"
    measure again "$platctl" push "$work/push.tar"
    stop_site
  done
  start_site
  before=$(du -sm "$work" --exclude=site | cut -f1)
  "$platctl" push "$work/push.tar" >"$work/log" 2>&1
  after=$(du -sm "$work" --exclude=site | cut -f1)
  stop_site
  push_peers "${names[@]}"
  rm -rf "$work/layout" "$work/push.tar" "$work/site"
  pushed=$(median pushed) again=$(median again)
  row "push, $(awk -v b="$bytes" 'BEGIN { printf "%.2f GB", b / 1e9 }'), $IMAGES images, into an empty registry" \
    "$pushed" "$(median upload)" "$(awk -v f="$(median upload)" 'BEGIN { print 1.15 * f }')"
  notes+=("push: median of $PUSH_ROUNDS, $(spread pushed), peak $(peak pushed); again, with nothing new: $again s")
  notes+=("  floor: plain uploads of the same blobs, four at once, from files: $(spread upload); target: 1.15 × it")
  notes+=("  a second copy on the disk beside bundle and registry: $((after - before)) MB")
  notes+=("${peers[@]/#/  beside it: }")
}
