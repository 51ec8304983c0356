{{/*
Takes the root. Returns what the release requests from the cluster, including the pods of `helm test` and of the benchmark, as the
hard limits of the smallest sufficient ResourceQuota (YAML; CPU in millicores, memory in MiB, storage in GiB, all rounded up). A
rolling update needs no more, because it replaces one pod at a time.
*/}}
{{- define "kapture.totals" -}}
{{- $sum := dict "pods" 0 "requestsCpu" 0 "limitsCpu" 0 "requestsMemory" 0 "limitsMemory" 0 "claims" 0 "storage" 0 "uncapped" false -}}
{{- range include "kapture.parts" . | fromYamlArray -}}
{{- $own := include "kapture.at" (list $ .values) | fromYaml -}}
{{- $count := 1 -}}
{{- if include "kapture.autoscaling" (list $ .values) -}}
{{- $count = int $own.autoscaling.maxReplicas -}}
{{- else if .kind -}}
{{- $count = include "kapture.replicas" (list $ .name $own.replicas .kind) | int -}}
{{- end -}}
{{- $_ := set $sum "pods" (add $sum.pods $count) -}}
{{- $containers := list $own.resources -}}
{{- with .sidecar -}}{{- $containers = append $containers (index $.Values . "resources") -}}{{- end -}}
{{- range $containers -}}
{{- $resources := include "kapture.resources" (list $ .) | fromYaml -}}
{{- range $group, $quantities := $resources -}}
{{- $cpu := include "kapture.millicores" ($quantities.cpu | default "0") | int64 | mul $count -}}
{{- $memory := include "kapture.bytes" $quantities.memory | int64 | mul $count -}}
{{- $_ := set $sum (printf "%sCpu" $group) (add (get $sum (printf "%sCpu" $group)) $cpu) -}}
{{- $_ := set $sum (printf "%sMemory" $group) (add (get $sum (printf "%sMemory" $group)) $memory) -}}
{{- end -}}
{{- if not $resources.limits.cpu -}}{{- $_ := set $sum "uncapped" true -}}{{- end -}}
{{- end -}}
{{- if dig "persistence" "enabled" false $own -}}
{{- $_ := set $sum "claims" (add $sum.claims $count) -}}
{{- $_ := set $sum "storage" (include "kapture.bytes" $own.persistence.size | int64 | mul $count | add $sum.storage) -}}
{{- end -}}
{{- end -}}
pods: {{ $sum.pods }}
requestsCpu: {{ $sum.requestsCpu }}
limitsCpu: {{ ternary 0 $sum.limitsCpu $sum.uncapped }}
requestsMemory: {{ divf (float64 $sum.requestsMemory) 1048576 | ceil | printf "%.0f" }}
limitsMemory: {{ divf (float64 $sum.limitsMemory) 1048576 | ceil | printf "%.0f" }}
claims: {{ $sum.claims }}
storage: {{ divf (float64 $sum.storage) 1073741824 | ceil | printf "%.0f" }}
{{- end -}}

{{/* Takes the totals. Returns them in the form of `kubectl create quota --hard`. */}}
{{- define "kapture.quota" -}}
pods={{ .pods }},requests.cpu={{ .requestsCpu }}m
{{- if .limitsCpu }},limits.cpu={{ .limitsCpu }}m{{ end -}}
,requests.memory={{ .requestsMemory }}Mi,limits.memory={{ .limitsMemory }}Mi
{{- if .claims }},persistentvolumeclaims={{ .claims }},requests.storage={{ .storage }}Gi{{ end }}
{{- end -}}
