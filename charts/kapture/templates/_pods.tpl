{{/*
Takes (list $ "component"). Returns the shared pod settings overridden by the component's own, as YAML. Maps are merged, other
settings replaced. Environment variables are not included, because which of them apply depends on the container.
*/}}
{{- define "kapture.settings" -}}
{{- $root := index . 0 -}}
{{- $own := include "kapture.at" (list $root (include "kapture.path" .)) | fromYaml -}}
{{- $settings := dict -}}
{{- range $key := list "podLabels" "podAnnotations" "nodeSelector" "podSecurityContext" "securityContext" -}}
{{- $_ := set $settings $key (mergeOverwrite (deepCopy (index $root.Values $key)) (get $own $key | default dict)) -}}
{{- end -}}
{{- range $key := list "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" -}}
{{- $_ := set $settings $key (get $own $key | default (index $root.Values $key)) -}}
{{- end -}}
{{- range $key, $name := dict "extraVolumes" "name" "extraVolumeMounts" "mountPath" -}}
{{- $all := dict -}}
{{- range concat (index $root.Values $key) (get $own $key | default list) -}}
{{- $_ := set $all (get . $name) . -}}
{{- end -}}
{{- $list := list -}}
{{- range $all -}}{{- $list = append $list . -}}{{- end -}}
{{- $_ := set $settings $key $list -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{/*
Takes (list $ "component" "path of its ConfigMap's template" or ""). Returns a pod's labels and annotations, none of which changes
with the version. A changed ConfigMap rolls its pods. Only its data is hashed, because its labels change with each chart version.
*/}}
{{- define "kapture.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $settings := include "kapture.settings" . | fromYaml -}}
{{- $annotations := $settings.podAnnotations -}}
{{- with index . 2 -}}
{{- $data := (include (printf "%s/%s" $root.Template.BasePath .) $root | fromYaml).data -}}
{{- $_ := set $annotations "checksum/config" (toYaml $data | sha256sum) -}}
{{- end -}}
labels:
  {{- include "kapture.selectorLabels" . | nindent 2 }}
  {{- with mergeOverwrite (deepCopy $root.Values.commonLabels) $settings.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
Takes (list $ "component" userId). Returns the beginning of a pod spec: the restricted Pod Security Standard, nothing injected,
and the settings of the component.
*/}}
{{- define "kapture.podSpec" -}}
{{- $root := index . 0 -}}
{{- $settings := include "kapture.settings" . | fromYaml -}}
serviceAccountName: {{ include "kapture.serviceAccount" $root | quote }}
automountServiceAccountToken: false
# Disabled, because a Service named kafka would inject KAFKA_PORT, which the programs refuse.
enableServiceLinks: false
securityContext:
  {{- include "kapture.podSecurity" (list $root (index . 2) $settings.podSecurityContext) | nindent 2 }}
{{- with include "kapture.pullSecrets" $root | fromYamlArray }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with $settings.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $settings.tolerations }}
tolerations:
  {{- range . }}
  - {{ if hasKey . "value" }}{{ $_ := set . "value" (include "kapture.text" .value) }}{{ end }}{{ toYaml . | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- with $settings.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $settings.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- include "kapture.spread" (list $root (index . 1) $settings.topologySpreadConstraints) }}
{{- end -}}

{{/* Takes (list $ userId overrides). Returns the pod's security context; the group has the same id and owns the volumes. */}}
{{- define "kapture.podSecurity" -}}
{{- $id := index . 1 -}}
{{- $context := dict "runAsNonRoot" true "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- if not (index . 0).Values.platformUserIds -}}
{{- $context = merge $context (dict "runAsUser" $id "runAsGroup" $id "fsGroup" $id) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $context (index . 2)) -}}
{{- end -}}

{{/* Takes (list $ "component" constraints). Returns its topologySpreadConstraints, if it has any. */}}
{{- define "kapture.spread" -}}
{{- $component := index . 1 -}}
{{- $selector := dict "matchLabels" (include "kapture.selectorLabels" . | fromYaml) -}}
{{- $default := list -}}
{{- $keys := list "kubernetes.io/hostname" -}}
{{- if eq $component "kafka" -}}{{- $keys = append $keys "topology.kubernetes.io/zone" -}}{{- end -}}
{{- if not (has $component (list "postgres" "auditor" "exporter" "benchmark" "test")) -}}
{{- range $keys -}}
{{- $default = append $default (dict "maxSkew" 1 "topologyKey" . "whenUnsatisfiable" "ScheduleAnyway") -}}
{{- end -}}
{{- end -}}
{{- with index . 2 | default $default }}
topologySpreadConstraints:
  {{- range . }}
  {{- $one := merge (deepCopy .) (dict "maxSkew" 1 "whenUnsatisfiable" "ScheduleAnyway") }}
  {{- if not .labelSelector }}{{ $_ := set $one "labelSelector" $selector }}{{ end }}
  {{- $_ := set $one "maxSkew" (int $one.maxSkew) }}
  - {{ toYaml $one | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Takes (list $ "component"). Returns its extra volumes, to go under `volumes`. */}}
{{- define "kapture.extraVolumes" -}}
{{- with (include "kapture.settings" . | fromYaml).extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes (list $ "component"). Returns a program's whole `volumes`: only the extra ones, or nothing. */}}
{{- define "kapture.programVolumes" -}}
{{- with include "kapture.extraVolumes" . }}
volumes:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}
