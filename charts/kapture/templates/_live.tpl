{{/*
Takes the root. Returns a line for each value that differs from what was chosen at install and can't be changed on the running
servers, or on the volumes that an earlier install left. Without a cluster, the lookups find nothing; the programs then refuse to start.
*/}}
{{- define "kapture.validateLive" -}}
{{- $claims := (lookup "v1" "PersistentVolumeClaim" .Release.Namespace "").items | default list }}
{{- range $server := list "kafka" "redis" "postgres" }}
{{- if include "kapture.own" (list $ $server) }}
{{- $live := lookup "apps/v1" "StatefulSet" $.Release.Namespace (include "kapture.fullname" (list $ $server)) | default dict }}
{{- include "kapture.validatePassword" (list $ $server) }}
{{- include "kapture.validateVolumes" (list $ $server $live $claims) }}
{{- if eq $server "kafka" }}
{{- include "kapture.validateBrokers" (list $ $live $claims) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Takes (list $ "server"). Returns a sentence if the existing Secret holds a different password than the given one. */ -}}
{{- define "kapture.validatePassword" -}}
{{- $root := index . 0 -}}
{{- $given := (index $root.Values (index . 1)).auth.password -}}
{{- $name := include "kapture.fullname" . -}}
{{- $there := dig "data" "password" "" (lookup "v1" "Secret" $root.Release.Namespace $name | default dict) -}}
{{- if and $given $there (ne ($given | b64enc) $there) }}
{{ index . 1 }}.auth.password is not the one in the Secret {{ $name }}, with which the volumes were created: leave it out, or change it there with `{{ include "kapture.newPassword" (list $root $name) }}`, and then restart all pods with `kubectl -n {{ $root.Release.Namespace }} delete pod --wait=false -l {{ include "kapture.everything" $root }}`
{{- end }}
{{- end -}}
{{- define "kapture.newPassword" -}}
kubectl -n {{ (index . 0).Release.Namespace }} patch secret {{ index . 1 }} -p '{"stringData":{"password":"NEW"}}'
{{- end -}}

{{- /* Takes (list $ "server" claims). Returns the server's own claims, found by the names that its StatefulSet gives them. */ -}}
{{- define "kapture.claimsOf" -}}
{{- $pattern := printf "^data-%s-[0-9]+$" (include "kapture.fullname" .) -}}
{{- $found := list -}}
{{- range index . 2 -}}
{{- if regexMatch $pattern .metadata.name -}}{{- $found = append $found . -}}{{- end -}}
{{- end -}}
{{- dict "items" $found | toYaml -}}
{{- end -}}

{{- /* Takes (list $ "server" live claims). Returns sentences about persistence, size and storage class. */ -}}
{{- define "kapture.validateVolumes" -}}
{{- $root := index . 0 -}}
{{- $server := index . 1 -}}
{{- $live := index . 2 -}}
{{- $wanted := (index $root.Values $server).persistence -}}
{{- $templates := dig "spec" "volumeClaimTemplates" list $live -}}
{{- $kept := (include "kapture.claimsOf" (list $root $server (index . 3)) | fromYaml).items -}}
{{- if and $live (ne $wanted.enabled (not (empty $templates))) }}
{{ $server }}.persistence.enabled can't be changed on a running install: leave it as it is, or uninstall first
{{- else if $wanted.enabled }}
{{- range ternary $templates $kept (not (empty $live)) }}
{{- $size := .spec.resources.requests.storage }}
{{- $class := get .spec "storageClassName" }}
{{- $bytes := include "kapture.bytes" $size }}
{{- if ne (include "kapture.bytes" $wanted.size) $bytes }}
{{- include "kapture.resize" (list $root $server $size $kept (gt (include "kapture.bytes" $wanted.size | int64) (int64 $bytes))) }}
{{- end }}
{{- if and $wanted.storageClass (ne (ternary "" $wanted.storageClass (eq $wanted.storageClass "-")) (toString ($class | default ""))) }}
{{ $server }}.persistence.storageClass can't be changed; the volume's is {{ $class | default "none" | quote }}: set it to that, or delete the volumes first
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Takes (list $ "server" size claims larger). Returns what to do when the size differs. */ -}}
{{- define "kapture.resize" -}}
{{- $root := index . 0 -}}
{{- $server := index . 1 -}}
{{- $kubectl := printf "kubectl -n %s" $root.Release.Namespace -}}
{{- $wanted := include "kapture.text" (index $root.Values $server).persistence.size }}
{{ $server }}.persistence.size={{ $wanted }} can't be set while the volumes have {{ index . 2 }}: set {{ $server }}.persistence.size={{ index . 2 }}
{{- if index . 4 }}; or, where the storage class allows it, make the volumes larger with `
{{- range index . 3 }}{{ $kubectl }} patch pvc {{ .metadata.name }} -p '{"spec":{"resources":{"requests":{"storage":"{{ $wanted }}"}}}}' && {{ end -}}
{{ $kubectl }} delete statefulset {{ include "kapture.fullname" (list $root $server) }} --cascade=orphan --ignore-not-found`, which stops no pod, and then repeat this command
{{- end }}
{{- end -}}

{{- /* Takes (list $ live claims). Returns sentences about brokers, controllers and partitions. */ -}}
{{- define "kapture.validateBrokers" -}}
{{- $root := index . 0 -}}
{{- $live := index . 1 -}}
{{- $kafka := $root.Values.kafka -}}
{{- $name := include "kapture.fullname" (list $root "kafka") -}}
{{- $kubectl := printf "kubectl -n %s" $root.Release.Namespace -}}
{{- $kept := list -}}
{{- if $kafka.persistence.enabled -}}{{- $kept = (include "kapture.claimsOf" (list $root "kafka" (index . 2)) | fromYaml).items -}}{{- end -}}
{{- $replicas := int $kafka.replicas -}}
{{- $brokers := int (dig "spec" "replicas" 0 $live) }}
{{- if and (lt $replicas $brokers) (ne (dig "metadata" "annotations" "kapture/replicas" "" $live) (toString $replicas)) }}
kafka.replicas={{ $replicas }} is fewer than the {{ $brokers }} brokers that are live and hold sales: drain the rest with `{{ $kubectl }} exec {{ $name }}-0 -c kafka -- sh /etc/kapture/rebalance.sh {{ $replicas }}`, stop them with `{{ $kubectl }} scale statefulset {{ $name }} --replicas={{ $replicas }}`, then upgrade again
{{- else if and (not $live) (gt (len $kept) $replicas) }}
kafka.replicas={{ $replicas }} is fewer than the {{ len $kept }} brokers whose volumes an earlier install left, with sales on them: set kafka.replicas={{ len $kept }}, or delete them all with `{{ $kubectl }} delete pvc -l {{ include "kapture.everything" $root }},app.kubernetes.io/component=kafka`
{{- end }}
{{- $chosen := dig "metadata" "annotations" dict $live }}
{{- range $kept }}{{ $chosen = merge $chosen (get .metadata "annotations" | default dict) }}{{ end }}
{{- range $annotation, $value := dict "kapture/controllers" "controllers" "kapture/sales-partitions" "salesPartitions" }}
{{- $was := get $chosen $annotation }}
{{- if and $was (ne $was (toString (int (get $kafka $value)))) }}
kafka.{{ $value }} can only be chosen at install, where it was {{ $was }}: set kafka.{{ $value }}={{ $was }}{{ if not $live }}, or delete the volumes that are left with `{{ $kubectl }} delete pvc -l {{ include "kapture.everything" $root }}`{{ end }}
{{- end }}
{{- end }}
{{- end -}}
