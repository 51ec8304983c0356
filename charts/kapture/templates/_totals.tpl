{{/*
Takes the root: what the release asks of the cluster, as {cpu: CPUs, memory: GiB, volumes: GiB}. Volumes are 0 when
nothing is persistent.
*/}}
{{- define "kapture.totals" -}}
{{- $v := .Values -}}
{{- $brokers := include "kapture.replicas" (list $ "kafka" $v.kafka.replicas "StatefulSet") | int -}}
{{- $loaders := include "kapture.replicas" (list $ "loader" $v.loader.replicas "StatefulSet") | int -}}
{{- /* (count, what has resources and perhaps persistence) */ -}}
{{- $parts := list (list $loaders $v.loader) (list $v.etl.fanOut.replicas $v.etl.fanOut) (list $v.auditor.replicas $v.auditor) (list $v.exporter.replicas $v.exporter) -}}
{{- if $v.kafka.enabled -}}
{{- $parts = append (append $parts (list $brokers $v.kafka)) (list $brokers $v.probe) -}}
{{- end -}}
{{- range $name := list "redis" "postgres" -}}
{{- $store := index $v $name -}}
{{- $role := index $v.etl $name -}}
{{- if $store.enabled -}}
{{- $parts = append $parts (list $role.replicas $role) -}}
{{- if not $store.external.host -}}
{{- $parts = append $parts (list $store.replicas $store) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $v.postgres.enabled -}}
{{- $parts = append $parts (list $v.etl.spout.replicas $v.etl.spout) -}}
{{- end -}}
{{- $millicores := 0 -}}{{- $memory := 0 -}}{{- $volumes := 0 -}}
{{- range $parts -}}
{{- $count := int (index . 0) -}}
{{- $part := index . 1 -}}
{{- $requests := (include "kapture.resources" $part.resources | fromYaml).requests -}}
{{- $millicores = add $millicores (mul $count (include "kapture.millicores" $requests.cpu | int64)) -}}
{{- $memory = add $memory (mul $count (include "kapture.bytes" $requests.memory | int64)) -}}
{{- if dig "persistence" "enabled" false $part -}}
{{- $volumes = add $volumes (mul $count (include "kapture.bytes" $part.persistence.size | int64)) -}}
{{- end -}}
{{- end -}}
cpu: {{ printf "%.2f" (divf (float64 $millicores) 1000) | quote }}
memory: {{ printf "%.1f" (divf (float64 $memory) 1073741824) | quote }}
volumes: {{ if $volumes }}{{ printf "%.0f" (divf (float64 $volumes) 1073741824) | quote }}{{ else }}0{{ end }}
{{- end -}}
