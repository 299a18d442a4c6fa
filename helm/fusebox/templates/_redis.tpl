{{- /* Where the fleet's Redis is, and where programs take its address and secrets from. */ -}}

{{- define "fusebox.redis.service" -}}
{{ include "fusebox.redis.name" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- /* The Secret that the chart makes with the address: in the release's namespace, and copied to sidecar.namespaces. */ -}}
{{- define "fusebox.fleetSecret.name" -}}{{ include "fusebox.fullname" . }}-fleet{{- end }}

{{- /* "true" where sidecars get a secret of the fleet's own. */ -}}
{{- define "fusebox.fleetSecret.needed" -}}
{{- $config := .Values.sidecar.config -}}
{{- $shared := or (dig "cache" "shared" false $config) (dig "idempotency" "shared" false $config) -}}
{{- if or (eq .Values.fleet.secret "always") (and (eq .Values.fleet.secret "auto") $shared) -}}true{{- end -}}
{{- end }}

{{- /* Variables with the address. (dict "root" . "optional" whether a missing Secret leaves the program alone) */ -}}
{{- define "fusebox.redis.env" -}}
{{- $external := .root.Values.redis.external -}}
{{- $secret := $external.existingSecret -}}
{{- if .root.Values.redis.bundled.enabled }}
{{- $name := default (include "fusebox.fleetSecret.name" .root) .root.Values.redis.bundled.existingSecret }}
{{ include "fusebox.redis.fromSecret" (dict "name" $name "key" "redis-url" "optional" .optional) }}
{{- else if $secret.urlKey }}
{{ include "fusebox.redis.fromSecret" (dict "name" $secret.name "key" $secret.urlKey "optional" .optional) }}
{{- else if $external.url }}
{{- range $name, $key := dict
  "REDIS_USER" $secret.userKey
  "REDIS_PASSWORD" $secret.passwordKey
  "REDIS_SENTINEL_USER" $secret.sentinelUserKey
  "REDIS_SENTINEL_PASSWORD" $secret.sentinelPasswordKey }}
{{- if $key }}
- name: {{ $name }}
  valueFrom: { secretKeyRef: { name: {{ $secret.name }}, key: {{ $key }} } }
{{- end }}
{{- end }}
- name: FUSEBOX_FLEET__REDIS
  value: {{ include "fusebox.redis.url" .root | quote }}
{{- end }}
{{- end }}

{{- define "fusebox.redis.fromSecret" -}}
- name: FUSEBOX_FLEET__REDIS
  valueFrom: { secretKeyRef: { name: {{ .name }}, key: {{ .key }}{{ if .optional }}, optional: true{{ end }} } }
{{- end }}

{{- /* redis.external.url with what the kubelet puts in the place of $(…), and the files of TLS. */ -}}
{{- define "fusebox.redis.url" -}}
{{- $external := .Values.redis.external -}}
{{- $secret := $external.existingSecret -}}
{{- $parts := splitn "://" 2 $external.url -}}
{{- $login := "" -}}
{{- if $secret.passwordKey -}}
{{- $login = printf "%s:$(REDIS_PASSWORD)@" (ternary "$(REDIS_USER)" "" (ne $secret.userKey "")) -}}
{{- end -}}
{{- $settings := list -}}
{{- if $external.tls.caSecret -}}{{- $settings = append $settings "ca=/run/fusebox/redis/ca.crt" -}}{{- end -}}
{{- if $external.tls.certSecret -}}
{{- $settings = concat $settings (list "cert=/run/fusebox/redis/tls.crt" "key=/run/fusebox/redis/tls.key") -}}
{{- end -}}
{{- if $secret.sentinelUserKey -}}{{- $settings = append $settings "sentinel_username=$(REDIS_SENTINEL_USER)" -}}{{- end -}}
{{- if $secret.sentinelPasswordKey -}}{{- $settings = append $settings "sentinel_password=$(REDIS_SENTINEL_PASSWORD)" -}}{{- end -}}
{{- $mark := ternary "&" "?" (contains "?" $external.url) -}}
{{- printf "%s://%s%s%s" $parts._0 $login $parts._1 (ternary (printf "%s%s" $mark (join "&" $settings)) "" (gt (len $settings) 0)) -}}
{{- end }}

{{- /* The files of TLS towards Redis, as sources of a projected volume. */ -}}
{{- define "fusebox.redis.sources" -}}
{{- $tls := .Values.redis.external.tls -}}
{{- if not .Values.redis.bundled.enabled }}
{{- with $tls.caSecret }}
- secret: { name: {{ . }}, items: [{ key: {{ $tls.caKey }}, path: redis/ca.crt }] }
{{- end }}
{{- with $tls.certSecret }}
- secret: { name: {{ . }}, items: [{ key: tls.crt, path: redis/tls.crt }, { key: tls.key, path: redis/tls.key }] }
{{- end }}
{{- end }}
{{- end }}
