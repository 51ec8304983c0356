{{/* Takes a text. Returns it escaped as a variable's value, where Kubernetes would otherwise expand $(NAME). */}}
{{- define "kapture.verbatim" -}}
{{- replace "$(" "$$(" . -}}
{{- end -}}

{{/* Takes the root. Returns the variables that tell every program where it runs. */}}
{{- define "kapture.env" -}}
- name: SERVICE_POD
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: SERVICE_NODE
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
{{- end -}}

{{/* Takes a variable's name. Returns that variable, with the pod's ordinal in its StatefulSet as its value. */}}
{{- define "kapture.ordinalEnv" -}}
- name: {{ . }}
  valueFrom: {fieldRef: {fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']"}}
{{- end -}}

{{/* Takes the root. Returns the variables of the auditor, both live and in `helm test`. */}}
{{- define "kapture.auditorEnv" -}}
{{- include "kapture.env" . }}
{{ include "kapture.kafkaEnv" . }}
{{- if .Values.redis.enabled }}
- name: AUDITOR_REDIS
  value: "true"
{{ include "kapture.redisEnv" . }}
{{- end }}
{{- if .Values.postgres.enabled }}
- name: AUDITOR_POSTGRES
  value: "true"
- name: AUDITOR_RETURNED
  value: "true"
{{ include "kapture.postgresEnv" . }}
{{- end }}
{{- end -}}

{{/* Takes the root. Returns the exporter's targets. Each is a headless Service, whose name resolves to all its pods. */}}
{{- define "kapture.exporterTargets" -}}
{{- $targets := list -}}
{{- range include "kapture.parts" . | fromYamlArray -}}
{{- if .reports -}}
{{- $targets = append $targets (printf "%s=%s:8080" .name (include "kapture.fullname" (list $ .name))) -}}
{{- end -}}
{{- end -}}
{{- join "," $targets -}}
{{- end -}}

{{/* Takes the root. Returns the variables of the exporter. */}}
{{- define "kapture.exporterEnv" -}}
{{- include "kapture.env" . }}
{{ include "kapture.kafkaEnv" . }}
- name: EXPORTER_TARGETS
  value: {{ include "kapture.exporterTargets" . | quote }}
{{- end -}}

{{/* Takes the root. Returns the variables of a loader. */}}
{{- define "kapture.loaderEnv" -}}
{{- include "kapture.env" . }}
{{ include "kapture.kafkaEnv" . }}
{{ include "kapture.ordinalEnv" "LOADER_ORDINAL" }}
{{- with .Values.loader }}
- name: LOADER_RATE
  value: {{ include "kapture.number" .rate | quote }}
- name: LOADER_CATCH_UP
  value: {{ include "kapture.number" .catchUp | quote }}
{{- with .shape }}
- name: LOADER_SHAPE
  value: {{ .kind | quote }}
- name: LOADER_SHAPE_LOW
  value: {{ include "kapture.number" .low | quote }}
- name: LOADER_SHAPE_HIGH
  value: {{ include "kapture.number" .high | quote }}
- name: LOADER_SHAPE_STEPS
  value: {{ int64 .steps | quote }}
- name: LOADER_SHAPE_PERIOD
  value: {{ .period | quote }}
- name: LOADER_SHAPE_LENGTH
  value: {{ .length | quote }}
{{- with .rates }}
- name: LOADER_SHAPE_RATES
  value: {{ include "kapture.verbatim" . | quote }}
{{- end }}
{{- end }}
- name: LOADER_ARRIVALS
  value: {{ .arrivals | quote }}
- name: LOADER_VIA
  value: {{ .via | quote }}
{{- if eq .via "webapp" }}
- name: LOADER_WEBAPP
  value: {{ printf "%s:8081" (include "kapture.fullname" (list $ "webapp")) | quote }}
- name: LOADER_READS
  value: {{ int .reads | quote }}
{{- end }}
- name: LOADER_LINGER
  value: {{ .linger | quote }}
- name: LOADER_COMPRESSION
  value: {{ .compression | quote }}
- name: LOADER_SEED
  value: {{ int64 .seed | quote }}
- name: LOADER_STORES
  value: {{ int64 .stores | quote }}
- name: LOADER_CUSTOMERS
  value: {{ int64 .customers | quote }}
- name: LOADER_SKEW
  value: {{ int64 .skew | quote }}
- name: LOADER_HOT_STORE
  value: {{ int64 .hotStore | quote }}
- name: LOADER_DAYS
  value: {{ int64 .days | quote }}
- name: LOADER_STOP_AFTER
  value: {{ .stopAfter | quote }}
{{- end }}
- name: LOADER_TOKEN
  valueFrom:
    {{- include "kapture.passwordRef" (list . "loader") | nindent 4 }}
{{- end -}}

{{/* Takes the root. Returns the variables of the shop. */}}
{{- define "kapture.webappEnv" -}}
{{- include "kapture.env" . }}
{{ include "kapture.kafkaEnv" . }}
{{- if .Values.redis.enabled }}
- name: WEBAPP_REDIS
  value: "true"
{{ include "kapture.redisEnv" . }}
{{- end }}
{{- include "kapture.misbehaviourEnv" (list . "webapp") }}
{{- end -}}

{{/* Takes (list $ "etl component"). Returns the variables of that role. */}}
{{- define "kapture.etlEnv" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $role := trimPrefix "etl-" $component -}}
{{- include "kapture.env" $root }}
{{ include "kapture.kafkaEnv" $root }}
- name: ETL_ROLE
  value: {{ $role | quote }}
{{- if eq $role "fan-out" }}
{{ include "kapture.ordinalEnv" "ETL_ORDINAL" }}
- name: ETL_TRANSACTION_INTERVAL
  value: {{ $root.Values.etl.fanOut.transactionInterval | quote }}
{{- else }}
{{- if and (include "kapture.own" (list $root "kafka")) (not $root.Values.kafka.persistence.enabled) }}
- name: ETL_ADOPT_NEW_KAFKA
  # A broker that was replaced is a new Kafka, which positions in the store don't belong to.
  value: "true"
{{- end }}
{{- range include "kapture.components" $root | fromYamlArray }}
{{- if eq .name $component }}
{{ include (printf "kapture.%sEnv" .store) $root }}
{{- end }}
{{- end }}
{{- end }}
{{- if eq $role "spout" }}
- name: ETL_INSTANCE
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- end }}
{{- include "kapture.misbehaviourEnv" . }}
{{- end -}}

{{/*
Takes (list $ "server"). Returns the variables of the probe in its pods. Only what it needs: any change here restarts the server.
The peers of a broker are those that are also controllers, whose number is set at install, so that more brokers restart none; the
probe leaves out its own pod. If there is only one, the fan-out is a peer too. The peer of a store is the role that writes into it.
*/}}
{{- define "kapture.probeEnv" -}}
{{- $root := index . 0 -}}
{{- $server := index . 1 -}}
{{- $peers := list -}}
{{- $data := dict "kafka" "/var/lib/kafka/data" "redis" "/data" "postgres" "/var/lib/postgresql/data" -}}
{{- include "kapture.env" $root }}
- name: PROBE_TARGET
  value: {{ $server | quote }}
{{- if eq $server "kafka" }}
{{- $name := include "kapture.fullname" . }}
{{- range until (int $root.Values.kafka.controllers) }}
{{- $peers = append $peers (printf "%s-%d.%s:9092" $name . $name) }}
{{- end }}
{{- if eq (len $peers) 1 }}
{{- $peers = append $peers (printf "%s:8080" (include "kapture.fullname" (list $root "etl-fan-out"))) }}
{{- end }}
{{ include "kapture.kafkaLogin" $root }}
{{ include "kapture.ordinalEnv" "PROBE_BROKER_ID" }}
{{- else }}
{{- $peers = list (printf "%s:8080" (include "kapture.fullname" (list $root (printf "etl-%s" $server)))) }}
{{- end }}
- name: PROBE_PEERS
  value: {{ join "," $peers | quote }}
- name: PROBE_FSYNC_DIR
  # Made by start.sh on the volume of the data, and outside of the data.
  value: {{ printf "%s/probe" (get $data $server) | quote }}
{{- end -}}
