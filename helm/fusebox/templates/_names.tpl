{{- /* Names, labels, images and what every pod has in common. */ -}}

{{- define "fusebox.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "fusebox.controlPlane.name" -}}{{ include "fusebox.fullname" . }}-control-plane{{- end }}
{{- define "fusebox.injector.name" -}}{{ include "fusebox.fullname" . }}-injector{{- end }}
{{- define "fusebox.redis.name" -}}{{ include "fusebox.fullname" . }}-redis{{- end }}

{{- define "fusebox.serviceAccount" -}}
{{- if .Values.controlPlane.serviceAccount.create -}}
{{- default (include "fusebox.controlPlane.name" .) .Values.controlPlane.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.controlPlane.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- /* (list . "component") */ -}}
{{- define "fusebox.labels" -}}
{{- $root := index . 0 -}}
{{ include "fusebox.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: fusebox
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "fusebox.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- /* (list . .Values.sidecar.image): the registry is the image's own or image.registry. */ -}}
{{- define "fusebox.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := default $root.Values.image.registry $image.registry -}}
{{- $name := $image.repository -}}
{{- if $registry -}}{{- $name = printf "%s/%s" (trimSuffix "/" $registry) $image.repository -}}{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default $root.Values.image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{- define "fusebox.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "fusebox.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.security.runAsUser }}
runAsUser: {{ . }}
{{- end }}
{{- with .Values.security.runAsGroup }}
runAsGroup: {{ . }}
{{- end }}
{{- with .Values.security.fsGroup }}
fsGroup: {{ . }}
{{- end }}
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "fusebox.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- /* (list . seconds): goes on serving until nobody is sent here any more. Needs no shell, but Kubernetes 1.30. */ -}}
{{- define "fusebox.preStop" -}}
{{- $root := index . 0 -}}
{{- if and (gt (int (index . 1)) 0) (semverCompare ">=1.30.0-0" $root.Capabilities.KubeVersion.Version) }}
lifecycle: { preStop: { sleep: { seconds: {{ int (index . 1) }} } } }
{{- end }}
{{- end }}

{{- /* A duration such as 1m30s in whole seconds, rounded up. */ -}}
{{- define "fusebox.seconds" -}}
{{- $scales := dict "d" 86400000 "h" 3600000 "m" 60000 "s" 1000 "ms" 1 -}}
{{- $total := 0.0 -}}
{{- range regexFindAll "[0-9.]+(ms|[dhms])" (toString .) -1 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $total = addf $total (mulf (float64 (trimSuffix $unit .)) (float64 (get $scales $unit))) -}}
{{- end -}}
{{- ceil (divf $total 1000.0) | int64 -}}
{{- end }}

{{- /* The port of an address such as 0.0.0.0:8080. */ -}}
{{- define "fusebox.port" -}}{{- regexFind "[0-9]+$" . -}}{{- end }}
