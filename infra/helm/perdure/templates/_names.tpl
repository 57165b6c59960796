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

{{- define "perdure.controlPlaneSecret" -}}
{{ .Values.tenants.existingSecret | default (printf "%s-control-plane" (include "perdure.name" .)) }}
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
{{- if .Values.tenants.enabled }}
- name: PERDURE_CONTROL_PLANE__DATABASE
  valueFrom:
    secretKeyRef:
      name: {{ include "perdure.controlPlaneSecret" . }}
      key: database
- name: PERDURE_CONTROL_PLANE__SEALING_KEYS
  value: /etc/perdure/control-plane/sealing-keys
{{- range $name, $address := dict "API_KEYS" .Values.tenants.addresses.apiKeys "CERTIFICATES" .Values.tenants.addresses.certificates "WEB" .Values.tenants.addresses.web }}
{{- if $address }}
- name: PERDURE_CONTROL_PLANE__ADDRESSES__{{ $name }}
  value: {{ $address | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.tls.existingSecret }}
- name: PERDURE_TLS__CERTIFICATE
  value: /etc/perdure/client-tls/tls.crt
- name: PERDURE_TLS__KEY
  value: /etc/perdure/client-tls/tls.key
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
