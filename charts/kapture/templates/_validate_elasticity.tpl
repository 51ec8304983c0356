{{- /* More pods than partitions would be idle; each state has one. By default, the CPU request is about what an idle pod uses, and
       any load would be a multiple of it. */ -}}
{{- define "kapture.validateAutoscaling" -}}
{{- range $component := include "kapture.components" . | fromYamlArray }}
{{- $path := .values }}
{{- with include "kapture.autoscaling" (list $ .values) | fromYaml }}
{{- $own := printf "%s.autoscaling" $path }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
{{ $own }}.minReplicas={{ int .minReplicas }} is more than {{ $own }}.maxReplicas={{ int .maxReplicas }}: lower the one or raise the other
{{- end }}
{{- $isFanOut := eq $path "etl.fanOut" }}
{{- $most := ternary (int $.Values.kafka.salesPartitions) 51 $isFanOut }}
{{- $partitions := ternary (printf "kafka.salesPartitions=%d" $most) "the number of state topics, 51" $isFanOut }}
{{- if gt (int .maxReplicas) $most }}
{{ $own }}.maxReplicas={{ int .maxReplicas }} is more than {{ $partitions }}, the rest would be idle: set {{ $own }}.maxReplicas={{ $most }}
{{- end }}
{{- $resources := (include "kapture.at" (list $ $path) | fromYaml).resources }}
{{- $request := (include "kapture.resources" (list $ $resources) | fromYaml).requests.cpu }}
{{- if lt (include "kapture.millicores" $request | int) 100 }}
{{ $own }}.enabled=true keeps the CPU near a percentage of the request, and {{ $path }}.resources.requests.cpu={{ $request }} is what a pod uses at rest: set it to what a busy pod should use, such as 500m, or set guaranteed=true
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "kapture.validateElasticity" -}}
{{- with .Values.benchmark.elasticity }}
{{- if and .from (not .to) }}
benchmark.elasticity.from is given without benchmark.elasticity.to: set both, or neither
{{- else if and .to (not .from) }}
benchmark.elasticity.to is given without benchmark.elasticity.from: set both, or neither
{{- else if and .from (ge (int64 .from) (int64 .to)) }}
benchmark.elasticity.from={{ int64 .from }} is not below benchmark.elasticity.to={{ int64 .to }}: set a lower rate, which holds easily
{{- end }}
{{- end }}
{{- end -}}
