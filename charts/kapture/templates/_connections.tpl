{{/*
Takes nothing: every connection that Kapture makes: from, to, port, why. `*` is anybody. The NetworkPolicies are
rendered from it, and a test compares it with what the programs are told to call.
*/}}
{{- define "kapture.connections" -}}
kafka         kafka         9092  brokers copy from one another, probes ask who is in sync
kafka         kafka         9093  brokers follow the controllers
loader        kafka         9092  sends sales, and what it promises of each block
etl-fan-out   kafka         9092  moves sales to the topics of the states
etl-redis     kafka         9092  reads the topics of the states
etl-redis     redis         6379  writes what it read
etl-postgres  kafka         9092  reads the topics of the states
etl-postgres  postgres      5432  writes what it read
etl-spout     kafka         9092  sends receipts
etl-spout     postgres      5432  reads what is stored
redis         redis         6379  copies of the first server follow it
auditor       kafka         9092  reads every stage, keeps its account
auditor       redis         6379  counts what arrived
auditor       postgres      5432  counts what arrived
exporter      kafka         9092  reads offsets, for lag
exporter      kafka         8080  polls the reports of the probes
exporter      loader        8080  polls reports
exporter      etl-fan-out   8080  polls reports
exporter      etl-redis     8080  polls reports
exporter      etl-postgres  8080  polls reports
exporter      etl-spout     8080  polls reports
exporter      auditor       8080  polls reports
test          kafka         9092  helm test: reads every stage afresh
test          redis         6379  helm test: counts afresh
test          postgres      5432  helm test: counts afresh
test          auditor       8080  helm test: asks for its findings
test          exporter      8080  helm test: looks whether its series move
*             exporter      8080  Prometheus, and you
{{- end -}}

{{/* Takes the root: the components that are rendered, by spaces. */}}
{{- define "kapture.components" -}}
{{ include "kapture.reporters" . }} exporter
{{- if and .Values.redis.enabled (not .Values.redis.external.host) }} redis{{ end }}
{{- if and .Values.postgres.enabled (not .Values.postgres.external.host) }} postgres{{ end }}
{{- end -}}
