{{- /* Fails where the values of a service say what its processes would not hear, or what nobody could reach. */ -}}
{{- define "service.contradictions" -}}
{{- $service := .Chart.Name }}
{{- $known := get (.Files.Get "files/settings.json" | fromJson) $service }}
{{- range $name, $_ := .Values.env }}
{{- if has $name $known.secret }}
{{- fail (printf "%s.env.%s is secret, and values are not: put it into the Secret that %s.existingSecret names" $service $name $service) }}
{{- else if has $name $known.chart }}
{{- fail (printf "%s.env.%s: the chart says it itself, from global: leave it out" $service $name) }}
{{- else if not (has $name $known.env) }}
{{- fail (printf "%s.env.%s: %s has no such setting, and would go on without it: look for a slip in the name" $service $name $service) }}
{{- end }}
{{- end }}
{{- $ports := dict "MUSTER_SMTP" (regexFind "[0-9]+$" (get .Values.env "MUSTER_SMTP")) "MUSTER_CARRIER_PORT" (get .Values.env "MUSTER_CARRIER_PORT") }}
{{- range $name, $wanted := $ports }}
{{- if $wanted }}
{{- $open := false }}
{{- range $.Values.egress }}
{{- range .ports }}
{{- $first := int .port }}
{{- $open = or $open (and (ge (int $wanted) $first) (le (int $wanted) (int (default $first .endPort)))) }}
{{- end }}
{{- end }}
{{- if not $open }}
{{- fail (printf "%s.env.%s is %s, but no rule of %s.egress opens port %s: nothing would get out; add one, or correct the port" $service $name (get $.Values.env $name) $service $wanted) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
