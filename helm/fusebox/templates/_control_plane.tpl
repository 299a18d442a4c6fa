{{- /* What the control plane's pods and those that check or call it have in common. */ -}}

{{- define "fusebox.tokens.name" -}}
{{- default (printf "%s-tokens" (include "fusebox.fullname" .)) .Values.controlPlane.auth.existingSecret.name -}}
{{- end }}

{{- /* The Secret with the certificate of its doors; empty without TLS. */ -}}
{{- define "fusebox.controlPlane.tlsSecret" -}}
{{- $tls := .Values.controlPlane.tls -}}
{{- if eq $tls.mode "existing" -}}
{{- $tls.secretName -}}
{{- else if eq $tls.mode "cert-manager" -}}
{{- default (printf "%s-tls" (include "fusebox.controlPlane.name" .)) $tls.secretName -}}
{{- end -}}
{{- end }}

{{- define "fusebox.controlPlane.scheme" -}}
{{- if include "fusebox.controlPlane.tlsSecret" . -}}https{{- else -}}http{{- end -}}
{{- end }}

{{- define "fusebox.injector.enabled" -}}
{{- if and .Values.controlPlane.enabled .Values.injector.enabled -}}true{{- end -}}
{{- end }}

{{- /* What the chart decides, as variables: they come before the file. */ -}}
{{- define "fusebox.controlPlane.env" -}}
- { name: FUSEBOX_FLEET__NAME, value: {{ .Values.fleet.name | quote }} }
- { name: FUSEBOX_LISTEN__HTTP, value: "0.0.0.0:8081" }
- { name: FUSEBOX_LISTEN__GRPC, value: "0.0.0.0:50052" }
- { name: FUSEBOX_AUTH__TOKENS_FILE, value: /run/fusebox/tokens/tokens }
{{- include "fusebox.redis.env" (dict "root" . "optional" false) }}
{{- if include "fusebox.controlPlane.tlsSecret" . }}
{{- include "fusebox.tls.env" .Values.controlPlane.tls }}
{{- end }}
{{- if include "fusebox.injector.enabled" . }}
- { name: FUSEBOX_INJECTOR__LISTEN, value: "0.0.0.0:{{ .Values.injector.port }}" }
- { name: FUSEBOX_INJECTOR__TLS__CERT_FILE, value: /run/fusebox/injector/tls.crt }
- { name: FUSEBOX_INJECTOR__TLS__KEY_FILE, value: /run/fusebox/injector/tls.key }
- { name: FUSEBOX_INJECTOR__TEMPLATE_FILE, value: /etc/fusebox/injector/template.yaml }
- { name: FUSEBOX_INJECTOR__ON_ERROR, value: {{ .Values.injector.onError }} }
{{- end }}
{{- with .Values.controlPlane.env }}
{{ toYaml . }}
{{- end }}
{{- end }}
