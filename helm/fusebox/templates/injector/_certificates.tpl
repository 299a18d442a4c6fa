{{- /* Certificates that the chart makes for the webhook: kept while they are young, renewed by an upgrade once old. */ -}}

{{- define "fusebox.injector.tlsSecret" -}}
{{- $certificates := .Values.injector.certificates -}}
{{- if eq $certificates.mode "existing" -}}
{{- $certificates.existingSecret -}}
{{- else -}}
{{ include "fusebox.injector.name" . }}-tls
{{- end -}}
{{- end }}

{{- /* As seconds since 1970. (list "annotations" days) */ -}}
{{- define "fusebox.later" -}}{{ add (now | unixEpoch | int64) (mul . 86400) }}{{- end }}

{{- /* Whether a Secret from the cluster is still young: "true" or nothing. */ -}}
{{- define "fusebox.young" -}}
{{- $until := dig "metadata" "annotations" "fusebox.dev/renew-after" "" . -}}
{{- if and $until (lt (now | unixEpoch | int64) ($until | int64)) -}}true{{- end -}}
{{- end }}

{{- /*
The authority and the pair that it signed, as JSON. What the API server trusts never changes faster than what the
replicas show: a new authority is added to the old one, and a new pair is signed by the authority that stands.
*/ -}}
{{- define "fusebox.injector.certificates" -}}
{{- $name := include "fusebox.injector.name" . -}}
{{- $host := printf "%s.%s.svc" $name .Release.Namespace -}}
{{- $old := lookup "v1" "Secret" .Release.Namespace (printf "%s-ca" $name) -}}
{{- $oldData := $old.data | default dict -}}
{{- $days := int .Values.injector.certificates.validityDays -}}
{{- $made := dict -}}
{{- $authority := dict -}}
{{- if and (get $oldData "tls.crt") (get $oldData "tls.key") (include "fusebox.young" $old) -}}
{{- $authority = buildCustomCert (get $oldData "tls.crt") (get $oldData "tls.key") -}}
{{- $_ := set $made "bundle" (get $oldData "ca.crt" | default (get $oldData "tls.crt") | b64dec) -}}
{{- $_ := set $made "caUntil" (dig "metadata" "annotations" "fusebox.dev/renew-after" "" $old) -}}
{{- $pair := lookup "v1" "Secret" .Release.Namespace (printf "%s-tls" $name) -}}
{{- $pairData := $pair.data | default dict -}}
{{- $mine := eq (dig "metadata" "annotations" "fusebox.dev/host" "" $pair) $host -}}
{{- if and $mine (get $pairData "tls.crt") (get $pairData "tls.key") (include "fusebox.young" $pair) -}}
{{- $_ := set $made "cert" (get $pairData "tls.crt" | b64dec) -}}
{{- $_ := set $made "key" (get $pairData "tls.key" | b64dec) -}}
{{- $_ := set $made "until" (dig "metadata" "annotations" "fusebox.dev/renew-after" "" $pair) -}}
{{- end -}}
{{- else -}}
{{- $authority = genCA (printf "%s-ca" $name) 3650 -}}
{{- $_ := set $made "bundle" (printf "%s%s" $authority.Cert (get $oldData "tls.crt" | b64dec)) -}}
{{- $_ := set $made "caUntil" (include "fusebox.later" 2920) -}}
{{- end -}}
{{- if not $made.cert -}}
{{- $pair := genSignedCert $host nil (list $host (printf "%s.%s" $name .Release.Namespace) $name) $days $authority -}}
{{- $_ := set $made "cert" $pair.Cert -}}
{{- $_ := set $made "key" $pair.Key -}}
{{- $_ := set $made "until" (include "fusebox.later" (div $days 2)) -}}
{{- end -}}
{{- merge $made (dict "caCert" $authority.Cert "caKey" $authority.Key "host" $host) | toJson -}}
{{- end }}
