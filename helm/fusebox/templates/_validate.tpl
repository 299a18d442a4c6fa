{{- /* What no schema can say: values that contradict each other, each with what to do. */ -}}

{{- define "fusebox.validate" -}}
{{- $wrong := list -}}
{{- $redis := .Values.redis -}}
{{- $external := $redis.external -}}
{{- $given := or $external.url $external.existingSecret.urlKey -}}
{{- if and $redis.bundled.enabled $given -}}
{{- $wrong = append $wrong "redis: there are two, bundled and external; set redis.bundled.enabled to false to use the external one" -}}
{{- end -}}
{{- if and .Values.controlPlane.enabled (not $redis.bundled.enabled) (not $given) -}}
{{- $wrong = append $wrong "redis: there is none, and without one the control plane shows a made-up fleet; set redis.external.url or redis.bundled.enabled" -}}
{{- end -}}
{{- if contains "@" $external.url -}}
{{- $wrong = append $wrong "redis.external.url: holds a user or a password; put them into a Secret, and name it by redis.external.existingSecret" -}}
{{- end -}}
{{- $keys := values (omit $external.existingSecret "name") -}}
{{- if and (without $keys "") (not $external.existingSecret.name) -}}
{{- $wrong = append $wrong "redis.external.existingSecret.name: is missing; name the Secret that holds these keys" -}}
{{- end -}}
{{- if and $external.existingSecret.userKey (not $external.existingSecret.passwordKey) -}}
{{- $wrong = append $wrong "redis.external.existingSecret.passwordKey: is missing; a user shows a password" -}}
{{- end -}}
{{- if and (or $external.tls.caSecret $external.tls.certSecret) $external.url (not (hasPrefix "rediss" $external.url)) -}}
{{- $wrong = append $wrong "redis.external.url: begins with redis, which is without TLS, though redis.external.tls is set; begin with rediss" -}}
{{- end -}}
{{- $owned := dict
  "fleet.name" "fleet.name"
  "fleet.redis" "redis.external or redis.bundled"
  "fleet.secret_file" "fleet.secret"
  "listen.grpc" "sidecar.listen.grpc"
  "listen.http" "sidecar.listen.http"
  "listen.admin" "sidecar.listen.admin"
  "auth.tokens_file" "sidecar.tokensSecret"
  "auth.tls" "sidecar.tls" -}}
{{- $typed := include "fusebox.validate.owned" (list "sidecar.config" .Values.sidecar.config $owned) -}}
{{- $wrong = concat $wrong ($typed | fromJsonArray) -}}
{{- $owned = dict
  "fleet.name" "fleet.name"
  "fleet.redis" "redis.external or redis.bundled"
  "listen" "controlPlane.service"
  "auth.tokens_file" "controlPlane.auth.existingSecret"
  "auth.tls" "controlPlane.tls"
  "injector" "injector" -}}
{{- $typed = include "fusebox.validate.owned" (list "controlPlane.config" .Values.controlPlane.config $owned) -}}
{{- $wrong = concat $wrong ($typed | fromJsonArray) -}}
{{- $ports := dict -}}
{{- range $name, $address := .Values.sidecar.listen -}}
{{- $port := include "fusebox.port" $address -}}
{{- if hasKey $ports $port -}}
{{- $wrong = append $wrong (printf "sidecar.listen.%s: port %s is also that of sidecar.listen.%s; each needs its own" $name $port (get $ports $port)) -}}
{{- end -}}
{{- $_ := set $ports $port $name -}}
{{- end -}}
{{- if hasPrefix "127." .Values.sidecar.listen.admin -}}
{{- $wrong = append $wrong "sidecar.listen.admin: is out of the kubelet's reach, and every probe would fail; write 0.0.0.0 and the port" -}}
{{- end -}}
{{- if .Values.controlPlane.enabled -}}
{{- $tls := .Values.controlPlane.tls -}}
{{- if and (eq $tls.mode "existing") (not $tls.secretName) -}}
{{- $wrong = append $wrong "controlPlane.tls.secretName: is missing; name a kubernetes.io/tls Secret, or set controlPlane.tls.mode to none" -}}
{{- end -}}
{{- if and (eq $tls.mode "cert-manager") (not $tls.issuerRef.name) -}}
{{- $wrong = append $wrong "controlPlane.tls.issuerRef.name: is missing; name the issuer whose authority your callers trust" -}}
{{- end -}}
{{- if and $tls.clientCA (ne $tls.mode "none") (not (dig "auth" "certificates" list .Values.controlPlane.config)) -}}
{{- $wrong = append $wrong "controlPlane.tls.clientCA: whose certificates are known is not said, and then everybody has to show one, the kubelet's probes too; name them in controlPlane.config.auth.certificates" -}}
{{- end -}}
{{- if and .Values.controlPlane.gateway.enabled (not .Values.controlPlane.gateway.parentRefs) -}}
{{- $wrong = append $wrong "controlPlane.gateway.parentRefs: is empty; name the Gateway that the routes are for" -}}
{{- end -}}
{{- with .Values.controlPlane.ingress -}}
{{- if and .enabled (not .host) -}}
{{- $wrong = append $wrong "controlPlane.ingress.host: is missing; the dashboard has a host of its own, since it is served at /" -}}
{{- end -}}
{{- if and .enabled .grpc.enabled (not .grpc.host) -}}
{{- $wrong = append $wrong "controlPlane.ingress.grpc.host: is missing" -}}
{{- end -}}
{{- end -}}
{{- if .Values.injector.enabled -}}
{{- $certificates := .Values.injector.certificates -}}
{{- if and (eq $certificates.mode "existing") (not (and $certificates.existingSecret $certificates.caBundle)) -}}
{{- $wrong = append $wrong "injector.certificates: mode is existing, and existingSecret or caBundle is missing; the API server has to know whom to trust" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\nThe values contradict each other:\n  %s\n" (join "\n  " $wrong)) -}}
{{- end -}}
{{- end }}

{{- /* (list "sidecar.config" config (dict "key" "value that sets it")): those that were typed, as JSON. */ -}}
{{- define "fusebox.validate.owned" -}}
{{- $at := index . 0 -}}
{{- $config := index . 1 -}}
{{- $wrong := list -}}
{{- range $key, $instead := index . 2 -}}
{{- $value := $config -}}
{{- range splitList "." $key -}}
{{- if and (kindIs "map" $value) (hasKey $value .) -}}{{- $value = get $value . -}}{{- else -}}{{- $value = "" -}}{{- end -}}
{{- end -}}
{{- if $value -}}
{{- $wrong = append $wrong (printf "%s.%s: the chart sets this key; use %s" $at $key $instead) -}}
{{- end -}}
{{- end -}}
{{- $wrong | toJson -}}
{{- end }}
