{{- /*
The sidecar in a pod, for this chart's injector and for charts of your own. In a chart that depends on this one:

  spec:
    terminationGracePeriodSeconds: {{ include "fusebox.sidecar.gracePeriod" .Subcharts.fusebox }}
    initContainers:
      {{- include "fusebox.sidecar" .Subcharts.fusebox | nindent 6 }}
    volumes:
      {{- include "fusebox.sidecar.volumes" .Subcharts.fusebox | nindent 6 }}
*/ -}}

{{- /* The item of initContainers. It comes first, so that it starts before all others and ends after them. */ -}}
{{- define "fusebox.sidecar" -}}
- {{ include "fusebox.sidecar.container" . | nindent 2 | trim }}
{{- end }}

{{- define "fusebox.sidecar.container" -}}
{{- include "fusebox.validate" . -}}
{{- $sidecar := .Values.sidecar -}}
name: fusebox
image: {{ include "fusebox.image" (list . $sidecar.image) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
restartPolicy: Always
args: [--config, /etc/fusebox/config.yaml]
env:
  {{- include "fusebox.sidecar.env" . | nindent 2 }}
ports:
  {{- range $name := list "grpc" "http" "admin" }}
  - { name: {{ $name }}, containerPort: {{ include "fusebox.port" (get $sidecar.listen $name) }}, protocol: TCP }
  {{- end }}
startupProbe:
  httpGet: { path: /livez, port: admin }
  periodSeconds: 1
  failureThreshold: 30
readinessProbe:
  httpGet: { path: /readyz, port: admin }
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 2
livenessProbe:
  httpGet: { path: /livez, port: admin }
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
{{- include "fusebox.preStop" (list . $sidecar.preStopSeconds) }}
resources:
  {{- toYaml $sidecar.resources | nindent 2 }}
securityContext:
  runAsNonRoot: true
  {{- with .Values.security.runAsUser }}
  runAsUser: {{ . }}
  {{- end }}
  {{- with .Values.security.runAsGroup }}
  runAsGroup: {{ . }}
  {{- end }}
  seccompProfile: { type: RuntimeDefault }
  {{- include "fusebox.containerSecurity" . | nindent 2 }}
volumeMounts:
  - { name: fusebox-config, mountPath: /etc/fusebox, readOnly: true }
  {{- if include "fusebox.sidecar.sources" . | trim }}
  - { name: fusebox-secrets, mountPath: /run/fusebox, readOnly: true }
  {{- end }}
{{- end }}

{{- /* What the chart decides comes as variables, which come before the file: so a pod may bring a file of its own. */ -}}
{{- define "fusebox.sidecar.env" -}}
{{- $sidecar := .Values.sidecar -}}
- { name: FUSEBOX_FLEET__NAME, value: {{ .Values.fleet.name | quote }} }
- { name: FUSEBOX_FLEET__NODE, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
# Pods bear this label from Kubernetes 1.35 on. Where there is none, the zone is not known.
- { name: FUSEBOX_FLEET__ZONE, valueFrom: { fieldRef: { fieldPath: "metadata.labels['topology.kubernetes.io/zone']" } } }
{{- range $name := list "grpc" "http" "admin" }}
- { name: FUSEBOX_LISTEN__{{ upper $name }}, value: {{ get $sidecar.listen $name | quote }} }
{{- end }}
{{- include "fusebox.redis.env" (dict "root" . "optional" $sidecar.fleetOptional) }}
{{- if include "fusebox.fleetSecret.needed" . }}
- { name: FUSEBOX_FLEET__SECRET_FILE, value: /run/fusebox/fleet/secret }
{{- end }}
{{- if $sidecar.tokensSecret.name }}
- { name: FUSEBOX_AUTH__TOKENS_FILE, value: /run/fusebox/tokens/tokens }
{{- end }}
{{- if $sidecar.tls.secretName }}
{{- include "fusebox.tls.env" $sidecar.tls }}
{{- end }}
{{- range $sidecar.providerKeys }}
- { name: {{ .env }}, valueFrom: { secretKeyRef: { name: {{ .secret }}, key: {{ .key }} } } }
{{- end }}
{{- with $sidecar.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Where a program finds the certificate that it serves with. */ -}}
{{- define "fusebox.tls.env" }}
- { name: FUSEBOX_AUTH__TLS__CERT_FILE, value: /run/fusebox/tls/tls.crt }
- { name: FUSEBOX_AUTH__TLS__KEY_FILE, value: /run/fusebox/tls/tls.key }
{{- if .clientCA }}
- { name: FUSEBOX_AUTH__TLS__CLIENT_CA_FILE, value: /run/fusebox/tls/ca.crt }
{{- end }}
{{- end }}

{{- /* The volumes that it mounts, its configuration from this chart's ConfigMap. */ -}}
{{- define "fusebox.sidecar.volumes" -}}
- name: fusebox-config
  configMap: { name: {{ include "fusebox.fullname" . }}-sidecar }
{{- with include "fusebox.sidecar.secrets" . | trim }}
{{ . }}
{{- end }}
{{- end }}

{{- /* The volume of its secrets, if it has any. Pods of others have no fsGroup, so every user of the container may read. */ -}}
{{- define "fusebox.sidecar.secrets" -}}
{{- with include "fusebox.sidecar.sources" . | trim -}}
- name: fusebox-secrets
  projected:
    # 0444, which not all who read YAML take for octal.
    defaultMode: 292
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- end }}

{{- define "fusebox.sidecar.sources" -}}
{{- $sidecar := .Values.sidecar -}}
{{- include "fusebox.redis.sources" . }}
{{- if include "fusebox.fleetSecret.needed" . }}
- secret: { name: {{ include "fusebox.fleetSecret.name" . }}, items: [{ key: secret, path: fleet/secret }] }
{{- end }}
{{- with $sidecar.tokensSecret }}
{{- if .name }}
- secret: { name: {{ .name }}, items: [{ key: {{ .key }}, path: tokens/tokens }] }
{{- end }}
{{- end }}
{{- include "fusebox.tls.source" $sidecar.tls }}
{{- end }}

{{- define "fusebox.tls.source" }}
{{- if .secretName }}
- secret:
    name: {{ .secretName }}
    items:
      - { key: tls.crt, path: tls/tls.crt }
      - { key: tls.key, path: tls/tls.key }
      {{- if .clientCA }}
      - { key: ca.crt, path: tls/ca.crt }
      {{- end }}
{{- end }}
{{- end }}

{{- define "fusebox.sidecar.grace" -}}{{ dig "shutdown" "grace" "30s" .Values.sidecar.config }}{{- end }}

{{- /* What a pod's terminationGracePeriodSeconds must be at least: the sidecar's own grace comes after the others' end. */ -}}
{{- define "fusebox.sidecar.gracePeriod" -}}
{{ add (include "fusebox.seconds" (include "fusebox.sidecar.grace" .)) .Values.sidecar.preStopSeconds 15 }}
{{- end }}

{{- /* Labels by which the bundled Redis lets pods in, and by which they are watched. */ -}}
{{- define "fusebox.sidecar.labels" -}}
fusebox.dev/sidecar: "true"
{{- with .Values.sidecar.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}
