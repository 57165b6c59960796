{{- define "perdure.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "perdure.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "perdure.databasesSecret" -}}
{{ .Values.databases.existingSecret | default (printf "%s-databases" (include "perdure.name" .)) }}
{{- end }}

{{- define "perdure.labels" -}}
app.kubernetes.io/name: perdure
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What every process of the cluster finds in its environment. */}}
{{- define "perdure.environment" -}}
- name: PERDURE_DATABASES
  valueFrom:
    secretKeyRef:
      name: {{ include "perdure.databasesSecret" . }}
      key: databases
{{- if .Values.redis.url }}
- name: PERDURE_REDIS__URL
  value: {{ .Values.redis.url | quote }}
{{- else if .Values.bundled.redis.enabled }}
- name: PERDURE_REDIS__URL
  value: redis://{{ include "perdure.name" . }}-redis:6379/0
{{- end }}
{{- if .Values.internalTls.existingSecret }}
- name: PERDURE_INTERNAL_TLS__AUTHORITY
  value: /etc/perdure/tls/ca.crt
- name: PERDURE_INTERNAL_TLS__CERTIFICATE
  value: /etc/perdure/tls/tls.crt
- name: PERDURE_INTERNAL_TLS__KEY
  value: /etc/perdure/tls/tls.key
{{- end }}
{{- end }}
