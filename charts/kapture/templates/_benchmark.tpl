{{/* Takes the root. Returns the variables of the benchmark. */}}
{{- define "kapture.benchmarkEnv" -}}
{{- include "kapture.env" . }}
{{ include "kapture.kafkaEnv" . }}
- name: BENCHMARK_RUN
  # The name of the Job.
  valueFrom: {fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/job-name']"}}
- name: BENCHMARK_EXPORTER
  value: {{ printf "%s:8080" (include "kapture.fullname" (list . "exporter")) | quote }}
- name: BENCHMARK_TOKEN
  valueFrom:
    {{- include "kapture.passwordRef" (list . "loader") | nindent 4 }}
- name: BENCHMARK_TERMINATION_LOG
  value: "/dev/termination-log"
{{- with .Values.benchmark }}
- name: BENCHMARK_MODE
  value: {{ .mode | quote }}
{{- with .target }}
- name: BENCHMARK_TARGET
  value: {{ int64 . | quote }}
{{- end }}
- name: BENCHMARK_LATENCY_LIMIT
  value: {{ .latencyLimit | quote }}
{{- with .elasticity }}
{{- if .from }}
- name: BENCHMARK_ELASTICITY_FROM
  value: {{ int64 .from | quote }}
- name: BENCHMARK_ELASTICITY_TO
  value: {{ int64 .to | quote }}
- name: BENCHMARK_ELASTICITY_WITHIN
  value: {{ .within | quote }}
{{- end }}
{{- end }}
{{- end }}
- name: BENCHMARK_LOAD
  value: {{ include "kapture.benchmarkLoad" . | quote }}
{{- with include "kapture.benchmarkMisbehaviour" . }}
- name: BENCHMARK_MISBEHAVIOUR
  value: {{ . | quote }}
{{- end }}
- name: BENCHMARK_RELEASE
  value: {{ .Release.Name | quote }}
- name: BENCHMARK_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: BENCHMARK_REPLICAS
  value: {{ include "kapture.benchmarkReplicas" . | quote }}
{{- with include "kapture.benchmarkMaxReplicas" . }}
- name: BENCHMARK_MAX_REPLICAS
  value: {{ . | quote }}
{{- end }}
- name: BENCHMARK_SALES_PARTITIONS
  value: {{ int .Values.kafka.salesPartitions | quote }}
- name: BENCHMARK_TRANSACTION_INTERVAL
  value: {{ .Values.etl.fanOut.transactionInterval | quote }}
- name: BENCHMARK_VERSIONS
  value: {{ include "kapture.benchmarkVersions" . | quote }}
{{- with include "kapture.benchmarkVolumes" . }}
- name: BENCHMARK_VOLUMES
  value: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Takes the root. Returns what the load is made of: runs can be compared only if it is the same. */}}
{{- define "kapture.benchmarkLoad" -}}
{{- $pairs := list -}}
{{- range $name := list "seed" "stores" "customers" "skew" "hotStore" "days" -}}
{{- $pairs = append $pairs (printf "%s=%d" $name (index $.Values.loader $name | int64)) -}}
{{- end -}}
{{- $pairs = append $pairs (printf "arrivals=%s" $.Values.loader.arrivals) -}}
{{- if eq $.Values.loader.via "webapp" -}}
{{- $pairs = append $pairs (printf "via=webapp,reads=%d" (int $.Values.loader.reads)) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}

{{/*
Takes the root. Returns the replicas of each component, which the benchmark expects to see before it begins; at least so many of
one that is autoscaled.
*/}}
{{- define "kapture.benchmarkReplicas" -}}
{{- $pairs := list -}}
{{- range include "kapture.components" . | fromYamlArray -}}
{{- $autoscaling := include "kapture.autoscaling" (list $ .values) | fromYaml -}}
{{- if $autoscaling -}}
{{- $pairs = append $pairs (printf "%s=%d" .name (int $autoscaling.minReplicas)) -}}
{{- else -}}
{{- $wanted := (include "kapture.at" (list $ .values) | fromYaml).replicas -}}
{{- $pairs = append $pairs (printf "%s=%s" .name (include "kapture.replicas" (list $ .name $wanted .kind))) -}}
{{- end -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}

{{/* Takes the root. Returns the most replicas of the components that are autoscaled. */}}
{{- define "kapture.benchmarkMaxReplicas" -}}
{{- $pairs := list -}}
{{- range $component := include "kapture.components" . | fromYamlArray -}}
{{- with include "kapture.autoscaling" (list $ .values) | fromYaml -}}
{{- $pairs = append $pairs (printf "%s=%d" $component.name (int .maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}

{{/* Takes the root. Returns the seconds after which a run is stopped: several minutes more than its mode, and a jump, may take. */}}
{{- define "kapture.benchmarkDeadline" -}}
{{- $seconds := get (dict "smoke" 480 "default" 2700 "certificate" 7800) .Values.benchmark.mode -}}
{{- with .Values.benchmark.elasticity -}}
{{- if .from -}}{{- $seconds = add $seconds (div (include "kapture.milliseconds" .within | int64) 1000) -}}{{- end -}}
{{- end -}}
{{- $seconds -}}
{{- end -}}

{{/* Takes the root. Returns the versions of what it runs on, as far as the chart knows them: a digest tells none. */}}
{{- define "kapture.benchmarkVersions" -}}
{{- $pairs := list -}}
{{- range $server := list "kafka" "redis" "postgres" -}}
{{- $image := (index $.Values $server).image -}}
{{- if and (include "kapture.own" (list $ $server)) $image.tag (not $image.digest) -}}
{{- $pairs = append $pairs (printf "%s=%s" $server $image.tag) -}}
{{- end -}}
{{- end -}}
{{- append $pairs (printf "kubernetes=%s" (trimPrefix "v" .Capabilities.KubeVersion.Version)) | join "," -}}
{{- end -}}

{{/* Takes the root. Returns the sizes of the volumes of the chart's own servers. */}}
{{- define "kapture.benchmarkVolumes" -}}
{{- $pairs := list -}}
{{- range $server := list "kafka" "redis" "postgres" -}}
{{- if include "kapture.own" (list $ $server) -}}
{{- $pairs = append $pairs (printf "%s=%s" $server (include "kapture.text" (index $.Values $server).persistence.size)) -}}
{{- end -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}
