{{- /*
Takes the root. Returns a YAML list of the misbehaviours that are on: `name` and `strength` for reports, the `variables` of the roles of
etl or of the shop, and the one `component` that they are for, unless they are for all roles.
*/ -}}
{{- define "kapture.misbehaviours" -}}
{{- with .Values.misbehaviour }}
{{- if .layers }}
- {name: layers, strength: {{ int .layers | quote }}, variables: {MISBEHAVIOUR_LAYERS: {{ int .layers | quote }}}}
{{- end }}
{{- with .memory }}
- {name: memory, strength: {{ toString . | quote }}, variables: {MISBEHAVIOUR_MEMORY_BYTES: {{ include "kapture.bytes" . | quote }}}}
{{- end }}
{{- with .pauses }}
{{- if include "kapture.milliseconds" .length | float64 }}
- name: pauses
  strength: {{ printf "%s/%s" .length .every | quote }}
  variables: {MISBEHAVIOUR_PAUSE: {{ .length | quote }}, MISBEHAVIOUR_PAUSE_EVERY: {{ .every | quote }}}
{{- end }}
{{- end }}
{{- if include "kapture.milliseconds" .startUp | float64 }}
- {name: startUp, strength: {{ .startUp | quote }}, variables: {MISBEHAVIOUR_START_UP: {{ .startUp | quote }}}}
{{- end }}
{{- if .unbatched }}
- {name: unbatched, variables: {ETL_BATCH_SALES: "1"}, component: etl-postgres}
{{- end }}
{{- if .nPlusOne }}
- {name: nPlusOne, variables: {WEBAPP_N_PLUS_ONE: "true"}, component: webapp}
{{- end }}
{{- if include "kapture.milliseconds" .saleDelay | float64 }}
- {name: saleDelay, strength: {{ .saleDelay | quote }}, variables: {MISBEHAVIOUR_SALE_DELAY: {{ .saleDelay | quote }}}}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Takes (list $ "component"). Returns the variables of a role of etl or of the shop. None for what is off, so that no pod restarts for that. */ -}}
{{- define "kapture.misbehaviourEnv" -}}
{{- $component := index . 1 -}}
{{- range include "kapture.misbehaviours" (index . 0) | fromYamlArray }}
{{- if eq $component (.component | default (ternary $component "" (hasPrefix "etl-" $component))) }}
{{- range $name, $value := .variables }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Takes the root. Returns those that are on as reports have them: `layers=3,unbatched`. */ -}}
{{- define "kapture.benchmarkMisbehaviour" -}}
{{- $on := list -}}
{{- range include "kapture.misbehaviours" . | fromYamlArray -}}
{{- $on = append $on (compact (list .name .strength) | join "=") -}}
{{- end -}}
{{- join "," $on -}}
{{- end -}}

{{- define "kapture.validateMisbehaviour" -}}
{{- with .Values.misbehaviour }}
{{- include "kapture.validateDuration" (list "misbehaviour.pauses.length" .pauses.length "0ms" "20s") }}
{{- include "kapture.validateDuration" (list "misbehaviour.pauses.every" .pauses.every "100ms" "1h") }}
{{- include "kapture.validateDuration" (list "misbehaviour.startUp" .startUp "0ms" "10m") }}
{{- include "kapture.validateDuration" (list "misbehaviour.saleDelay" .saleDelay "0ms" "20ms") }}
{{- if .memory }}
{{- $memory := .memory }}
{{- range include "kapture.components" $ | fromYamlArray }}
{{- if hasPrefix "etl." .values }}
{{- $limit := (include "kapture.resources" (list $ (include "kapture.at" (list $ .values) | fromYaml).resources) | fromYaml).limits.memory }}
{{- if ge (include "kapture.bytes" $memory | float64) (include "kapture.bytes" $limit | float64) }}
misbehaviour.memory={{ $memory }} is not below {{ .values }}.resources.limits.memory={{ $limit }}, the pod would be killed again and again: lower the one or raise the other
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
