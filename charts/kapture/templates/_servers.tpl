{{/*
Takes (list $ "component"). Returns the password for the Secret of kafka, redis, postgres or loader, in base64. An existing one is
kept, because volumes were made with it, or running pods have it; otherwise it is the given one, or else a random one.
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

{{/* Takes (list $ "component"). Returns the reference to its password, for an env entry's `valueFrom`. */}}
{{- define "kapture.passwordRef" -}}
{{- $auth := (index (index . 0).Values (index . 1)).auth -}}
secretKeyRef:
  name: {{ $auth.existingSecret | default (include "kapture.fullname" .) | quote }}
  key: {{ ternary $auth.secretKey "password" (not (empty $auth.existingSecret)) | quote }}
{{- end -}}

{{/* Takes (list $ "component"). Returns its Secret, unless the user supplies one or none is needed. */}}
{{- define "kapture.passwordSecret" -}}
{{- $root := index . 0 -}}
{{- $values := index $root.Values (index . 1) -}}
{{- $own := include "kapture.own" . -}}
{{- $other := and $values.enabled $values.auth.password -}}
{{- if eq (index . 1) "kafka" -}}{{- $other = $values.external.username -}}{{- end -}}
{{- if eq (index . 1) "loader" -}}{{- $other = true -}}{{- end -}}
{{- if and (not $values.auth.existingSecret) (or $own $other) -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ include "kapture.fullname" . | quote }}
  labels:
    {{- include "kapture.labels" . | nindent 4 }}
  {{- if and $own $values.persistence.enabled }}
  annotations:
    # Kept along with the volumes, so that a new install on them can log in.
    helm.sh/resource-policy: keep
  {{- end }}
type: Opaque
data:
  password: {{ include "kapture.password" . | quote }}
{{- end }}
{{- end -}}

{{/*
Takes (list $ "component" notes). Returns volumeClaimTemplates and their retention policy for a server with persistence. `notes`
are annotations that tell a later install what this one chose; as part of a claim template, they can't change.
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

{{/* Takes (list $ "component"). Returns a server's volumes other than its claim: its files, and its data if not persistent. */}}
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

{{/* Takes (list $ "component" env). Returns image, environment, security and resources of a server's own container. */}}
{{- define "kapture.server" -}}
{{- $root := index . 0 -}}
{{- $values := index $root.Values (index . 1) -}}
image: {{ include "kapture.imageOf" (list $root $values.image "") }}
imagePullPolicy: {{ $root.Values.image.pullPolicy | quote }}
# The chart's files are mounted where no image has any: a read-only mount must not contain a VOLUME of the image.
command: [/bin/sh, /etc/kapture/start.sh]
env:
  {{- include "kapture.withExtraEnv" (list (index . 2) list ($values.extraEnv | default list)) | nindent 2 }}
securityContext:
  {{- include "kapture.containerSecurity" . | nindent 2 }}
resources:
  {{- include "kapture.resources" (list $root $values.resources) | nindent 2 }}
{{- end -}}

{{/* Takes (list $ "component"). Returns the files of a server's ConfigMap, to go under `data`. */}}
{{- define "kapture.serverFiles" -}}
{{- $root := index . 0 -}}
{{ ($root.Files.Glob (printf "files/%s/*" (index . 1))).AsConfig }}
{{ ($root.Files.Glob "files/password.sh").AsConfig }}
{{- end -}}

{{/* Takes the root. Returns the variables of a broker's start script. */}}
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

{{/* Takes the root. Returns the variables of Redis' start script. */}}
{{- define "kapture.redisServerEnv" -}}
- name: POD
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: REDIS_PASSWORD
  valueFrom:
    {{- include "kapture.passwordRef" (list . "redis") | nindent 4 }}
{{- end -}}

{{/* Takes the root. Returns the variables of Postgres' start script. */}}
{{- define "kapture.postgresServerEnv" -}}
- name: POSTGRES_PASSWORD
  valueFrom:
    {{- include "kapture.passwordRef" (list . "postgres") | nindent 4 }}
{{- end -}}
