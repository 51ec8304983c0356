{{/* Takes (list $ "component"). Returns the container's security context. */}}
{{- define "kapture.containerSecurity" -}}
{{- $context := dict "allowPrivilegeEscalation" false "capabilities" (dict "drop" (list "ALL")) "readOnlyRootFilesystem" true -}}
{{- $overrides := (include "kapture.settings" . | fromYaml).securityContext -}}
{{- toYaml (mergeOverwrite $context $overrides) -}}
{{- end -}}

{{/*
Takes (list $ resources). Returns a container's requests and limits. The memory request defaults to the limit; with
`guaranteed`, all requests equal the limits.
*/}}
{{- define "kapture.resources" -}}
{{- $limits := dict -}}
{{- $requests := dict -}}
{{- range $name, $quantity := (index . 1).limits -}}
{{- if not (kindIs "invalid" $quantity) -}}{{- $_ := set $limits $name (include "kapture.text" $quantity) -}}{{- end -}}
{{- end -}}
{{- range $name, $quantity := (index . 1).requests -}}
{{- if not (kindIs "invalid" $quantity) -}}{{- $_ := set $requests $name (include "kapture.text" $quantity) -}}{{- end -}}
{{- end -}}
{{- $requests = merge $requests (dict "memory" $limits.memory) -}}
{{- if (index . 0).Values.guaranteed -}}{{- $requests = mergeOverwrite $requests $limits -}}{{- end -}}
{{- dict "limits" $limits "requests" $requests | toYaml -}}
{{- end -}}

{{/*
Takes (list $ "component" "program" env). Returns the container of one of Kapture's own programs, except for its name and
arguments. The shared `extraEnv` does not reach the probe, because changing it would restart the pod's server.
*/}}
{{- define "kapture.program" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $program := index . 2 -}}
{{- $path := ternary "probe" (include "kapture.path" .) (eq $program "probe") -}}
{{- $own := include "kapture.at" (list $root $path) | fromYaml -}}
{{- $shared := ternary list $root.Values.extraEnv (eq $program "probe") -}}
image: {{ include "kapture.image" (list $root $program) }}
imagePullPolicy: {{ $root.Values.image.pullPolicy | quote }}
env:
  {{- include "kapture.withExtraEnv" (list (index . 3) $shared ($own.extraEnv | default list)) | nindent 2 }}
{{- if ne $component "test" }}
ports:
  - {name: admin, containerPort: 8080}
{{- end }}
{{- if not (has $component (list "benchmark" "test")) }}
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 3
  timeoutSeconds: 3
{{- end }}
securityContext:
  {{- include "kapture.containerSecurity" (list $root $component) | nindent 2 }}
resources:
  {{- include "kapture.resources" (list $root $own.resources) | nindent 2 }}
{{- end -}}

{{/* Takes (list $ "component"). Returns the extra mounts of its main container, to go under `volumeMounts`. */}}
{{- define "kapture.extraMounts" -}}
{{- with (include "kapture.settings" . | fromYaml).extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes (list $ "component"). Returns a program's whole `volumeMounts`: only the extra ones, or nothing. */}}
{{- define "kapture.programMounts" -}}
{{- with include "kapture.extraMounts" . }}
volumeMounts:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
Takes (list env shared own). Returns the environment of a container: `env`, which is what the chart sets, as YAML text, and then
the user's variables, where the component's own replace shared ones of the same name.
*/}}
{{- define "kapture.withExtraEnv" -}}
{{- $chart := index . 0 | fromYamlArray -}}
{{- $taken := dict -}}
{{- range $chart -}}{{- $_ := set $taken .name true -}}{{- end -}}
{{- $extra := dict -}}
{{- range concat (index . 1) (index . 2) -}}
{{- if hasKey $taken .name -}}
{{- fail (printf "extraEnv can't set %s, because the chart sets it: leave it out, and set the value that it comes from" .name) -}}
{{- end -}}
{{- $variable := deepCopy . -}}
{{- if hasKey . "value" -}}{{- $_ := set $variable "value" (include "kapture.text" .value) -}}{{- end -}}
{{- $_ := set $extra .name $variable -}}
{{- end -}}
{{- index . 0 | trim -}}
{{- range $extra }}
{{ toYaml (list .) }}
{{- end }}
{{- end -}}
