{{/* Takes the root: what every program is told about where it runs. */}}
{{- define "kapture.env" -}}
- name: SERVICE_POD
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: SERVICE_NODE
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes a variable's name: the pod's ordinal in its StatefulSet, so that the count stands in no pod template. */}}
{{- define "kapture.ordinalEnv" -}}
- name: {{ . }}
  valueFrom: {fieldRef: {fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']"}}
{{- end -}}

{{/* Takes the root: where Kafka is. */}}
{{- define "kapture.bootstrapServers" -}}
{{- if .Values.kafka.enabled -}}
{{- printf "%s:9092" (include "kapture.fullname" (list . "kafka")) -}}
{{- else -}}
{{- .Values.kafka.external.bootstrapServers -}}
{{- end -}}
{{- end -}}

{{/* Takes the root: the prefix of everything in a Kafka, Redis or Postgres that is somebody else's. */}}
{{- define "kapture.foreignPrefix" -}}
{{- printf "%s-%s-" .Release.Namespace .Release.Name -}}
{{- end -}}

{{/* Takes the root: copies of each partition. The same for all counts of brokers from 3 on. */}}
{{- define "kapture.replicationFactor" -}}
{{- if .Values.kafka.enabled }}{{ min 3 (int .Values.kafka.replicas) }}{{ else }}{{ int .Values.kafka.external.replicationFactor }}{{ end }}
{{- end -}}

{{/* Takes the root: copies that must have a record before it is acknowledged: all but one. */}}
{{- define "kapture.minInsyncReplicas" -}}
{{- if .Values.kafka.enabled }}{{ max 1 (sub (min 3 (int .Values.kafka.replicas)) 1) }}{{ else }}{{ int .Values.kafka.external.minInsyncReplicas }}{{ end }}
{{- end -}}

{{/* Takes the root: bytes of all topics on one broker. */}}
{{- define "kapture.retentionBytes" -}}
{{- with .Values.kafka.retentionBytes -}}
{{- int64 . -}}
{{- else -}}
{{- div (mul (include "kapture.bytes" .Values.kafka.persistence.size | int64) 8) 10 -}}
{{- end -}}
{{- end -}}

{{/* Takes the root: what every client of Kafka is told. */}}
{{- define "kapture.kafkaEnv" -}}
- name: KAFKA_BOOTSTRAP_SERVERS
  value: {{ include "kapture.bootstrapServers" . | quote }}
{{- if .Values.kafka.enabled }}
- name: KAFKA_USERNAME
  value: kapture
{{- else }}
- name: KAFKA_PREFIX
  value: {{ .Values.kafka.external.prefix | default (include "kapture.foreignPrefix" .) | quote }}
{{- with .Values.kafka.external.username }}
- name: KAFKA_USERNAME
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- if or .Values.kafka.enabled .Values.kafka.external.username }}
- name: KAFKA_PASSWORD
  valueFrom:
    {{- include "kapture.passwordRef" (list . "kafka") | nindent 4 }}
{{- end }}
- name: KAFKA_REPLICATION_FACTOR
  value: {{ include "kapture.replicationFactor" . | quote }}
- name: KAFKA_MIN_INSYNC_REPLICAS
  value: {{ include "kapture.minInsyncReplicas" . | quote }}
- name: KAFKA_SALES_PARTITIONS
  value: {{ int .Values.kafka.salesPartitions | quote }}
- name: KAFKA_RETENTION_BYTES
  value: {{ include "kapture.retentionBytes" . | quote }}
{{- end -}}

{{/* Takes the root: what a client of Redis is told. */}}
{{- define "kapture.redisEnv" -}}
{{- $external := .Values.redis.external -}}
{{- $own := include "kapture.fullname" (list . "redis") -}}
- name: REDIS_HOST
  # The first server by its own name: the others only copy it.
  value: {{ $external.host | default (printf "%s-0.%s" $own $own) | quote }}
{{- if $external.host }}
- name: REDIS_PORT
  value: {{ int $external.port | quote }}
- name: REDIS_PREFIX
  value: {{ include "kapture.foreignPrefix" . | quote }}
{{- end }}
{{- if or (not $external.host) .Values.redis.auth.existingSecret .Values.redis.auth.password }}
- name: REDIS_PASSWORD
  valueFrom:
    {{- include "kapture.passwordRef" (list . "redis") | nindent 4 }}
{{- end }}
{{- end -}}

{{/* Takes the root: what a client of Postgres is told. */}}
{{- define "kapture.postgresEnv" -}}
{{- $external := .Values.postgres.external -}}
- name: POSTGRES_HOST
  value: {{ $external.host | default (include "kapture.fullname" (list . "postgres")) | quote }}
{{- if $external.host }}
- name: POSTGRES_PORT
  value: {{ int $external.port | quote }}
- name: POSTGRES_DATABASE
  value: {{ $external.database | quote }}
- name: POSTGRES_USER
  value: {{ $external.username | quote }}
- name: POSTGRES_SCHEMA
  value: {{ printf "%s_%s" .Release.Namespace .Release.Name | replace "." "_" | trunc 63 | quote }}
{{- end }}
- name: POSTGRES_PASSWORD
  valueFrom:
    {{- include "kapture.passwordRef" (list . "postgres") | nindent 4 }}
{{- end -}}

{{/* Takes the root: what the auditor is told, live or in `helm test`. */}}
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

{{/* Takes the root: the components whose reports the exporter polls, by spaces. */}}
{{- define "kapture.reporters" -}}
{{- if .Values.kafka.enabled }}kafka {{ end }}loader etl-fan-out
{{- if .Values.redis.enabled }} etl-redis{{ end }}
{{- if .Values.postgres.enabled }} etl-postgres etl-spout{{ end }} auditor
{{- end -}}

{{/* Takes the root: the exporter's targets. Each name is a headless Service, so it stands for all pods behind it. */}}
{{- define "kapture.exporterTargets" -}}
{{- $targets := list -}}
{{- range splitList " " (include "kapture.reporters" .) -}}
{{- $targets = append $targets (printf "%s=%s:8080" . (include "kapture.fullname" (list $ .))) -}}
{{- end -}}
{{- join "," $targets -}}
{{- end -}}
