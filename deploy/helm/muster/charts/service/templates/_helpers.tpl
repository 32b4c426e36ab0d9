{{- define "service.labels" -}}
app.kubernetes.io/name: {{ .service }}
app.kubernetes.io/component: {{ .process }}
app.kubernetes.io/part-of: muster
{{- end -}}

{{- define "service.image" -}}
{{- $image := .Values.global.image -}}
{{- $digest := get $image.digests .Chart.Name -}}
{{- printf "%s/%s%s" $image.registry .Chart.Name (ternary (printf "@%s" $digest) (printf ":%s" $image.tag) (not (empty $digest))) -}}
{{- end -}}

{{- define "service.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "service.container" -}}
image: {{ include "service.image" . }}
imagePullPolicy: IfNotPresent
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "service.env" -}}
- {name: MUSTER_BASE_URL, value: {{ .Values.global.baseUrl | quote }}}
{{- if .Values.stores }}
- {name: MUSTER_KAFKA, value: {{ .Values.global.kafka | quote }}}
- {name: MUSTER_JWKS_URL, value: "http://tenant-api:8000/.well-known/jwks.json"}
- {name: MUSTER_SECRETS_DIR, value: /secrets}
{{- else }}
- {name: MUSTER_API_URL, value: "http://gateway:8080"}
{{- end }}
{{- with .Values.global.traces.url }}
- {name: MUSTER_OTLP_URL, value: {{ . | quote }}}
- {name: MUSTER_TRACE_RATIO, value: {{ $.Values.global.traces.ratio | quote }}}
{{- end }}
{{- range $name, $value := .Values.env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}
