{{/* Takes a Kubernetes quantity (10Gi, 500M, 1.5Gi, 1073741824): its bytes. */}}
{{- define "kapture.bytes" -}}
{{- $text := ternary (printf "%.0f" (float64 .)) (toString .) (kindIs "float64" .) -}}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?" $text -}}
{{- $unit := trimPrefix $number $text -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000
  "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- if or (not $number) (not (hasKey $units $unit)) -}}
{{- fail (printf "%q is no size: write it like 512Mi or 10Gi" $text) -}}
{{- end -}}
{{- printf "%.0f" (mulf (float64 $number) (get $units $unit)) -}}
{{- end -}}

{{/* Takes a quantity of CPU (100m, 0.5, 2): its thousandths. */}}
{{- define "kapture.millicores" -}}
{{- $text := toString . -}}
{{- if hasSuffix "m" $text -}}
{{- trimSuffix "m" $text | int64 -}}
{{- else -}}
{{- printf "%.0f" (mulf (float64 $text) 1000) -}}
{{- end -}}
{{- end -}}

{{/* Takes (list quantity percent): that share of it in whole MiB. */}}
{{- define "kapture.mebibytes" -}}
{{- div (mul (include "kapture.bytes" (index . 0) | int64) (index . 1)) 104857600 -}}
{{- end -}}

{{/* Takes a number: its decimal digits. A million from a values file would be 1e+06. */}}
{{- define "kapture.number" -}}
{{- if eq (float64 .) (floor (float64 .)) -}}
{{- printf "%.0f" (float64 .) -}}
{{- else -}}
{{- regexReplaceAll "0+$" (printf "%.6f" (float64 .)) "" -}}
{{- end -}}
{{- end -}}
