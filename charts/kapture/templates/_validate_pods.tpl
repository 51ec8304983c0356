{{- /* Takes (list path label). Returns a sentence if the label is one that selectors use. */ -}}
{{- define "kapture.validateLabel" -}}
{{- if has (index . 1) (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart") }}
{{ index . 0 }} can't set {{ index . 1 }}, which the chart sets to find its pods and objects: leave it out
{{- end }}
{{- end -}}

{{- /* Takes (list path values volumes). Returns sentences about the pod settings in `values`, shared or of one component. */ -}}
{{- define "kapture.validatePods" -}}
{{- $path := index . 0 }}
{{- $volumes := list }}
{{- range index . 2 }}{{- $volumes = append $volumes .name }}{{- end }}
{{- range (index . 1).extraVolumes | default list }}
{{- if has .name (list "config" "data" "run" "tmp") }}
{{ $path }}extraVolumes can't have a volume called {{ .name }}, because the chart has one: give it another name
{{- end }}
{{- end }}
{{- range (index . 1).extraVolumeMounts | default list }}
{{- if has (trimSuffix "/" .mountPath) (list "/etc/kapture" "/tmp" "/data" "/var/lib/kafka/data" "/var/lib/postgresql/data" "/var/run/postgresql") }}
{{ $path }}extraVolumeMounts can't mount anything at {{ .mountPath }}, where the chart mounts its own volume: use another path
{{- end }}
{{- if not (has .name $volumes) }}
{{ $path }}extraVolumeMounts mounts {{ .name }}, but {{ $path }}extraVolumes has no such volume: add it there
{{- end }}
{{- end }}
{{- range $annotation, $_ := (index . 1).podAnnotations | default dict }}
{{- if hasPrefix "helm.sh/" $annotation }}
{{ $path }}podAnnotations can't set {{ $annotation }}, because Helm would treat the pod as a hook: leave it out
{{- end }}
{{- end }}
{{- range (index . 1).tolerations | default list }}
{{- if not (or .key (eq (.operator | default "") "Exists")) }}
{{ $path }}tolerations contains {{ toJson . }}, which has no key: add one, or set operator Exists to tolerate every taint
{{- else if and (hasKey . "value") (eq (.operator | default "") "Exists") }}
{{ $path }}tolerations contains {{ toJson . }}, but operator Exists takes no value: leave one of them out
{{- end }}
{{- end }}
{{- end -}}

{{- define "kapture.validateResources" -}}
{{- $least := dict "kafka" "512Mi" "redis" "64Mi" "postgres" "128Mi" "probe" "16Mi" }}
{{- $jobs := include "kapture.jobs" . | fromYamlArray }}
{{- range concat (include "kapture.components" . | fromYamlArray) $jobs (list (dict "values" "probe")) }}
{{- $resources := (include "kapture.at" (list $ .values) | fromYaml).resources }}
{{- $path := printf "%s.resources" .values }}
{{- $floor := get $least .values | default "32Mi" }}
{{- if lt (include "kapture.bytes" $resources.limits.memory | int64) (include "kapture.bytes" $floor | int64) }}
{{ $path }}.limits.memory={{ $resources.limits.memory }} is too little to start with: set {{ $floor }} or more
{{- end }}
{{- $all := include "kapture.resources" (list $ $resources) | fromYaml }}
{{- range $name, $measure := dict "cpu" "kapture.millicores" "memory" "kapture.bytes" "ephemeral-storage" "kapture.bytes" }}
{{- $request := get $all.requests $name | default "0" }}
{{- $limit := get $all.limits $name | default $request }}
{{- if gt (include $measure $request | int64) (include $measure $limit | int64) }}
{{ $path }}.requests.{{ $name }}={{ $request }} is more than {{ $path }}.limits.{{ $name }}={{ $limit }}, which Kubernetes refuses: lower the request or raise the limit
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
