{{/* Takes the root: where Kafka is. */}}
{{- define "kapture.bootstrapServers" -}}
{{- if .Values.kafka.enabled -}}
{{- printf "%s:9092" (include "kapture.fullname" (list . "kafka")) -}}
{{- else -}}
{{- .Values.kafka.external.bootstrapServers -}}
{{- end -}}
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

{{/* Takes the root: how any client reaches Kafka and logs in. */}}
{{- define "kapture.kafkaLogin" -}}
- name: KAFKA_BOOTSTRAP_SERVERS
  value: {{ include "kapture.bootstrapServers" . | quote }}
{{- with ternary "kapture" .Values.kafka.external.username .Values.kafka.enabled }}
- name: KAFKA_USERNAME
  value: {{ include "kapture.verbatim" . | quote }}
- name: KAFKA_PASSWORD
  valueFrom:
    {{- include "kapture.passwordRef" (list $ "kafka") | nindent 4 }}
{{- end }}
{{- end -}}

{{/* Takes the root: what a client of Kafka is told that makes topics, too. */}}
{{- define "kapture.kafkaEnv" -}}
{{- include "kapture.kafkaLogin" . }}
{{- if not .Values.kafka.enabled }}
- name: KAFKA_PREFIX
  value: {{ .Values.kafka.external.prefix | default (include "kapture.foreignPrefix" .) | quote }}
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
