{{/*
Takes (list $ "component"): the password for the Secret of kafka, redis or postgres, in base64. The one that is there
stays, so that it goes on opening the volume that is kept beside it; then the given one; then a random one.
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

{{/* Takes (list $ "component"): where its password is, as an env entry's `valueFrom`. */}}
{{- define "kapture.passwordRef" -}}
{{- $auth := (index (index . 0).Values (index . 1)).auth -}}
secretKeyRef:
  name: {{ $auth.existingSecret | default (include "kapture.fullname" .) | quote }}
  key: {{ ternary $auth.secretKey "password" (not (empty $auth.existingSecret)) | quote }}
{{- end -}}

{{/* Takes (list $ "component"): the Secret of a server, unless there is one of the user's, or none is needed. */}}
{{- define "kapture.passwordSecret" -}}
{{- $root := index . 0 -}}
{{- $values := index $root.Values (index . 1) -}}
{{- $own := include "kapture.own" . -}}
{{- $foreign := and $values.enabled $values.auth.password -}}
{{- if eq (index . 1) "kafka" -}}{{- $foreign = $values.external.username -}}{{- end -}}
{{- if and (not $values.auth.existingSecret) (or $own $foreign) -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ include "kapture.fullname" . | quote }}
  labels:
    {{- include "kapture.labels" . | nindent 4 }}
  {{- if and $own $values.persistence.enabled }}
  annotations:
    # Kept with the volumes that it opens, so that a new install on them can log in.
    helm.sh/resource-policy: keep
  {{- end }}
type: Opaque
data:
  password: {{ include "kapture.password" . | quote }}
{{- end }}
{{- end -}}

{{/*
Takes (list $ "component" notes): volumeClaimTemplates and their retention policy for a server with persistence. `notes` are
annotations by which a later install knows what this one chose; being part of a claim template, they can't change.
*/}}
{{- define "kapture.claims" -}}
{{- $persistence := (index (index . 0).Values (index . 1)).persistence -}}
{{- if $persistence.enabled -}}
persistentVolumeClaimRetentionPolicy:
  whenDeleted: {{ $persistence.retention.whenDeleted | quote }}
  whenScaled: {{ $persistence.retention.whenScaled | quote }}
volumeClaimTemplates:
  - apiVersion: v1
    kind: PersistentVolumeClaim
    metadata:
      name: data
      labels:
        {{- include "kapture.selectorLabels" . | nindent 8 }}
      {{- with merge (index . 2) $persistence.annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      accessModes: [ReadWriteOnce]
      {{- with $persistence.storageClass }}
      storageClassName: {{ ternary "" . (eq . "-") | quote }}
      {{- end }}
      resources:
        requests:
          storage: {{ include "kapture.text" $persistence.size | quote }}
{{- end }}
{{- end -}}

{{/* Takes (list $ "component"): the volumes that a server has besides a claim: its files, and data when nothing is persistent. */}}
{{- define "kapture.serverVolumes" -}}
{{- $persistence := (index (index . 0).Values (index . 1)).persistence -}}
- name: config
  configMap: {name: {{ include "kapture.fullname" . | quote }}}
{{- if not $persistence.enabled }}
- name: data
  emptyDir: {sizeLimit: {{ include "kapture.text" $persistence.size | quote }}}
{{- end }}
{{- include "kapture.extraVolumes" . }}
{{- end -}}

{{/* Takes (list $ "component" env): image, environment, security and resources of a server's own container. */}}
{{- define "kapture.server" -}}
{{- $root := index . 0 -}}
{{- $values := index $root.Values (index . 1) -}}
image: {{ include "kapture.imageOf" (list $root $values.image "") }}
imagePullPolicy: {{ $root.Values.image.pullPolicy | quote }}
# The chart's own files are where no image has anything: nothing read-only may lie above a VOLUME of the image.
command: [/bin/sh, /etc/kapture/start.sh]
env:
  {{- include "kapture.withExtraEnv" (list (index . 2) list ($values.extraEnv | default list)) | nindent 2 }}
securityContext:
  {{- include "kapture.containerSecurity" . | nindent 2 }}
resources:
  {{- include "kapture.resources" (list $root $values.resources) | nindent 2 }}
{{- end -}}

{{/* Takes (list $ "component"): the files of a server's ConfigMap, below `data`. */}}
{{- define "kapture.serverFiles" -}}
{{- $root := index . 0 -}}
{{ ($root.Files.Glob (printf "files/%s/*" (index . 1))).AsConfig }}
{{ ($root.Files.Glob "files/password.sh").AsConfig }}
{{- end -}}

{{/* Takes the root: what a broker's start script reads. */}}
{{- define "kapture.brokerEnv" -}}
{{- $heap := include "kapture.mebibytes" (list .Values.kafka.resources.limits.memory 50) -}}
- name: POD
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: KAFKA_HEAP_OPTS
  value: -Xms{{ $heap }}m -Xmx{{ $heap }}m
{{- with .Values.kafka.jvmOptions }}
- name: KAFKA_JVM_OPTIONS
  value: {{ . | quote }}
{{- end }}
- name: KAFKA_PASSWORD
  valueFrom:
    {{- include "kapture.passwordRef" (list . "kafka") | nindent 4 }}
{{- end -}}

{{/* Takes the root: what the start script of Redis reads. */}}
{{- define "kapture.redisServerEnv" -}}
- name: POD
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: REDIS_PASSWORD
  valueFrom:
    {{- include "kapture.passwordRef" (list . "redis") | nindent 4 }}
{{- end -}}

{{/* Takes the root: what the start script of Postgres reads. */}}
{{- define "kapture.postgresServerEnv" -}}
- name: POSTGRES_PASSWORD
  valueFrom:
    {{- include "kapture.passwordRef" (list . "postgres") | nindent 4 }}
{{- end -}}
