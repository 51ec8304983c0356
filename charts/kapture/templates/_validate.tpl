{{/*
Takes the root. Returns a line for each thing that can't work, with its remedy. The schema has already checked types and single
values; this checks combinations, and whatever needs a sentence to explain.
*/}}
{{- define "kapture.validate" -}}
{{- include "kapture.validateNames" . }}
{{ include "kapture.validateKinds" . }}
{{ include "kapture.validateKafka" . }}
{{ include "kapture.validateForeignKafka" . }}
{{ include "kapture.validateAddresses" . }}
{{ include "kapture.validateLoad" . }}
{{ include "kapture.validateAutoscaling" . }}
{{- include "kapture.validateDuration" (list "benchmark.latencyLimit" .Values.benchmark.latencyLimit "10ms" "1h") }}
{{- include "kapture.validateDuration" (list "benchmark.elasticity.within" .Values.benchmark.elasticity.within "10s" "2h") }}
{{ include "kapture.validateElasticity" . }}
{{ include "kapture.validateMisbehaviour" . }}
{{ include "kapture.validateStores" . }}
{{ include "kapture.validateResources" . }}
{{ include "kapture.validateLive" . }}
{{- end -}}

{{- define "kapture.validateNames" -}}
{{- $label := "^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$" -}}
{{- if contains "." .Release.Name }}
the release is called {{ .Release.Name | quote }}, but the name of a Service can't contain a dot: install it under another name, such as {{ .Release.Name | replace "." "-" }}
{{- end }}
{{- if not (regexMatch $label (include "kapture.name" .)) }}
{{ include "kapture.name" . | quote }} can't be the beginning of object names: set nameOverride, or the alias of the chart, to lower-case letters, digits and "-"
{{- end }}
{{- range $key := list "commonLabels" "podLabels" }}
{{- range $label, $_ := index $.Values $key }}
{{- include "kapture.validateLabel" (list $key $label) }}
{{- end }}
{{- end }}
{{- include "kapture.validatePods" (list "" .Values .Values.extraVolumes) }}
{{- range include "kapture.parts" . | fromYamlArray }}
{{- $path := .values }}
{{- $own := include "kapture.at" (list $ $path) | fromYaml }}
{{- range $label, $_ := $own.podLabels | default dict }}
{{- include "kapture.validateLabel" (list (printf "%s.podLabels" $path) $label) }}
{{- end }}
{{- include "kapture.validatePods" (list (printf "%s." $path) $own (concat $.Values.extraVolumes ($own.extraVolumes | default list))) }}
{{- end }}
{{- end -}}

{{- define "kapture.validateKinds" -}}
{{- range $path, $image := dict "image" .Values.image "kafka.image" .Values.kafka.image "redis.image" .Values.redis.image "postgres.image" .Values.postgres.image "probe" .Values.probe }}
{{- if not (kindIs "string" $image.tag) }}
{{ $path }}.tag is the number {{ include "kapture.text" $image.tag }} in YAML, which may have dropped zeros: write it in quotes, or use --set-string
{{- end }}
{{- if not (or (eq $path "image") $image.tag (get $image "digest")) }}
{{ $path }}.tag is empty: set it, or omit it to get the default
{{- end }}
{{- end }}
{{- if not (kindIs "string" .Values.global.imageRegistry) }}
global.imageRegistry is not a string: set it to a registry, such as registry.example/mirror
{{- else if or (gt (len .Values.global.imageRegistry) 100) (not (regexMatch "^(([A-Za-z0-9][A-Za-z0-9.-]*|\\[[0-9A-Fa-f:]+\\])(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*/?)?$" .Values.global.imageRegistry)) }}
global.imageRegistry={{ toJson .Values.global.imageRegistry }} is not a registry: write registry.example or registry.example:5000/mirror, without https://, at most 100 characters
{{- end }}
{{- if not (kindIs "slice" .Values.global.imagePullSecrets) }}
global.imagePullSecrets is not a list: write [{name: x}] or [x]
{{- else }}
{{- range .Values.global.imagePullSecrets }}
{{- $name := . }}
{{- if kindIs "map" . }}{{ $name = get . "name" }}{{ end }}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$" (ternary $name "" (kindIs "string" $name))) }}
global.imagePullSecrets contains {{ toJson . }}: write the name of a Secret, or {name: x}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "kapture.validateKafka" -}}
{{- if include "kapture.own" (list . "kafka") }}
{{- $kafka := .Values.kafka }}
{{- $replicas := int $kafka.replicas }}
{{- $controllers := int $kafka.controllers }}
{{- if lt $replicas $controllers }}
kafka.replicas={{ $replicas }} is fewer than kafka.controllers={{ $controllers }}: set kafka.controllers=1 (at install only) or kafka.replicas={{ $controllers }}
{{- else if eq $replicas 2 }}
kafka.replicas=2 would lose acknowledged sales, or stop accepting them, when one broker fails: set kafka.replicas to 1, or to 3 or more
{{- end }}
{{- if $kafka.external.bootstrapServers }}
kafka.external.bootstrapServers is given, but Kapture's own Kafka is enabled: set kafka.enabled=false to use yours, or leave it out
{{- end }}
{{- $volume := include "kapture.bytes" $kafka.persistence.size | int64 }}
{{- if lt $volume 1073741824 }}
kafka.persistence.size={{ $kafka.persistence.size }} is too small for the open segments of 75 partitions: set 1Gi or more
{{- else if gt (include "kapture.retentionBytes" . | int64) (div (mul $volume 85) 100) }}
kafka.retentionBytes={{ int64 $kafka.retentionBytes }} would fill kafka.persistence.size={{ $kafka.persistence.size }}: leave it out to keep 80 % of the volume
{{- end }}
{{- range $key, $_ := $kafka.config }}
{{- if regexMatch "^(node[.]id|process[.]roles|broker[.]id|log[.]dirs?|config[.]providers.*|.*listener.*|controller[.]quorum[.].*|.*sasl.*|min[.]insync[.]replicas|.*replication[.]factor|transaction[.]state[.]log[.]min[.]isr|unclean[.]leader[.]election[.]enable|auto[.]create[.]topics[.]enable)$" $key }}
kafka.config can't set {{ $key }}, which the chart controls: leave it out
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "kapture.validateForeignKafka" -}}
{{- if not .Values.kafka.enabled }}
{{- $kafka := .Values.kafka }}
{{- if not $kafka.external.bootstrapServers }}
kafka.enabled=false needs to know which Kafka to use: set kafka.external.bootstrapServers=host:9092
{{- end }}
{{- if and $kafka.external.username (not $kafka.auth.existingSecret) (not $kafka.auth.password) }}
kafka.external.username needs a password: set kafka.auth.existingSecret to a Secret that holds it
{{- end }}
{{- if gt (int $kafka.external.minInsyncReplicas) (int $kafka.external.replicationFactor) }}
kafka.external.minInsyncReplicas={{ int $kafka.external.minInsyncReplicas }} is more than kafka.external.replicationFactor={{ int $kafka.external.replicationFactor }}: nothing would be acknowledged; lower it
{{- end }}
{{- end }}
{{- end -}}

{{- define "kapture.validateLoad" -}}
{{- $loader := .Values.loader }}
{{- if or (lt (float64 $loader.rate) 0.000001) (gt (float64 $loader.rate) 1000000.0) }}
loader.rate={{ $loader.rate }} is not a rate that a loader can keep: use 0.000001 to 1000000 sales per second, such as 100
{{- end }}
{{- if or (lt (float64 $loader.catchUp) 1.0) (gt (float64 $loader.catchUp) 1000.0) }}
loader.catchUp={{ $loader.catchUp }} would mean never catching up, or catching up all at once: set 1 to 1000, such as 2
{{- end }}
{{- $shape := $loader.shape }}
{{- if or (lt (float64 $shape.high) 1.0) (gt (float64 $shape.high) 1000.0) }}
loader.shape.high={{ $shape.high }} is not a multiple of the rate that a spike can reach: set 1 to 1000, such as 3
{{- end }}
{{- include "kapture.validateDuration" (list "loader.shape.period" $shape.period "1s" "31d") }}
{{- include "kapture.validateDuration" (list "loader.shape.length" $shape.length "1s" "31d") }}
{{- if and (eq $shape.kind "rates") (not $shape.rates) }}
loader.shape.kind=rates needs the list: add --set-file loader.shape.rates=FILE, with lines such as `90s 250`
{{- end }}
{{- if and (ne $shape.kind "rates") $shape.rates }}
loader.shape.rates has no effect with loader.shape.kind={{ $shape.kind }}: set loader.shape.kind=rates
{{- end }}
{{- if and (eq $loader.via "webapp") (not .Values.webapp.enabled) }}
loader.via=webapp needs the shop: set webapp.enabled=true as well
{{- end }}
{{- include "kapture.validateDuration" (list "loader.linger" $loader.linger "0ms" "1s") }}
{{- include "kapture.validateDuration" (list "loader.stopAfter" $loader.stopAfter "1s" "3650d") }}
{{- /* Kafka aborts a transaction after 10 s: one that stays open for more than half of that may never be committed. */ -}}
{{- include "kapture.validateDuration" (list "etl.fanOut.transactionInterval" .Values.etl.fanOut.transactionInterval "1ms" "5s") }}
{{- $partitions := int .Values.kafka.salesPartitions }}
{{- if gt (int .Values.etl.fanOut.replicas) $partitions }}
etl.fanOut.replicas={{ int .Values.etl.fanOut.replicas }} is more than kafka.salesPartitions={{ $partitions }}, the rest would be idle: set etl.fanOut.replicas={{ $partitions }}
{{- end }}
{{- end -}}

{{- /* Takes (list path duration least most). Returns a sentence if the duration is out of bounds. */ -}}
{{- define "kapture.validateDuration" -}}
{{- $milliseconds := include "kapture.milliseconds" (index . 1) | float64 }}
{{- if or (lt $milliseconds (include "kapture.milliseconds" (index . 2) | float64)) (gt $milliseconds (include "kapture.milliseconds" (index . 3) | float64)) }}
{{ index . 0 }}={{ index . 1 }} is out of bounds: use {{ index . 2 }} to {{ index . 3 }}
{{- end }}
{{- end -}}

{{- define "kapture.validateStores" -}}
{{- range $store := list "kafka" "redis" "postgres" }}
{{- $values := index $.Values $store }}
{{- if and $values.auth.existingSecret $values.auth.password }}
{{ $store }}.auth.password and {{ $store }}.auth.existingSecret are both given: leave one out
{{- end }}
{{- if and (get $values.external "host") (not $values.enabled) }}
{{ $store }}.external.host is given, but {{ $store }}.enabled is false: set {{ $store }}.enabled=true, or leave the host out
{{- end }}
{{- end }}
{{- $postgres := .Values.postgres }}
{{- if and $postgres.enabled $postgres.external.host (not $postgres.auth.existingSecret) (not $postgres.auth.password) }}
postgres.external.host needs a password: set postgres.auth.existingSecret to a Secret that holds it
{{- end }}
{{- /* The state topics hold 30 % of kafka.retentionBytes, at 600 bytes a sale. A row takes 640 bytes, dead rows that are not yet
       vacuumed a fifth more, and the WAL an eighth of the volume. */ -}}
{{- if include "kapture.own" (list . "postgres") }}
{{- $needed := max (div (include "kapture.retentionBytes" . | int64) 2) 536870912 }}
{{- if lt (include "kapture.bytes" $postgres.persistence.size | int64) (int64 $needed) }}
postgres.persistence.size={{ $postgres.persistence.size }} is too small for the sales that Kafka keeps: set postgres.persistence.size={{ div (add $needed 1048575) 1048576 }}Mi or more, or keep fewer with kafka.retentionBytes
{{- end }}
{{- end }}
{{- if and (include "kapture.own" (list . "redis")) .Values.redis.maxMemory }}
{{- $limit := .Values.redis.resources.limits.memory }}
{{- $data := include "kapture.bytes" .Values.redis.maxMemory | int64 }}
{{- if gt $data (div (mul (include "kapture.bytes" $limit | int64) 85) 100) }}
redis.maxMemory={{ .Values.redis.maxMemory }} leaves too little of redis.resources.limits.memory={{ $limit }} for the server itself: keep it below 85 %, or raise the limit
{{- else if lt $data 8388608 }}
redis.maxMemory={{ .Values.redis.maxMemory }} is too small for any sales: set 8Mi or more, or leave it out to use 60 % of the memory limit
{{- end }}
{{- end }}
{{- end -}}
