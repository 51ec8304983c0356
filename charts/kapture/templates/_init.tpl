{{/*
Takes the root. Every template begins with this: it replaces null and missing values by their defaults, so that no template
meets a nil, and refuses values that can't work. It runs only once, because the templates share their values.
*/}}
{{- define "kapture.init" -}}
{{- if not (hasKey .Values "initialized") -}}
{{- /* Helm drops a null together with its default, and templates can't read values.yaml: hence this copy, made by ./generate. */ -}}
{{- include "kapture.fill" (list .Values (.Files.Get "files/defaults.json" | fromJson)) -}}
{{- $_ := set .Values "initialized" true -}}
{{- $wrong := include "kapture.validate" . | splitList "\n" | uniq | compact -}}
{{- if $wrong -}}
{{- fail (printf "these values can't work:\n%s" (join "\n" $wrong)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Takes (list values defaults). Adds the missing values to `values`. A removed CPU limit stays removed. */}}
{{- define "kapture.fill" -}}
{{- $values := index . 0 -}}
{{- range $key, $default := index . 1 -}}
{{- $value := get $values $key -}}
{{- if and (hasKey $values $key) (kindIs "map" $default) (kindIs "map" $value) -}}
{{- if or (ne $key "limits") (not (empty $value)) -}}
{{- $wanted := ternary (omit $default "cpu") $default (eq $key "limits") -}}
{{- include "kapture.fill" (list $value $wanted) -}}
{{- else -}}
{{- $_ := set $values $key $default -}}
{{- end -}}
{{- else if or (not (hasKey $values $key)) (kindIs "invalid" $value) -}}
{{- $_ := set $values $key $default -}}
{{- end -}}
{{- end -}}
{{- end -}}
