{{/* Takes the root: the name that all objects begin with. */}}
{{- define "kapture.releaseName" -}}
{{- if contains "kapture" .Release.Name -}}
{{- .Release.Name | trunc 39 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-kapture" (.Release.Name | trunc 31 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{/* Takes (list $ "component"): the name of its objects. */}}
{{- define "kapture.fullname" -}}
{{- printf "%s-%s" (include "kapture.releaseName" (index . 0)) (index . 1) -}}
{{- end -}}

{{/* Takes (list $ "component"): the labels that never change, for selectors, pods and claims. */}}
{{- define "kapture.selectorLabels" -}}
app.kubernetes.io/name: kapture
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Takes (list $ "component"): the labels of an object, not of a pod: these change with the version. */}}
{{- define "kapture.labels" -}}
{{- $root := index . 0 -}}
{{ include "kapture.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{/* Takes (list $ image defaultTag): registry/repository, then the digest if there is one, else the tag. */}}
{{- define "kapture.imageOf" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := $root.Values.global.imageRegistry | default $image.registry | trimSuffix "/" -}}
{{- $version := ternary (printf "@%s" $image.digest) (printf ":%v" ($image.tag | default (index . 2))) (not (empty $image.digest)) -}}
{{- if $registry }}{{ $registry }}/{{ end }}{{ $image.repository }}{{ $version }}
{{- end -}}

{{/* Takes (list $ "program"): the image of one of Kapture's own programs. */}}
{{- define "kapture.image" -}}
{{- $root := index . 0 -}}
{{- $own := $root.Values.image -}}
{{- $repository := printf "%s/kapture-%s" $own.repository (index . 1) | trimPrefix "/" -}}
{{- $image := dict "registry" $own.registry "repository" $repository "tag" $own.tag "digest" (get $own.digests (index . 1)) -}}
{{- include "kapture.imageOf" (list $root $image $root.Chart.AppVersion) -}}
{{- end -}}

{{/*
Takes (list $ "component" replicas "Kind"): the replicas to render. A count that was changed by `kubectl scale`
stays until the value itself is changed; the annotation tells which value was applied last.
*/}}
{{- define "kapture.replicas" -}}
{{- $root := index . 0 -}}
{{- $wanted := int (index . 2) -}}
{{- $live := lookup "apps/v1" (index . 3) $root.Release.Namespace (include "kapture.fullname" (list $root (index . 1))) -}}
{{- $applied := dig "metadata" "annotations" "kapture/replicas" "" ($live | default dict) -}}
{{- if eq $applied (toString $wanted) -}}
{{- dig "spec" "replicas" $wanted $live -}}
{{- else -}}
{{- $wanted -}}
{{- end -}}
{{- end -}}

{{/*
Takes (list $ "component"): the password for the Secret of kafka, redis or postgres, in base64. What is there
stays, so that it goes on opening the volume that is kept beside it; then what was given; then chance.
*/}}
{{- define "kapture.password" -}}
{{- $root := index . 0 -}}
{{- $there := lookup "v1" "Secret" $root.Release.Namespace (include "kapture.fullname" .) -}}
{{- with dig "data" "password" "" ($there | default dict) -}}
{{- . -}}
{{- else -}}
{{- (index $root.Values (index . 1)).auth.password | default (randAlphaNum 32) | b64enc -}}
{{- end -}}
{{- end -}}

{{/* Takes (list $ "component"): where its password stands, as an env entry's `valueFrom`. */}}
{{- define "kapture.passwordRef" -}}
{{- $auth := (index (index . 0).Values (index . 1)).auth -}}
secretKeyRef:
{{- if $auth.existingSecret }}
  name: {{ $auth.existingSecret }}
  key: {{ $auth.secretKey }}
{{- else }}
  name: {{ include "kapture.fullname" . }}
  key: password
{{- end }}
{{- end -}}
