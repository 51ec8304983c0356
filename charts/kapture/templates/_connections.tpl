{{/*
Takes the root. Returns a YAML list of every connection that Kapture makes; `*` means anyone. The NetworkPolicies are
rendered from it, and a test compares it with the addresses that the programs are given. DNS is allowed in addition.
*/}}
{{- define "kapture.connections" -}}
- {from: kafka, to: kafka, port: 9092, why: "brokers replicate from each other, probes ask which are in sync and measure round trips"}
- {from: kafka, to: kafka, port: 9093, why: brokers follow the controllers}
{{- if eq (int .Values.kafka.controllers) 1 }}
- {from: kafka, to: etl-fan-out, port: 8080, why: the probe measures round trips}
{{- end }}
- {from: loader, to: kafka, port: 9092, why: "sends sales, and the records of its blocks"}
{{- if eq .Values.loader.via "webapp" }}
- {from: loader, to: webapp, port: 8081, why: "buys, and looks things up"}
{{- end }}
{{- if .Values.webapp.enabled }}
- {from: webapp, to: kafka, port: 9092, why: puts sales in it}
- {from: webapp, to: redis, port: 6379, why: tells what was sold}
- {from: exporter, to: webapp, port: 8080, why: polls reports}
- {from: "*", to: webapp, port: 8081, why: "you, and your own customers"}
{{- end }}
- {from: etl-fan-out, to: kafka, port: 9092, why: moves sales to the topics of the states}
{{- range include "kapture.components" . | fromYamlArray }}
{{- if .store }}
- {from: {{ .name }}, to: kafka, port: 9092, why: "reads or writes the topics of its stage, commits positions"}
- {from: {{ .name }}, to: {{ .store }}, port: {{ get (dict "redis" 6379 "postgres" 5432) .store }}, why: reads or writes sales}
{{- end }}
{{- end }}
- {from: redis, to: redis, port: 6379, why: replicas follow the first server}
{{- if .Values.probe.stores }}
- {from: redis, to: etl-redis, port: 8080, why: the probe measures round trips}
- {from: postgres, to: etl-postgres, port: 8080, why: the probe measures round trips}
- {from: exporter, to: redis, port: 8080, why: polls the reports of the probes}
- {from: exporter, to: postgres, port: 8080, why: polls the report of the probe}
{{- end }}
- {from: auditor, to: kafka, port: 9092, why: "reads every stage, stores its results"}
- {from: auditor, to: redis, port: 6379, why: counts what arrived}
- {from: auditor, to: postgres, port: 5432, why: counts what arrived}
- {from: exporter, to: kafka, port: 9092, why: "reads offsets, for lag"}
- {from: exporter, to: kafka, port: 8080, why: polls the reports of the probes}
- {from: exporter, to: loader, port: 8080, why: polls reports}
{{- range include "kapture.components" . | fromYamlArray }}
{{- if hasPrefix "etl-" .name }}
- {from: exporter, to: {{ .name }}, port: 8080, why: polls reports}
{{- end }}
{{- end }}
- {from: exporter, to: auditor, port: 8080, why: polls reports}
- {from: benchmark, to: exporter, port: 8080, why: reads what all programs report}
- {from: benchmark, to: loader, port: 8080, why: sets the rates}
- {from: benchmark, to: kafka, port: 9092, why: keeps its report}
- {from: exporter, to: benchmark, port: 8080, why: shows the step that runs}
- {from: test, to: kafka, port: 9092, why: "helm test: reads every stage again"}
- {from: test, to: redis, port: 6379, why: "helm test: counts sales again"}
- {from: test, to: postgres, port: 5432, why: "helm test: counts sales again"}
- {from: test, to: auditor, port: 8080, why: "helm test: asks for its findings"}
- {from: test, to: exporter, port: 8080, why: "helm test: checks that its series change"}
- {from: "*", to: exporter, port: 8080, why: "Prometheus, and you"}
{{- end -}}

{{/* Takes the root. Returns a YAML list of the names of all components and jobs. */}}
{{- define "kapture.parties" -}}
{{- range include "kapture.parts" . | fromYamlArray }}
- {{ .name }}
{{- end }}
{{- end -}}

{{/* Takes the root. Returns {component: [port]} of the external servers in use, as YAML. */}}
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
