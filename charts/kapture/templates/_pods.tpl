{{/*
Takes (list $ "component"): what every pod spec begins with: the restricted Pod Security Standard, nothing
injected, and the settings that all pods share.
*/}}
{{- define "kapture.podDefaults" -}}
{{- $root := index . 0 -}}
automountServiceAccountToken: false
# Off, since a Service named kafka would inject KAFKA_PORT, which the programs refuse.
enableServiceLinks: false
{{- $secrets := concat ($root.Values.global.imagePullSecrets | default list) $root.Values.imagePullSecrets }}
{{- with $secrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ if kindIs "map" . }}{{ .name }}{{ else }}{{ . }}{{ end }}
  {{- end }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Takes a user id: the pod's security context; the group is the same, and owns the volumes. */}}
{{- define "kapture.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Takes nothing: the container's security context. */}}
{{- define "kapture.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
{{- end -}}

{{/* Takes (list $ "component"): labels and annotations of a pod. Nothing here changes with a version. */}}
{{- define "kapture.podLabels" -}}
{{ include "kapture.selectorLabels" . }}
{{- with (index . 0).Values.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
Takes (list $ "path of a ConfigMap's template" or ""): the pod's annotations. A changed ConfigMap rolls its pods;
only its data counts, since its labels change with each version of the chart.
*/}}
{{- define "kapture.podAnnotations" -}}
{{- $root := index . 0 -}}
{{- $annotations := deepCopy $root.Values.podAnnotations -}}
{{- with index . 1 -}}
{{- $data := (include (printf "%s/%s" $root.Template.BasePath .) $root | fromYaml).data -}}
{{- $_ := set $annotations "checksum/config" (toYaml $data | sha256sum) -}}
{{- end -}}
{{- with $annotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Takes (list $ "component"): spreads its pods over the nodes where that is possible. */}}
{{- define "kapture.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "kapture.selectorLabels" . | nindent 6 }}
{{- end -}}

{{/* Takes a `resources` value: the same with memory requested as it is limited. */}}
{{- define "kapture.resources" -}}
{{- $resources := deepCopy . -}}
{{- if not (dig "requests" "memory" "" $resources) -}}
{{- $_ := set $resources "requests" (set ($resources.requests | default dict) "memory" $resources.limits.memory) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{/* Takes nothing: the port and the probes that every program has. */}}
{{- define "kapture.admin" -}}
ports:
  - {name: admin, containerPort: 8080}
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 3
  timeoutSeconds: 3
{{- end -}}

{{/* Takes a `persistence` value: the spec of its claim. */}}
{{- define "kapture.claim" -}}
accessModes: [ReadWriteOnce]
{{- with .storageClass }}
storageClassName: {{ if eq . "-" }}""{{ else }}{{ . }}{{ end }}
{{- end }}
resources:
  requests:
    storage: {{ .size }}
{{- end -}}
