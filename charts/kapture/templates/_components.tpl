{{/*
Takes (list $ "kafka"), or "redis" or "postgres" there. Returns "true" if it is enabled and not external.
*/}}
{{- define "kapture.own" -}}
{{- $store := index (index . 0).Values (index . 1) -}}
{{- if and $store.enabled (not (get ($store.external | default dict) "host")) -}}true{{- end -}}
{{- end -}}

{{/*
Takes the root. Returns a YAML list of the components that run, in the order in which a sale travels. `values`: the path of the
component's values; `ports`: the ports of its headless Service; `reports`: whether the exporter polls it; `store`: where a role of etl writes to, or reads from; `sidecar`: the second
program in its pods.
*/}}
{{- define "kapture.components" -}}
{{- $redis := .Values.redis.enabled -}}
{{- $postgres := .Values.postgres.enabled -}}
{{- $sidecar := ternary "sidecar: probe, reports: true, " "" .Values.probe.stores -}}
{{- $admin := ternary ", admin: 8080" "" .Values.probe.stores -}}
{{- if include "kapture.own" (list . "kafka") }}
- {name: kafka, kind: StatefulSet, values: kafka, sidecar: probe, reports: true, ports: {clients: 9092, controllers: 9093, admin: 8080}}
{{- end }}
- {name: loader, kind: StatefulSet, values: loader, reports: true, ports: {admin: 8080}}
{{- if .Values.webapp.enabled }}
- {name: webapp, kind: Deployment, values: webapp, reports: true, ports: {admin: 8080, http: 8081}}
{{- end }}
- {name: etl-fan-out, kind: StatefulSet, values: etl.fanOut, reports: true, ports: {admin: 8080}}
{{- if $redis }}
- {name: etl-redis, kind: Deployment, values: etl.redis, store: redis, reports: true, ports: {admin: 8080}}
{{- end }}
{{- if include "kapture.own" (list . "redis") }}
- {name: redis, kind: StatefulSet, values: redis, {{ $sidecar }}ports: {redis: 6379{{ $admin }}}}
{{- end }}
{{- if $postgres }}
- {name: etl-postgres, kind: Deployment, values: etl.postgres, store: postgres, reports: true, ports: {admin: 8080}}
{{- end }}
{{- if include "kapture.own" (list . "postgres") }}
- {name: postgres, kind: StatefulSet, values: postgres, {{ $sidecar }}ports: {postgres: 5432{{ $admin }}}}
{{- end }}
{{- if $postgres }}
- {name: etl-spout, kind: Deployment, values: etl.spout, store: postgres, reports: true, ports: {admin: 8080}}
{{- end }}
- {name: auditor, kind: Deployment, values: auditor, reports: true, ports: {admin: 8080}}
- {name: exporter, kind: Deployment, values: exporter, ports: {admin: 8080}}
{{- end -}}

{{/* Returns a YAML list of the pods that run only now and then, and end: not components, but with values like theirs.
`ports` and `reports` as there: a benchmark tells what it does while it runs. */}}
{{- define "kapture.jobs" -}}
- {name: benchmark, values: benchmark, reports: true, ports: {admin: 8080}}
- {name: test, values: test}
{{- end -}}

{{/* Takes the root. Returns both lists as one. */}}
{{- define "kapture.parts" -}}
{{ include "kapture.components" . }}
{{ include "kapture.jobs" . }}
{{- end -}}

{{/* Takes (list $ "path.of.values"). Returns that part of the values as YAML. */}}
{{- define "kapture.at" -}}
{{- $values := (index . 0).Values -}}
{{- range splitList "." (index . 1) -}}
{{- $values = index $values . -}}
{{- end -}}
{{- toYaml $values -}}
{{- end -}}

{{/* Takes (list $ "path.of.values"). Returns the component's autoscaling as YAML; nothing if its number of pods is fixed. */}}
{{- define "kapture.autoscaling" -}}
{{- with (include "kapture.at" . | fromYaml).autoscaling -}}
{{- if .enabled -}}{{- toYaml . -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Takes (list $ "component"), or a job's name there. Returns the path of its values. */}}
{{- define "kapture.path" -}}
{{- $name := index . 1 -}}
{{- range include "kapture.parts" (index . 0) | fromYamlArray -}}
{{- if eq .name $name -}}{{ .values }}{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Takes (list $ "component" replicas "Kind"). Returns the replicas to render. A number set with `kubectl scale` is kept until the
value itself changes; the annotation records which value was applied last.
*/}}
{{- define "kapture.replicas" -}}
{{- $root := index . 0 -}}
{{- $wanted := int (index . 2) -}}
{{- $live := lookup "apps/v1" (index . 3) $root.Release.Namespace (include "kapture.fullname" (list $root (index . 1))) -}}
{{- $applied := dig "metadata" "annotations" "kapture/replicas" "" ($live | default dict) -}}
{{- if eq $applied (toString $wanted) -}}
{{- dig "spec" "replicas" $wanted $live -}}
{{- else -}}
{{- $wanted -}}
{{- end -}}
{{- end -}}
