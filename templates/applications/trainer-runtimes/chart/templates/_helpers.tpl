{{- /* A container of a training job: image, the platform's settings, the runtime's own. Called with the runtime, its
name and the root. */ -}}
{{- define "runtime.container" -}}
name: node
image: {{ required (printf "runtimes.%s.image is needed" .name) .runtime.image }}
env:
{{- range $name, $value := merge (dict) (.runtime.env | default dict) .root.Values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- with .root.Values.secrets }}
envFrom:
{{- range . }}
- secretRef:
    name: {{ . }}
    optional: true
{{- end }}
{{- end }}
{{- with .runtime.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
