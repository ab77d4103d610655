# shellcheck shell=bash disable=SC2154 # Sourced by scripts/bench, which sets and reads the variables.
# A platform of 30 small releases, for the benches that need one.

# A tiny chart of our own in each of 30 releases, in four tiers.
write_releases() {
  local folder=$1 tiers=(infrastructure monitoring security applications) i tier name
  for i in "${!tiers[@]}"; do
    mkdir -p "$folder/templates/${tiers[i]}"
    printf 'apiVersion: platctl.dev/v1\norder: %d\n' $((i * 10)) >"$folder/templates/${tiers[i]}/tier.yaml"
  done
  for ((i = 0; i < RELEASES; i++)); do
    tier=${tiers[i * 4 / RELEASES]}
    name=$(printf 'r%02d' "$i")
    mkdir -p "$folder/templates/$tier/$name/chart/templates"
    (
      cd "$folder/templates/$tier/$name" || exit
      printf 'apiVersion: platctl.dev/v1\nchart: {path: ./chart}\nnamespace: %s\n' "$tier" >release.yaml
      printf 'message: "{{ values.message }} from {{ release.name }}"\n' >values.yaml
      printf 'apiVersion: v2\nname: tiny\nversion: 0.1.0\n' >chart/Chart.yaml
      cat >chart/templates/all.yaml <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {message: {{ .Values.message | quote }}}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec: {selector: {app: {{ .Release.Name }}}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec: {containers: [{name: main, image: "bench.example/tiny:1", resources: {requests: {cpu: 10m}}}]}
YAML
    )
  done
  printf 'message: hello\n' >"$folder/environments/bench/values.yaml"
}
