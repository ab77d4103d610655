# shellcheck shell=bash disable=SC2154 # Sourced by scripts/bench, which sets and reads the variables.
# Looking into bundles of 10 GB, and hashing all of one, beside the same machine's sha256 on all cores. The bundles are
# written here, with layers of zeros that take no room on the disk; every byte of them is read all the same.

# write_bundle FILE BYTES: a good bundle of about that size: 100 images of four layers each, one of them shared by all.
write_bundle() {
  python3 - "$1" "$2" <<'PY'
import hashlib, io, json, os, sys, tarfile
path, size = sys.argv[1], int(sys.argv[2])
images, own = 100, 3
each = (size // (images * own) // 512) * 512

# Digests of so many zeros, all in one go: layers differ by their length.
hasher, done, zeros = hashlib.sha256(), 0, bytes(1 << 20)
def to(length):
    global done
    while done < length:
        step = min(len(zeros), length - done)
        hasher.update(zeros[:step])
        done += step
    return hasher.copy().hexdigest()
sizes = [each - images * own + n for n in range(images * own + 1)]
layers = [(to(length), length) for length in sizes]

def header(name, size, link=False):
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o755 if name == "platctl" else 0o644, 0
    if link:
        info.type, info.linkname = tarfile.LNKTYPE, "platctl"
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    # As Rust's tar writes it: eleven digits and a zero, no names of users, no devices.
    block[100:108] = b"%07o\0" % info.mode
    block[108:124] = b"0000000\0" * 2
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"%011o\0" % 0
    block[329:345] = bytes(16)
    block[148:156] = b" " * 8
    block[148:156] = b"%07o\0" % sum(block)
    return bytes(block)

small = {}
def blob(kind, data):
    digest = hashlib.sha256(data).hexdigest()
    small[digest] = data
    return {"mediaType": kind, "digest": "sha256:" + digest, "size": len(data)}
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
def top(layers, annotations, config=b"{}"):
    config = blob("application/vnd.oci.empty.v1+json", config)
    data = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}).encode()
    return blob(MANIFEST, data) | {"platform": {"architecture": "amd64", "os": "linux"}, "annotations": annotations}

def name(n): return f"registry.example.org/team/app{n:02d}:1"
lock = "apiVersion: platctl.dev/v1\ncharts: []\nimages:\n" + "".join(
    f"- ref: {name(n)}\n  digest: sha256:{'ab' * 32}\n  size: 1\n  platforms: {{linux/amd64: sha256:{'ab' * 32}}}\n  from: [bench/apps/x]\n"
    for n in range(images)) + "tools: []\n"
files = {"charts-lock.yaml": lock, "environments/bench/environment.yaml": "apiVersion: platctl.dev/v1\n"}
packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
    for path_, text in files.items():
        info = tarfile.TarInfo(path_)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
kind, binary = "dev.platctl.kind", b"\x7fELF" * 1024
platctl = {"mediaType": "application/vnd.platctl.tool.v1.file", "digest": "sha256:" + hashlib.sha256(binary).hexdigest(), "size": len(binary)}
tops = [
    top([blob("application/vnd.platctl.definition.v1.tar", packed.getvalue())], {kind: "definition", "dev.platctl.name": "bench"}),
    top([blob("application/vnd.platctl.places.v1+json", b'{"images":{}}')], {kind: "places"}),
    top([platctl], {kind: "platctl", "dev.platctl.name": "platctl", "dev.platctl.platform": "linux/amd64", "dev.platctl.file": platctl["digest"]}),
]
for n in range(images):
    used = [layers[0]] + layers[1 + n * own:1 + n * own + own]
    described = [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:" + d, "size": s} for d, s in used]
    tops.append(top(described, {kind: "image", "org.opencontainers.image.ref.name": name(n),
                    "dev.platctl.source.digest": "sha256:" + "ab" * 32}, json.dumps({"n": n}).encode()))

room = lambda size: 512 + -(-size // 512) * 512
rest = sum(map(room, map(len, small.values()))) + sum(room(s) for _, s in layers) + 512 + 1024
blank = "sha256:" + "0" * 64
index = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": tops,
                    "annotations": {"dev.platctl.bundle.rest": str(rest), "dev.platctl.bundle.check": blank}})
index = index.replace(blank, "sha256:" + hashlib.sha256(index.encode()).hexdigest()).encode()
with open(path, "wb") as out:
    def put(name, data):
        out.write(header(name, len(data)) + data + bytes(-len(data) % 512))
    put("platctl", binary)
    put("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    place = out.tell()
    put("index.json", index)
    for digest, data in sorted(small.items()):
        put("blobs/sha256/" + digest, data)
    out.write(header("blobs/sha256/" + platctl["digest"][7:], 0, True))
    for digest, length in layers:
        out.write(header("blobs/sha256/" + digest, length))
        out.seek(-(-length // 512) * 512, os.SEEK_CUR)
    out.truncate(out.tell() + 1024)
print(place // 512, len(index))
PY
}

# Every byte hashed, by as many processes as there are cores, each its own part: the floor.
floor_hash() {
  measure hash python3 -c '
import hashlib, os, sys
path, cores = sys.argv[1], os.cpu_count()
size = os.path.getsize(path)
for n in range(cores):
    if os.fork() == 0:
        file, hasher = os.open(path, os.O_RDONLY), hashlib.sha256()
        at, end, part = size * n // cores, size * (n + 1) // cores, bytearray(1 << 20)
        while at < end:
            got = os.preadv(file, [memoryview(part)[: min(len(part), end - at)]], at)
            hasher.update(memoryview(part)[:got])
            at += got
        os._exit(0)
for _ in range(cores):
    os.wait()
' "$1"
}

bench_reader() {
  local file=$work/ten.tar place bytes round floor
  say "reader: writing bundles of 1, 10 and 20 GB"
  write_bundle "$work/one.tar" 1000000000 >/dev/null
  write_bundle "$work/twenty.tar" 20000000000 >/dev/null
  read -r place bytes < <(write_bundle "$file" 10000000000)
  "$platctl" inspect "$file" --shared >"$work/log" || die "platctl takes no bundle of this bench: $(cat "$work/log")"

  say "reader: inspect, $READER_ROUNDS rounds"
  measure warm "$platctl" inspect "$file"
  for ((round = 0; round < READER_ROUNDS; round++)); do
    measure version "$platctl" version
    measure index dd if="$file" of=/dev/null bs=512 skip="$place" count=$(((bytes + 511) / 512)) status=none
    measure inspect "$platctl" inspect "$file"
    measure inspect-images "$platctl" inspect "$file" --images
  done
  floor=$(awk -v a="$(median version)" -v b="$(median index)" 'BEGIN { print a + b }')
  row "inspect of 10 GB, 100 images, 301 layers" "$(median inspect)" "$floor" 0.05
  row "the same with --images" "$(median inspect-images)" "$floor" 0.05
  notes+=("inspect: median of $READER_ROUNDS, $(spread inspect), peak $(peak inspect); floor: platctl version and dd of the index")

  say "reader: verify of 1, 10 and 20 GB"
  for ((round = 0; round < 3; round++)); do
    floor_hash "$file"
    measure verify "$platctl" inspect "$file" --verify
  done
  measure sha256sum sha256sum "$file"
  measure verify-one "$platctl" inspect "$work/one.tar" --verify
  measure verify-twenty "$platctl" inspect "$work/twenty.tar" --verify
  floor=$(median hash)
  row "verify of 10 GB" "$(median verify)" "$floor" "$(awk -v f="$floor" 'BEGIN { print 1.15 * f }')"
  notes+=("verify: median of 3, $(spread verify); floor: sha256 of all bytes by $(nproc) processes, $(spread hash); target: 1.15 × floor")
  notes+=("  sha256sum of the same file on one core: $(spread sha256sum)")
  notes+=("  peaks: 1 GB $(peak verify-one), 10 GB $(peak verify), 20 GB $(peak verify-twenty); target: 64 MiB, the same for all")
  rm -f "$work"/{one,ten,twenty}.tar
}
