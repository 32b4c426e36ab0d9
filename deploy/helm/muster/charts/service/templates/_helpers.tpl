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

{{- define "service.kafka" -}}
- {name: MUSTER_KAFKA, value: {{ .Values.global.kafka | quote }}}
{{- with .Values.global.kafkaSecurity }}
{{- if ne .protocol "PLAINTEXT" }}
- {name: MUSTER_KAFKA_SECURITY, value: {{ .protocol }}}
{{- end }}
{{- if eq .protocol "SASL_SSL" }}
- {name: MUSTER_KAFKA_MECHANISM, value: {{ .mechanism }}}
{{- end }}
{{- with .ca }}
- {name: MUSTER_KAFKA_CA, value: {{ . }}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "service.postgres" -}}
- {name: MUSTER_POSTGRES_TLS, value: {{ .Values.global.postgresTls.mode }}}
{{- if .Values.global.postgresTls.caSecret }}
- {name: MUSTER_POSTGRES_CA, value: /postgres-ca/ca.crt}
{{- end }}
{{- end -}}

{{- define "service.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .Values.stores }}
- {name: secrets, mountPath: /secrets, readOnly: true}
{{- if .Values.global.postgresTls.caSecret }}
- {name: postgres-ca, mountPath: /postgres-ca, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{- define "service.postgresCa" -}}
{{- with .Values.global.postgresTls }}
{{- if .caSecret }}
- {name: postgres-ca, secret: {secretName: {{ .caSecret }}, items: [{key: {{ .caKey | quote }}, path: ca.crt}], defaultMode: 288}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "service.env" -}}
- {name: MUSTER_BASE_URL, value: {{ .Values.global.baseUrl | quote }}}
{{- if .Values.stores }}
{{ include "service.kafka" . }}
{{ include "service.postgres" . }}
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

{{- define "service.calls" -}}
- to: {{- toYaml .Values.global.network.dns | nindent 4 }}
  ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- if .Values.stores }}
- to: {{- toYaml .Values.global.network.postgres.to | nindent 4 }}
  ports: [{port: {{ .Values.global.network.postgres.port }}, protocol: TCP}]
{{- end }}
{{- with .Values.global.traces }}
{{- if .url }}
- to: {{- toYaml .to | nindent 4 }}
  ports: [{port: {{ .port }}, protocol: TCP}]
{{- end }}
{{- end }}
{{- end -}}

{{- define "service.autoscaler" -}}
{{- with .how.autoscaling }}
{{- $least := int $.how.replicas }}
{{- if lt $least 1 }}
{{- fail (printf "%s.replicas is 0, the least that %s.autoscaling keeps: set at least 1, or leave autoscaling out" $.where $.where) }}
{{- end }}
{{- if le (int .max) $least }}
{{- fail (printf "%s.autoscaling.max is %d, but %s.replicas, the least, is %d: raise max, lower replicas, or leave autoscaling out" $.where (int .max) $.where $least) }}
{{- end }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $.name }}
  labels: {app.kubernetes.io/part-of: muster}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ $.name }}}
  minReplicas: {{ $least }}
  maxReplicas: {{ .max }}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ .cpuPercent }}}}}]
  behavior:
    # Up at once, as a send starts within a minute of its click; down one by one, once it has been calm for ten minutes.
    scaleDown: {stabilizationWindowSeconds: 600, policies: [{type: Pods, value: 1, periodSeconds: 60}]}
{{- end }}
{{- end -}}
