{{/*
Takes (list $ component "program" env), the component as in the list of components. Returns its Deployment: of one or several
pods, which are alike.
*/}}
{{- define "kapture.deployment" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $program := index . 2 -}}
{{- $this := list $root $component.name -}}
{{- $replicas := (include "kapture.at" (list $root $component.values) | fromYaml).replicas -}}
{{- $isFixed := not (include "kapture.autoscaling" (list $root $component.values)) -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "kapture.fullname" $this | quote }}
  labels:
    {{- include "kapture.labels" $this | nindent 4 }}
  {{- if $isFixed }}
  annotations:
    kapture/replicas: {{ int $replicas | quote }}
  {{- end }}
spec:
  {{- if $isFixed }}
  replicas: {{ include "kapture.replicas" (list $root $component.name $replicas $component.kind) }}
  {{- end }}
  # An update replaces one pod at a time, so it needs no extra resources.
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}
  selector:
    matchLabels:
      {{- include "kapture.selectorLabels" $this | nindent 6 }}
  template:
    metadata:
      {{- include "kapture.podMetadata" (list $root $component.name "") | nindent 6 }}
    spec:
      {{- include "kapture.podSpec" (list $root $component.name 65532) | nindent 6 }}
      containers:
        - name: {{ $program }}
          {{- include "kapture.program" (list $root $component.name $program (index . 3)) | nindent 10 }}
          {{- with include "kapture.programMounts" $this }}{{ . | trim | nindent 10 }}{{ end }}
      {{- with include "kapture.programVolumes" $this }}{{ . | trim | nindent 6 }}{{ end }}
{{- end -}}
