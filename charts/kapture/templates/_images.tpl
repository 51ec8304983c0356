{{/* Takes (list $ image defaultTag). Returns the full reference, with the digest if there is one, else the tag. */}}
{{- define "kapture.imageOf" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := $root.Values.global.imageRegistry | default $image.registry | trimSuffix "/" -}}
{{- $version := ternary (printf "@%s" $image.digest) (printf ":%s" ($image.tag | default (index . 2))) (not (empty $image.digest)) -}}
{{- printf "%s%s%s" (ternary "" (printf "%s/" $registry) (empty $registry)) $image.repository $version | quote -}}
{{- end -}}

{{/* Takes (list $ "program"). Returns the image of one of Kapture's own programs. Unlike an appVersion, a tag can't contain `+`. */}}
{{- define "kapture.image" -}}
{{- $root := index . 0 -}}
{{- $program := index . 1 -}}
{{- $own := $root.Values.image -}}
{{- $repository := printf "%s/kapture-%s" $own.repository $program | trimPrefix "/" -}}
{{- $tag := ternary $root.Values.probe.tag $own.tag (eq $program "probe") -}}
{{- $image := dict "registry" $own.registry "repository" $repository "tag" $tag "digest" (get $own.digests $program) -}}
{{- include "kapture.imageOf" (list $root $image (regexReplaceAll "[^A-Za-z0-9_.-]" $root.Chart.AppVersion "_" | trunc 128 | trimAll "-.")) -}}
{{- end -}}

{{/* Takes the root. Returns the names of the secrets for pulling images, without duplicates. */}}
{{- define "kapture.pullSecrets" -}}
{{- $names := list -}}
{{- range concat .Values.global.imagePullSecrets .Values.imagePullSecrets -}}
{{- $name := . -}}
{{- if kindIs "map" . -}}{{- $name = .name -}}{{- end -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- uniq $names | compact | toYaml -}}
{{- end -}}
