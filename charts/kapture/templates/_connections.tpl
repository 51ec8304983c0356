{{/*
Takes nothing: every connection that Kapture makes, as a YAML list: from, to, port, why. `*` is anybody. The NetworkPolicies are
rendered from it, and a test compares it with what the programs are told to call. Besides these there is DNS.
*/}}
{{- define "kapture.connections" -}}
- {from: kafka, to: kafka, port: 9092, why: "brokers copy from one another, probes ask who is in sync"}
- {from: kafka, to: kafka, port: 9093, why: brokers follow the controllers}
- {from: loader, to: kafka, port: 9092, why: "sends sales, and what it promises of each block"}
- {from: etl-fan-out, to: kafka, port: 9092, why: moves sales to the topics of the states}
- {from: etl-redis, to: kafka, port: 9092, why: reads the topics of the states}
- {from: etl-redis, to: redis, port: 6379, why: writes what it read}
- {from: etl-postgres, to: kafka, port: 9092, why: reads the topics of the states}
- {from: etl-postgres, to: postgres, port: 5432, why: writes what it read}
- {from: etl-spout, to: kafka, port: 9092, why: sends receipts}
- {from: etl-spout, to: postgres, port: 5432, why: reads what is stored}
- {from: redis, to: redis, port: 6379, why: copies of the first server follow it}
- {from: auditor, to: kafka, port: 9092, why: "reads every stage, keeps its account"}
- {from: auditor, to: redis, port: 6379, why: counts what arrived}
- {from: auditor, to: postgres, port: 5432, why: counts what arrived}
- {from: exporter, to: kafka, port: 9092, why: "reads offsets, for lag"}
- {from: exporter, to: kafka, port: 8080, why: polls the reports of the probes}
- {from: exporter, to: loader, port: 8080, why: polls reports}
- {from: exporter, to: etl-fan-out, port: 8080, why: polls reports}
- {from: exporter, to: etl-redis, port: 8080, why: polls reports}
- {from: exporter, to: etl-postgres, port: 8080, why: polls reports}
- {from: exporter, to: etl-spout, port: 8080, why: polls reports}
- {from: exporter, to: auditor, port: 8080, why: polls reports}
- {from: test, to: kafka, port: 9092, why: "helm test: reads every stage afresh"}
- {from: test, to: redis, port: 6379, why: "helm test: counts afresh"}
- {from: test, to: postgres, port: 5432, why: "helm test: counts afresh"}
- {from: test, to: auditor, port: 8080, why: "helm test: asks for its findings"}
- {from: test, to: exporter, port: 8080, why: "helm test: looks whether its series move"}
- {from: "*", to: exporter, port: 8080, why: "Prometheus, and you"}
{{- end -}}

{{/* Takes the root: the names of what runs, and of the test's pod, as a YAML list. */}}
{{- define "kapture.parties" -}}
{{- range include "kapture.components" . | fromYamlArray }}
- {{ .name }}
{{- end }}
- test
{{- end -}}

{{/* Takes the root: {component: [port]} of those servers that are used and somebody else's, as YAML. */}}
{{- define "kapture.foreignPorts" -}}
{{- if not .Values.kafka.enabled }}
kafka:
  {{- range splitList "," .Values.kafka.external.bootstrapServers | uniq }}
  - {{ regexFind "[0-9]+$" . }}
  {{- end }}
{{- end }}
{{- range $store := list "redis" "postgres" }}
{{- $values := index $.Values $store }}
{{- if and $values.enabled $values.external.host }}
{{ $store }}: [{{ int $values.external.port }}]
{{- end }}
{{- end }}
{{- end -}}
