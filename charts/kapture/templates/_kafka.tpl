{{/* Takes the root. Returns the bootstrap servers. */}}
{{- define "kapture.bootstrapServers" -}}
{{- if .Values.kafka.enabled -}}
{{- printf "%s:9092" (include "kapture.fullname" (list . "kafka")) -}}
{{- else -}}
{{- .Values.kafka.external.bootstrapServers -}}
{{- end -}}
{{- end -}}

{{/* Takes the root. Returns the replication factor: 3 for any number of brokers from 3 up. */}}
{{- define "kapture.replicationFactor" -}}
{{- if .Values.kafka.enabled }}{{ min 3 (int .Values.kafka.replicas) }}{{ else }}{{ int .Values.kafka.external.replicationFactor }}{{ end }}
{{- end -}}

{{/* Takes the root. Returns how many replicas must have a record before it is acknowledged: all but one. */}}
{{- define "kapture.minInsyncReplicas" -}}
{{- if .Values.kafka.enabled }}{{ max 1 (sub (min 3 (int .Values.kafka.replicas)) 1) }}{{ else }}{{ int .Values.kafka.external.minInsyncReplicas }}{{ end }}
{{- end -}}

{{/* Takes the root. Returns the bytes that all topics may take on one broker. */}}
{{- define "kapture.retentionBytes" -}}
{{- with .Values.kafka.retentionBytes -}}
{{- int64 . -}}
{{- else -}}
{{- div (mul (include "kapture.bytes" .Values.kafka.persistence.size | int64) 8) 10 -}}
{{- end -}}
{{- end -}}

{{/* Takes the root. Returns the variables with which a client reaches Kafka and logs in. */}}
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

{{/* Takes the root. Returns the variables of a Kafka client that also creates topics. */}}
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
