{{/*
Takes the root: what every template begins with. Fills in the default wherever a value is null or missing, so that no template
meets a nil, and refuses values that can't work. It does so once: templates share their values.
*/}}
{{- define "kapture.init" -}}
{{- if not (hasKey .Values "initialized") -}}
{{- /* Helm drops a null together with its default, and shows templates no values.yaml: hence a copy, by ./generate. */ -}}
{{- include "kapture.fill" (list .Values (.Files.Get "files/defaults.json" | fromJson)) -}}
{{- $_ := set .Values "initialized" true -}}
{{- $wrong := include "kapture.validate" . | splitList "\n" | uniq | compact -}}
{{- if $wrong -}}
{{- fail (printf "these values can't work:\n%s" (join "\n" $wrong)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Takes (list values defaults): adds to the values what they lack. A removed CPU limit stays removed. */}}
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
