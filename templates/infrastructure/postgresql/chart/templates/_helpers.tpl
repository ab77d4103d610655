{{- define "postgresql.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "postgresql.labels" -}}
{{ include "postgresql.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "postgresql.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end -}}

{{- /* The image's own user. Everything a namespace that enforces "restricted" asks for. */ -}}
{{- define "postgresql.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 999
runAsGroup: 999
fsGroup: 999
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "postgresql.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "postgresql.adminPassword" -}}
secretKeyRef:
  name: {{ required "existingSecret.name is needed: the Secret with the superuser's password" .Values.existingSecret.name }}
  key: {{ .Values.existingSecret.key }}
{{- end -}}

{{- define "postgresql.owners" -}}
{{- $owners := list -}}
{{- range .Values.databases -}}
{{- $owners = append $owners .owner -}}
{{- end -}}
{{- toJson ($owners | uniq) -}}
{{- end -}}
