# The values of an environment: many of them, merged and explained; and those of the platform that ships.
# shellcheck shell=bash disable=SC2154,SC2015

readonly VALUES_KEYS=50000 VALUES_ROUNDS=15

# write_values FOLDER: 50,000 keys of 5 MB in three layers: half of them in one wide map, half in maps of 50; every
# tenth is overridden, some are deleted, and 400 are templates that name others, those too.
write_values() {
  local folder=$1/environments
  mkdir -p "$folder/wide" "$folder/site"
  write_environment "$1" "extends: site"
  printf 'apiVersion: platctl.dev/v1\nextends: wide\n' >"$folder/site/environment.yaml"
  printf 'apiVersion: platctl.dev/v1\nabstract: true\n' >"$folder/wide/environment.yaml"
  python3 - "$folder" "$VALUES_KEYS" <<'PY'
import sys
folder, keys = sys.argv[1], int(sys.argv[2])
half = keys // 2

def text(layer, i):
    kinds = (f"{layer} text of the key {i:05d}: " + "x" * 48, str(i), f"\"{layer}-quoted-{i:05d}, {'y' * 48}\"",
             f"https://host{i:05d}.{layer}.example/path/{'z' * 48}", "true" if i % 8 else "false")
    kind = kinds[i % 5]
    return f"\"{kind}\"" if ": " in kind else kind

def write(layer, wide, nested):
    with open(f"{folder}/{layer}/values.yaml", "w") as out:
        out.write(f"domain: {layer}.example\nwide:\n")
        for i, value in wide:
            out.write(f"  a-key-of-the-wide-map-{i:05d}: {value}  # who wants it\n")
        out.write("groups:\n")
        group = None
        for i, value in nested:
            if i // 50 != group:
                group = i // 50
                out.write(f"  group-{group:04d}:\n    settings:\n")
            out.write(f"      a-key-of-a-group-{i:05d}: {value}  # who wants it\n")

def layer(name, chosen):
    chosen = list(chosen)
    return name, [(i, text(name, i)) for i in chosen], [(i, text(name, i)) for i in chosen]

write(*layer("wide", (i for i in range(half) if i % 10 != 9)))
write(*layer("site", (i for i in range(half) if i % 10 in (0, 9))))
name, wide, nested = layer("bench", range(0, half, 100))
templates = []
for n in range(200):
    templates.append((n * 100 + 1, f"\"{{{{ values.domain }}}}/{n}/{{{{ values.wide['a-key-of-the-wide-map-{n * 100 + 2:05d}'] }}}}\""))
nested_templates = [(i, f"\"{{{{ values.wide['a-key-of-the-wide-map-{i:05d}'] }}}} again\"") for i, _ in templates]
deleted = [(i, "null") for i in range(4, half, 500)]
write(name, sorted(wide + templates + deleted), sorted(nested + nested_templates))
PY
}

# first_byte NAME COMMAND…: appends to $work/NAME the seconds until the command says its first byte.
first_byte() {
  local name=$1
  shift
  python3 - "$@" >>"$work/$name" <<'PY'
import os, subprocess, sys, time
began = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
first = os.read(child.stdout.fileno(), 1)
took = time.perf_counter() - began
while os.read(child.stdout.fileno(), 1 << 16):
    pass
assert first and child.wait() == 0, "it failed or said nothing"
print(f"{took:.4f} 0")
PY
}

bench_values() {
  local folder=$work/values round files explain path bytes
  path=groups.group-0300.settings.a-key-of-a-group-15001
  write_values "$folder"
  mkdir -p "$folder/templates"
  mapfile -t files < <(find "$folder/environments" -name values.yaml | sort)
  bytes=$(cat "${files[@]}" | wc -c)
  say "values: $VALUES_KEYS keys in $bytes bytes"
  explain=("$platctl" -C "$folder" values -e bench --explain "$path")
  "${explain[@]}" >"$work/log"
  grep -q overridden "$work/log" && grep -q 'wide."\?a-key-of-the-wide-map-15001' "$work/log" \
    || die "an explanation that does not explain: $(cat "$work/log")"
  for ((round = 0; round < VALUES_ROUNDS; round++)); do
    measure hashed sha256sum "${files[@]}"
    measure start "$platctl" version
    measure explain "${explain[@]}"
    measure printed "$platctl" -C "$folder" values -e bench
  done
  row "values --explain, $VALUES_KEYS keys, $(awk -v b="$bytes" 'BEGIN { printf "%.1f MB", b / 1e6 }')" \
    "$(median explain)" "$(median hashed)" 0.2
  notes+=("values --explain: median of $VALUES_ROUNDS, $(spread explain), peak $(peak explain); floor: sha256sum of the same files, $(spread hashed)")
  notes+=("  start of the program alone (platctl version): $(median start) s; printing all of the values: $(median printed) s, $(spread printed)")

  local ours=$work/ours
  mkdir -p "$ours"
  cp -r "$ROOT/environments" "$ROOT/templates" "$ours"
  for ((round = 0; round < VALUES_ROUNDS; round++)); do
    first_byte start_byte "$platctl" version
    first_byte values_byte "$platctl" -C "$ours" values -e prod
  done
  row "values of the shipped platform, first byte" "$(median values_byte)" "$(median start_byte)" 0.03
  notes+=("values of the shipped platform: median of $VALUES_ROUNDS, $(spread values_byte); floor: first byte of platctl version, $(spread start_byte)")
}
