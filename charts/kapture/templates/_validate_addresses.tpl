{{- /* Patterns of a name or IPv4 address, of an IPv6 address, and of a port. Put each in parentheses when combining them. */ -}}
{{- define "kapture.namePattern" -}}
[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?([.][A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*[.]?
{{- end -}}

{{- define "kapture.ipv6Pattern" -}}
([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|([0-9A-Fa-f]{1,4}:){1,7}:|([0-9A-Fa-f]{1,4}:){1,6}:[0-9A-Fa-f]{1,4}|([0-9A-Fa-f]{1,4}:){1,5}(:[0-9A-Fa-f]{1,4}){1,2}|([0-9A-Fa-f]{1,4}:){1,4}(:[0-9A-Fa-f]{1,4}){1,3}|([0-9A-Fa-f]{1,4}:){1,3}(:[0-9A-Fa-f]{1,4}){1,4}|([0-9A-Fa-f]{1,4}:){1,2}(:[0-9A-Fa-f]{1,4}){1,5}|[0-9A-Fa-f]{1,4}:(:[0-9A-Fa-f]{1,4}){1,6}|:((:[0-9A-Fa-f]{1,4}){1,7}|:)
{{- end -}}

{{- define "kapture.portPattern" -}}
[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]
{{- end -}}

{{- define "kapture.validateAddresses" -}}
{{- $name := include "kapture.namePattern" . }}
{{- $ipv6 := include "kapture.ipv6Pattern" . }}
{{- range $store := list "redis" "postgres" }}
{{- $host := (index $.Values $store).external.host }}
{{- if and $host (not (regexMatch (printf "^((%s)|(%s))$" $name $ipv6) $host)) }}
{{ $store }}.external.host={{ toJson $host }} is not a host: write a name or an address, such as db.example or fd00::1; its port goes into {{ $store }}.external.port
{{- end }}
{{- end }}
{{- range splitList "," .Values.kafka.external.bootstrapServers }}
{{- $one := printf "^((%s)|\\[(%s)\\]):(%s)$" $name $ipv6 (include "kapture.portPattern" $) }}
{{- if and $.Values.kafka.external.bootstrapServers (not (regexMatch $one .)) }}
kafka.external.bootstrapServers={{ toJson $.Values.kafka.external.bootstrapServers }} contains {{ toJson . }}, which is not host:port: write for example kafka:9092, 10.0.0.7:9092 or [fd00::1]:9092
{{- end }}
{{- end }}
{{- end -}}
