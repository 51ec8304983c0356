{{/* Takes (list string length). Returns the string cut to that length; a cut one ends in a hash, so that it stays unique. */}}
{{- define "kapture.cut" -}}
{{- $text := index . 0 -}}
{{- $length := int (index . 1) -}}
{{- if le (len $text) $length -}}
{{- $text -}}
{{- else -}}
{{- printf "%s-%s" ($text | trunc (int (sub $length 9)) | trimSuffix "-") ($text | sha256sum | trunc 8) -}}
{{- end -}}
{{- end -}}

{{/* Takes the root. Returns the label `app.kubernetes.io/name`. In a parent chart, it is the alias. */}}
{{- define "kapture.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end -}}

{{/* Takes the root. Returns the prefix of the names of all objects, at most 39 characters. */}}
{{- define "kapture.releaseName" -}}
{{- $name := include "kapture.name" . -}}
{{- $full := .Release.Name -}}
{{- /* A Service's name must begin with a letter. */ -}}
{{- if or (not (contains $name $full)) (not (regexMatch "^[a-z]" $full)) -}}
{{- $full = ternary (printf "%s-%s" $full $name) (printf "%s-%s" $name $full) (regexMatch "^[a-z]" $full) -}}
{{- end -}}
{{- .Values.fullnameOverride | default (include "kapture.cut" (list $full 39)) -}}
{{- end -}}

{{/* Takes (list $ "component"). Returns the name of its objects. */}}
{{- define "kapture.fullname" -}}
{{- printf "%s-%s" (include "kapture.releaseName" (index . 0)) (index . 1) -}}
{{- end -}}

{{/*
Takes the root. Returns a name that no other release in this cluster has. Followed by `_`, it is not a prefix of any other
release's either: namespaces and releases contain no underscores, and releases with a dot are refused.
*/}}
{{- define "kapture.identity" -}}
{{- $name := include "kapture.name" . -}}
{{- .Release.Namespace }}_{{ .Release.Name }}{{ if ne $name "kapture" }}.{{ $name }}{{ end }}
{{- end -}}

{{/* Takes the root. Returns the prefix of everything that Kapture creates in an external Kafka or Redis. */}}
{{- define "kapture.foreignPrefix" -}}
{{- printf "%s_" (include "kapture.identity" .) -}}
{{- end -}}

{{/* Takes (list $ "component"). Returns the labels that never change, for selectors and claims. */}}
{{- define "kapture.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kapture.name" (index . 0) | quote }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 | quote }}
{{- end -}}

{{/* Takes a string. Returns it as a label's value, where some characters of a version (such as `+`) are not allowed. */}}
{{- define "kapture.labelValue" -}}
{{- regexReplaceAll "[^A-Za-z0-9_.-]" . "_" | trunc 63 | trimAll "-_." -}}
{{- end -}}

{{/* Takes (list $ "component"). Returns the labels of an object. Not for pods: they change with the version. */}}
{{- define "kapture.labels" -}}
{{- $root := index . 0 -}}
{{ include "kapture.selectorLabels" . }}
app.kubernetes.io/version: {{ include "kapture.labelValue" $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service | quote }}
helm.sh/chart: {{ include "kapture.labelValue" (printf "%s-%s" $root.Chart.Name $root.Chart.Version) | quote }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes the root. Returns the name of the service account of all pods. */}}
{{- define "kapture.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "kapture.releaseName" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* Takes the root. Returns the label selector that matches everything of this release, but nothing of a parent chart. */}}
{{- define "kapture.everything" -}}
app.kubernetes.io/name={{ include "kapture.name" . }},app.kubernetes.io/instance={{ .Release.Name }}
{{- end -}}
