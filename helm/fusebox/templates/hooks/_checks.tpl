{{- /* Letting the programs check their configuration: their own containers, with placeholders for what is secret. */ -}}

{{- define "fusebox.check.name" -}}{{ include "fusebox.fullname" . }}-check{{- end }}

{{- /* (dict "root" . "program" "sidecar"): a container that says what is wrong, and ends with 2, or ends with 0. */ -}}
{{- define "fusebox.check.container" -}}
{{- $root := .root -}}
{{- $env := include (printf "fusebox.%s.env" .program) $root | fromYamlArray -}}
{{- $values := index $root.Values .program -}}
name: {{ .program | kebabcase }}
image: {{ include "fusebox.image" (list $root $values.image) }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
args: [check, --config, /etc/fusebox/{{ .program | kebabcase }}.yaml]
env:
  {{- range $env }}
  {{- if .value }}
  - { name: {{ .name }}, value: {{ .value | quote }} }
  {{- else if eq .name "FUSEBOX_FLEET__REDIS" }}
  - { name: {{ .name }}, value: "redis://placeholder:6379" }
  {{- else if not (hasPrefix "FUSEBOX_" .name) }}
  - { name: {{ .name }}, value: placeholder }
  {{- end }}
  {{- end }}
  {{- include (printf "fusebox.check.%s" .program) $values.config | nindent 2 }}
resources:
  requests: { cpu: 10m, memory: 32Mi }
  limits: { memory: 128Mi }
securityContext:
  {{- include "fusebox.containerSecurity" $root | nindent 2 }}
volumeMounts:
  - { name: config, mountPath: /etc/fusebox, readOnly: true }
  - { name: placeholders, mountPath: /run/fusebox, readOnly: true }
{{- end }}

{{- /* What the sidecar's configuration takes from variables and files. */ -}}
{{- define "fusebox.check.sidecar" -}}
{{- range $index, $provider := .providers }}
{{- with $provider.api_key_env }}
- { name: {{ . }}, value: placeholder }
{{- end }}
{{- if $provider.api_key_file }}
- { name: FUSEBOX_PROVIDERS__{{ $index }}__API_KEY_FILE, value: /run/fusebox/word }
{{- end }}
{{- end }}
{{- end }}

{{- /* What the control plane's does. */ -}}
{{- define "fusebox.check.controlPlane" -}}
{{- range $index, $channel := dig "alerts" "channels" list . }}
{{- range $key := list "url_env" "key_env" }}
{{- with get $channel $key }}
- { name: {{ . }}, value: {{ ternary "https://placeholder.invalid/" "placeholder" (eq $key "url_env") }} }
{{- end }}
{{- end }}
{{- range $key, $file := dict "url_file" "url" "key_file" "word" "password_file" "word" "secret_file" "word" "ca_file" "tls/tls.crt" }}
{{- if get $channel $key }}
- { name: FUSEBOX_ALERTS__CHANNELS__{{ $index }}__{{ upper $key }}, value: /run/fusebox/{{ $file }} }
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The pod's own part; it needs nothing of Kubernetes. */ -}}
{{- define "fusebox.check.pod" -}}
{{- include "fusebox.pullSecrets" . }}
automountServiceAccountToken: false
enableServiceLinks: false
restartPolicy: Never
securityContext:
  {{- include "fusebox.podSecurity" . | nindent 2 }}
{{- with .Values.controlPlane.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.controlPlane.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Stand-ins for secrets, as a Secret's data. Nothing of them is used for anything but a check. */ -}}
{{- define "fusebox.check.placeholders" -}}
{{- $pair := genSelfSignedCert "placeholder" nil (list "placeholder") 1 -}}
word: placeholder-placeholder
url: https://placeholder.invalid/
tokens: operator placeholder placeholder-placeholder
tls.crt: |
  {{- $pair.Cert | nindent 2 }}
tls.key: |
  {{- $pair.Key | nindent 2 }}
{{- end }}

{{- /* The volume with them, from the Secret of this name. */ -}}
{{- define "fusebox.check.volume" -}}
- name: placeholders
  secret:
    secretName: {{ . }}
    items:
      - { key: word, path: word }
      - { key: url, path: url }
      - { key: tokens, path: tokens/tokens }
      - { key: word, path: fleet/secret }
      - { key: tls.crt, path: tls/tls.crt }
      - { key: tls.key, path: tls/tls.key }
      - { key: tls.crt, path: tls/ca.crt }
      - { key: tls.crt, path: injector/tls.crt }
      - { key: tls.key, path: injector/tls.key }
      - { key: tls.crt, path: redis/ca.crt }
      - { key: tls.crt, path: redis/tls.crt }
      - { key: tls.key, path: redis/tls.key }
{{- end }}

{{- /* Both programs' containers. */ -}}
{{- define "fusebox.check.containers" -}}
- {{ include "fusebox.check.container" (dict "root" . "program" "sidecar") | nindent 2 | trim }}
{{- if .Values.controlPlane.enabled }}
- {{ include "fusebox.check.container" (dict "root" . "program" "controlPlane") | nindent 2 | trim }}
{{- end }}
{{- end }}
