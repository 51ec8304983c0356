{{/* Takes the root. Returns the spec of the pod that counts the sales again, for `helm test` and the CronJob `check`. */}}
{{- define "kapture.testSpec" -}}
{{- $test := list $ "test" -}}
{{- include "kapture.podSpec" (list $ "test" 65532) }}
restartPolicy: Never
activeDeadlineSeconds: 240
containers:
  - name: test
    args: [test]
    # An image that the release runs anyway, so that a mirror is sure to have it.
    {{- include "kapture.program" (list $ "test" "auditor" (include "kapture.testEnv" .)) | nindent 4 }}
    {{- with include "kapture.programMounts" $test }}{{ . | trim | nindent 4 }}{{ end }}
{{- include "kapture.programVolumes" $test }}
{{- end -}}

{{/* Takes the root. Returns the variables of that pod. */}}
{{- define "kapture.testEnv" -}}
{{- include "kapture.auditorEnv" . }}
- name: TEST_AUDITOR
  value: {{ printf "%s:8080" (include "kapture.fullname" (list $ "auditor")) | quote }}
- name: TEST_EXPORTER
  value: {{ printf "%s:8080" (include "kapture.fullname" (list $ "exporter")) | quote }}
- name: TEST_RELEASE
  value: {{ .Release.Name | quote }}
- name: TEST_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: TEST_OBJECTS
  value: {{ include "kapture.releaseName" . | quote }}
{{- end -}}
