{{/* Takes the root. Returns the variables of a Redis client. */}}
{{- define "kapture.redisEnv" -}}
{{- $external := .Values.redis.external -}}
{{- $own := include "kapture.fullname" (list . "redis") -}}
- name: REDIS_HOST
  # The first server by its own name, because the others are read-only.
  value: {{ $external.host | default (printf "%s-0.%s" $own $own) | quote }}
{{- if $external.host }}
- name: REDIS_PORT
  value: {{ int $external.port | quote }}
- name: REDIS_PREFIX
  value: {{ include "kapture.foreignPrefix" . | quote }}
{{- end }}
{{- if or (not $external.host) .Values.redis.auth.existingSecret .Values.redis.auth.password }}
- name: REDIS_PASSWORD
  valueFrom:
    {{- include "kapture.passwordRef" (list . "redis") | nindent 4 }}
{{- end }}
{{- end -}}

{{/* Takes the root. Returns the variables of a Postgres client. */}}
{{- define "kapture.postgresEnv" -}}
{{- $external := .Values.postgres.external -}}
- name: POSTGRES_HOST
  value: {{ $external.host | default (include "kapture.fullname" (list . "postgres")) | quote }}
{{- if $external.host }}
- name: POSTGRES_PORT
  value: {{ int $external.port | quote }}
- name: POSTGRES_DATABASE
  value: {{ include "kapture.verbatim" $external.database | quote }}
- name: POSTGRES_USER
  value: {{ include "kapture.verbatim" $external.username | quote }}
- name: POSTGRES_SCHEMA
  value: {{ include "kapture.cut" (list (include "kapture.identity" .) 63) | quote }}
{{- end }}
- name: POSTGRES_PASSWORD
  valueFrom:
    {{- include "kapture.passwordRef" (list . "postgres") | nindent 4 }}
{{- end -}}
