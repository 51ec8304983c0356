{{/* Takes a number, boolean or string. Returns its text. Helm itself would print a million from a values file as 1e+06. */}}
{{- define "kapture.text" -}}
{{- if or (kindIs "float64" .) (kindIs "int" .) (kindIs "int64" .) -}}
{{- include "kapture.number" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* Takes a number, or a string that contains one. Returns it in decimal notation, with up to six decimals. */}}
{{- define "kapture.number" -}}
{{- if eq (float64 .) (floor (float64 .)) -}}
{{- printf "%.0f" (float64 .) -}}
{{- else -}}
{{- regexReplaceAll "[.]?0+$" (printf "%.6f" (float64 .)) "" -}}
{{- end -}}
{{- end -}}

{{/* Takes a Kubernetes quantity (10Gi, 500M, 1.5Gi, 1073741824). Returns its bytes. */}}
{{- define "kapture.bytes" -}}
{{- $text := include "kapture.text" . -}}
{{- $number := regexFind "^[0-9]*([.][0-9]+)?" $text -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000
  "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- /* At most what a float represents exactly, so that the sum of two doesn't overflow. */ -}}
{{- printf "%.0f" (minf 9007199254740991 (mulf (float64 $number) (get $units (trimPrefix $number $text)))) -}}
{{- end -}}

{{/* Takes a quantity of CPU (100m, 0.5, 2). Returns its millicores. */}}
{{- define "kapture.millicores" -}}
{{- $text := include "kapture.text" . -}}
{{- if hasSuffix "m" $text -}}
{{- printf "%.0f" (trimSuffix "m" $text | float64) -}}
{{- else -}}
{{- printf "%.0f" (mulf (float64 $text) 1000) -}}
{{- end -}}
{{- end -}}

{{/* Takes (list quantity percent). Returns that share of it in whole MiB. */}}
{{- define "kapture.mebibytes" -}}
{{- div (mul (include "kapture.bytes" (index . 0) | int64) (index . 1)) 104857600 -}}
{{- end -}}

{{/* Takes a duration (1h 30m, 100ms). Returns its milliseconds. */}}
{{- define "kapture.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- $total := 0.0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h|d)" . -1 -}}
{{- $number := regexFind "^[0-9]+" . -}}
{{- $total = addf $total (mulf (float64 $number) (get $units (trimPrefix $number .))) -}}
{{- end -}}
{{- printf "%.0f" $total -}}
{{- end -}}
