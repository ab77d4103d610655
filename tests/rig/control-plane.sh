# shellcheck shell=bash
# One rig: its folder, its processes, their beginning and end. Sourced by scripts/rig.
#
# In the folder: pids (a line "name pid" for each program, what makes it a rig's),
# pki/, kubeconfig, env (written last: its presence says that the rig is up), logs/,
# and etcd/, registry/, cache/.

# A signal is only noted when it comes and acted on between two steps (checkpoint),
# so that no program is started without its pid being known to what clears up.
caught=0
dir="" # of the rig being started
bin=""
port=""
declare -A pid_of=()

rig_dir() { realpath --canonicalize-missing -- "${1:-$RIG_HOME/default}"; }
is_rig() { [[ -f $1/pids ]]; }

now() { echo "${EPOCHREALTIME/[^0-9]/}"; } # microseconds; the locale picks the separator
step() {
  local microseconds=$(($(now) - $2))
  printf 'rig: %-38s %3d.%d s\n' "$1" $((microseconds / 1000000)) $((microseconds / 100000 % 10)) >&2
}

# ours DIR NAME PID: the process is the one that was started, not one that got its
# number later. A child of this very script may not have come to its exec yet.
ours() {
  local argv=() parent
  mapfile -d '' -t argv 2>/dev/null <"/proc/$3/cmdline" || return 1
  if [[ ${argv[0]:-} == */"$2" && " ${argv[*]}" == *[\ =]"$1"/* ]]; then return 0; fi
  parent=$(awk '$1 == "PPid:" { print $2 }' "/proc/$3/status" 2>/dev/null) || return 1
  [[ $parent == "$$" ]] && ((${#argv[@]}))
}

# The programs of a rig that run, as lines "name pid".
running() {
  local name pid
  while read -r name pid; do
    if ours "$1" "$name" "$pid"; then echo "$name $pid"; fi
  done <"$1/pids"
}

# start PROGRAM ARGUMENT…: in the background and on its own. A session of its own,
# so that a Ctrl-C meant for a command is not theirs; none of the caller's files, so
# that no pipeline waits for them; none of the caller's environment, so that no
# proxy, ETCD_* or REGISTRY_* variable changes what they do.
start() {
  local name=$1 fd
  shift
  (
    echo "$name $BASHPID" >>"$dir/pids"
    for fd in /proc/self/fd/*; do
      fd=${fd##*/}
      if ((fd > 2)); then eval "exec $fd>&-"; fi
    done
    cd "$dir"
    # OTEL_…: the registry would send traces to port 4318. SSL_…: the authority that the API server trusts when a
    # webhook's configuration names none; in a real cluster somebody writes it in there (see tests/rig/webhook).
    exec env -i PATH=/usr/bin:/bin HOME="$dir" OTEL_TRACES_EXPORTER=none SSL_CERT_FILE="$dir/pki/ca.crt" \
      setsid "$bin/$name" "$@"
  ) </dev/null >"$dir/logs/$name.log" 2>&1 &
  pid_of[$name]=$!
  disown
}

died() { ! kill -0 "${pid_of[$1]}" 2>/dev/null; }

report_death() {
  say "error: $1 ended while the rig was starting; the end of its log:"
  tail -n20 "$dir/logs/$1.log" >&2 || true
  exit 1
}

checkpoint() {
  local name
  ((caught == 0)) || exit "$caught"
  for name in "${!pid_of[@]}"; do
    if died "$name"; then report_death "$name"; fi
  done
}

# await WHAT COMMAND…: until the command succeeds, and nothing has died.
await() {
  local what=$1 deadline=$((SECONDS + 60))
  shift
  until "$@" >/dev/null 2>&1; do
    checkpoint
    if ((SECONDS >= deadline)); then
      tail -n20 "$dir"/logs/*.log >&2
      die "not after 60 s: $what; above the ends of the logs"
    fi
    sleep 0.05
  done
  checkpoint
}

# A port nobody listens on, below the range that outgoing connections take theirs from.
choose_port() {
  local attempt
  for ((attempt = 0; attempt < 100; attempt++)); do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    if ! listens; then return; fi
  done
  die "no free port between 20000 and 32000"
}

listens() { (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

# serve NAME: runs start_NAME, which listens on $port, until ready_NAME. Two rigs may
# choose one port at the same moment: whoever comes second is told so by the kernel
# and tries another. ready_NAME must know its own from a stranger on that port.
serve() {
  local name=$1 attempt
  for ((attempt = 0; attempt < 5; attempt++)); do
    choose_port
    "start_$name"
    until "ready_$name" 2>/dev/null; do
      if died "$name"; then
        grep -q 'address already in use' "$dir/logs/$name.log" || report_death "$name"
        unset "pid_of[$name]"
        continue 2
      fi
      checkpoint
      sleep 0.05
    done
    return
  done
  report_death "$name"
}

make_certificate() {
  openssl req -x509 -config "$RIG_FILES/openssl.cnf" -extensions "$1" -subj "$2" -days 3650 -nodes \
    -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout "$1.key" -out "$1.crt" "${@:3}" 2>>openssl.log
}

# One client certificate serves the programs and the user: what they may do is not
# what is tested here.
make_certificates() {
  mkdir "$dir/pki"
  if ! (
    cd "$dir/pki" && make_certificate ca /CN=rig-ca \
      && make_certificate server /CN=kube-apiserver -CA ca.crt -CAkey ca.key \
      && make_certificate client /O=system:masters/CN=rig-admin -CA ca.crt -CAkey ca.key \
      && openssl ecparam -genkey -noout -name prime256v1 -out service-accounts.key 2>>openssl.log
  ); then
    cat "$dir/pki/openssl.log" >&2
    die "openssl failed; it must be version 3 or newer, here is $(openssl version)"
  fi
}

write_kubeconfig() {
  (umask 077 && cat >"$dir/kubeconfig") <<YAML
apiVersion: v1
kind: Config
clusters:
- name: rig
  cluster:
    server: https://127.0.0.1:$port
    certificate-authority-data: $(base64 -w0 "$dir/pki/ca.crt")
users:
- name: rig
  user:
    client-certificate-data: $(base64 -w0 "$dir/pki/client.crt")
    client-key-data: $(base64 -w0 "$dir/pki/client.key")
contexts:
- name: rig
  context: {cluster: rig, user: rig}
current-context: rig
YAML
}

kubectl() { "$bin/kubectl" --kubeconfig="$dir/kubeconfig" --cache-dir="$dir/cache" "$@"; }

# Unix sockets in the rig's folder: no port to choose, and no other rig's etcd to be
# met by accident. Their names are relative to it (where every program is started),
# because a socket's path may have 108 characters; etcd insists on a ":port", which
# becomes part of the name.
start_etcd() {
  local client=unix://client.sock:0 peer=unix://peer.sock:0
  start etcd --data-dir="$dir/etcd" --unsafe-no-fsync --log-level=warn \
    --listen-client-urls="$client" --advertise-client-urls="$client" \
    --listen-peer-urls="$peer" --initial-advertise-peer-urls="$peer" --initial-cluster="default=$peer"
}

# What stands in for the cluster's network: see tests/rig/webhook/main.go. The API server resolves Services to ready
# pods by itself (--enable-aggregator-routing) and asks for a connection to one of them.
start_webhooks() {
  cat >"$dir/egress.yaml" <<YAML
apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport: {uds: {udsName: webhook.sock}}
YAML
  # The folder on the command line is what makes the process this rig's.
  start webhook webhook.sock "$dir/pki/ca.crt" "$dir/pki/ca.key"
}

# Admission of ServiceAccount is off because pods would wait for tokens to be made;
# TaintNodesByCondition because no node-lifecycle controller is there to take away
# the taint it sets.
start_kube-apiserver() {
  local pki=$dir/pki
  write_kubeconfig
  start kube-apiserver --etcd-servers=unix://client.sock:0 \
    --bind-address=127.0.0.1 --advertise-address=127.0.0.1 --secure-port="$port" \
    --tls-cert-file="$pki/server.crt" --tls-private-key-file="$pki/server.key" --client-ca-file="$pki/ca.crt" \
    --service-account-key-file="$pki/service-accounts.key" \
    --service-account-signing-key-file="$pki/service-accounts.key" \
    --service-account-issuer=https://kubernetes.default.svc \
    --authorization-mode=Node,RBAC --allow-privileged --service-cluster-ip-range=10.96.0.0/16 \
    --egress-selector-config-file="$dir/egress.yaml" --enable-aggregator-routing \
    --endpoint-reconciler-type=none --disable-admission-plugins=ServiceAccount,TaintNodesByCondition
}
ready_kube-apiserver() { listens && kubectl get --raw=/readyz >/dev/null; }

# Without the node-lifecycle controller: KWOK's nodes are well as long as they are
# there, and a machine that was suspended does not find them lost.
start_controllers() {
  start kube-controller-manager --kubeconfig="$dir/kubeconfig" --secure-port=0 --leader-elect=false \
    --service-account-private-key-file="$dir/pki/service-accounts.key" --root-ca-file="$dir/pki/ca.crt" \
    --use-service-account-credentials=false --controllers='*,-node-lifecycle-controller'
  start kube-scheduler --kubeconfig="$dir/kubeconfig" --secure-port=0 --leader-elect=false
  start kwok --kubeconfig="$dir/kubeconfig" --config="$RIG_FILES/stages.yaml" --manage-all-nodes \
    --node-ip=10.0.0.1 --cidr=10.244.0.0/16 --node-lease-duration-seconds=0
}

start_registry() {
  cat >"$dir/registry.yaml" <<YAML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: "$dir/registry"}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
http:
  addr: 127.0.0.1:$port
  secret: rig
  headers: {X-Rig: ["$dir"]}
YAML
  start registry serve "$dir/registry.yaml"
}
ready_registry() {
  local answer
  exec {connection}<>"/dev/tcp/127.0.0.1/$port" || return 1
  printf 'GET /v2/ HTTP/1.0\r\nHost: rig\r\n\r\n' >&"$connection"
  answer=$(timeout 2 cat <&"$connection") # it may be anybody
  exec {connection}>&-
  [[ $answer == *"X-Rig: $dir"* ]]
}

nodes_ready() {
  [[ $(kubectl get nodes -o jsonpath='{.items[*].status.conditions[?(@.type=="Ready")].status}') == "True True" ]]
}

write_env() {
  local uid=$1 registry=$2
  {
    printf 'export KUBECONFIG=%q\n' "$dir/kubeconfig"
    # The default is shared by all clusters that ever had the same port.
    printf 'export KUBECACHEDIR=%q\n' "$dir/cache"
    printf 'export RIG_DIR=%q\n' "$dir"
    printf 'export RIG_BIN=%q\n' "$bin"
    printf 'export RIG_REGISTRY=%q\n' "$registry"
    printf 'export RIG_CLUSTER_UID=%q\n' "$uid"
    printf 'export PATH=%q:"$PATH"\n' "$bin"
  } >"$dir/env.new"
  mv "$dir/env.new" "$dir/env"
}

# bring_up DIR REGISTRY(yes|no); what goes wrong ends the script: the caller's EXIT
# trap clears up.
bring_up() {
  local began started registry="" uid
  dir=$1 began=$(now)
  started=$began
  mkdir "$dir/logs"
  chmod 700 "$dir"
  : >"$dir/pids"
  start_etcd
  make_certificates
  start_webhooks
  step "certificates, etcd, webhooks" "$started"

  started=$(now)
  if [[ $2 == yes ]]; then
    serve registry
    registry=127.0.0.1:$port
    step "registry, $registry" "$started"
  fi

  started=$(now)
  serve kube-apiserver
  step "kube-apiserver, 127.0.0.1:$port" "$started"

  started=$(now)
  start_controllers
  await "nodes are created" kubectl apply --validate=false -f "$RIG_FILES/cluster.yaml"
  await "both nodes are Ready" nodes_ready
  await "the controller-manager works" kubectl get configmap --namespace=kube-system kube-root-ca.crt
  step "controller-manager, scheduler, 2 nodes" "$started"

  uid=$(kubectl get namespace kube-system -o jsonpath='{.metadata.uid}')
  write_env "$uid" "$registry"
  step "up: $dir" "$began"
}

# Everything in the folder is thrown away, so nobody is asked to end properly.
stop_programs() {
  local name pid
  is_rig "$1" || return 0
  while read -r name pid; do kill -KILL "$pid" 2>/dev/null || true; done < <(running "$1")
  while [[ -n $(running "$1") ]]; do sleep 0.02; done
}

is_up() {
  [[ -f $1/env && $(awk '{ print $1 }' "$1/pids" | sort -u) == "$(running "$1" | awk '{ print $1 }' | sort -u)" ]]
}
