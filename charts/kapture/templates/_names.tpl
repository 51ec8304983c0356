{{/* Takes (list string length): the string, cut to that length; what is cut is replaced by a hash, so that it stays unique. */}}
{{- define "kapture.cut" -}}
{{- $text := index . 0 -}}
{{- $length := int (index . 1) -}}
{{- if le (len $text) $length -}}
{{- $text -}}
{{- else -}}
{{- printf "%s-%s" ($text | trunc (int (sub $length 9)) | trimSuffix "-") ($text | sha256sum | trunc 8) -}}
{{- end -}}
{{- end -}}

{{/* Takes the root: the label `app.kubernetes.io/name`. In a parent chart, an alias's own name. */}}
{{- define "kapture.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end -}}

{{/* Takes the root: the name that all objects begin with, of 39 characters at most. */}}
{{- define "kapture.releaseName" -}}
{{- $name := include "kapture.name" . -}}
{{- $full := .Release.Name -}}
{{- /* A Service's name begins with a letter. */ -}}
{{- if or (not (contains $name $full)) (not (regexMatch "^[a-z]" $full)) -}}
{{- $full = ternary (printf "%s-%s" $full $name) (printf "%s-%s" $name $full) (regexMatch "^[a-z]" $full) -}}
{{- end -}}
{{- .Values.fullnameOverride | default (include "kapture.cut" (list $full 39)) -}}
{{- end -}}

{{/* Takes (list $ "component"): the name of its objects. */}}
{{- define "kapture.fullname" -}}
{{- printf "%s-%s" (include "kapture.releaseName" (index . 0)) (index . 1) -}}
{{- end -}}

{{/*
Takes the root: what no other release in this cluster has, and what begins no other's when `_` follows: neither a namespace
nor a release holds an underscore, and no release that is admitted holds a dot.
*/}}
{{- define "kapture.identity" -}}
{{- $name := include "kapture.name" . -}}
{{- .Release.Namespace }}_{{ .Release.Name }}{{ if ne $name "kapture" }}.{{ $name }}{{ end }}
{{- end -}}

{{/* Takes the root: what everything begins with that Kapture has in a Kafka or Redis that is somebody else's. */}}
{{- define "kapture.foreignPrefix" -}}
{{- printf "%s_" (include "kapture.identity" .) -}}
{{- end -}}

{{/* Takes (list $ "component"): the labels that never change, for selectors and claims. */}}
{{- define "kapture.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kapture.name" (index . 0) | quote }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 | quote }}
{{- end -}}

{{/* Takes a string: the same as a label's value, which can't hold everything that a version can (`+`, for one). */}}
{{- define "kapture.labelValue" -}}
{{- regexReplaceAll "[^A-Za-z0-9_.-]" . "_" | trunc 63 | trimAll "-_." -}}
{{- end -}}

{{/* Takes (list $ "component"): the labels of an object, not of a pod: these change with the version. */}}
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

{{/* Takes the root: the name of the account of all pods. */}}
{{- define "kapture.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "kapture.releaseName" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* Takes the root: the labels by which kubectl finds everything of this release, and nothing of a parent chart's. */}}
{{- define "kapture.everything" -}}
app.kubernetes.io/name={{ include "kapture.name" . }},app.kubernetes.io/instance={{ .Release.Name }}
{{- end -}}
