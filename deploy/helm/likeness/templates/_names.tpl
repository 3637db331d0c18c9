{{- define "likeness.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "likeness.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "likeness.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "likeness.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "likeness.account" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "likeness.name" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "likeness.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "likeness.secret" -}}
{{- if .Values.secrets.existing }}{{ .Values.secrets.existing }}{{ else if .Values.secrets.create }}{{ include "likeness.name" . }}{{ end }}
{{- end }}

{{- define "likeness.data" -}}
{{ .Values.persistence.claim | default (printf "%s-data" (include "likeness.name" .)) }}
{{- end }}

{{- /* What cannot work is refused here, in words, before anything is made. */ -}}
{{- define "likeness.check" -}}
{{- $cluster := eq .Values.mode "cluster" -}}
{{- if not .Values.keys.secret }}
{{- fail "keys.secret: name a Secret with the file api.keys (likeness keys create; kubectl create secret generic NAME --from-file=api.keys)" }}
{{- end }}
{{- if and $cluster (not (include "likeness.secret" .)) }}
{{- fail "mode cluster: secrets.existing or secrets.create must bring LIKENESS_GALLERY, the address of a server's gallery" }}
{{- end }}
{{- if and $cluster .Values.secrets.create (not .Values.secrets.existing) (not (hasKey .Values.secrets.create "LIKENESS_GALLERY")) }}
{{- fail "mode cluster: secrets.create lacks LIKENESS_GALLERY; a gallery in a file cannot be shared by several pods" }}
{{- end }}
{{- if and .Values.secrets.existing .Values.secrets.create }}
{{- fail "secrets: existing and create exclude each other" }}
{{- end }}
{{- range $part, $on := dict "workers" .Values.workers.enabled "watch" .Values.watch.enabled "api.autoscaling" .Values.api.autoscaling.enabled "schedules.refresh" .Values.schedules.refresh.enabled }}
{{- if and $on (not $cluster) }}
{{- fail (printf "%s wants mode cluster: in mode single there is one pod" $part) }}
{{- end }}
{{- end }}
{{- if and .Values.watch.enabled (not .Values.watch.place) }}
{{- fail "watch.place: name what is watched, such as s3://photos/inbox" }}
{{- end }}
{{- if and .Values.bot.enabled (not .Values.bot.secret) }}
{{- fail "bot.secret: name a Secret with LIKENESS_BOT_TOKEN and LIKENESS_BOT_KEY" }}
{{- end }}
{{- if and .Values.schedules.refresh.enabled (not (and .Values.schedules.refresh.image .Values.models.claim)) }}
{{- fail "schedules.refresh wants an image with the extra flows (schedules.refresh.image) and models.claim" }}
{{- end }}
{{- if and .Values.monitoring.enabled (not .Values.monitoring.keySecret.name) }}
{{- fail "monitoring.keySecret.name: name a Secret with an API key of scope read" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.host: name the host" }}
{{- end }}
{{- if and .Values.workers.autoscaling.enabled (not .Values.monitoring.enabled) }}
{{- fail "workers.autoscaling wants monitoring.enabled: KEDA reads the queues' depth from Prometheus" }}
{{- end }}
{{- if and .Values.galleryKey.secret (hasKey (.Values.secrets.create | default dict) "LIKENESS_GALLERY_KEY") }}
{{- fail "galleryKey.secret and LIKENESS_GALLERY_KEY in secrets.create exclude each other: say which key is used" }}
{{- end }}
{{- if or .Values.workers.enabled .Values.watch.enabled }}
{{- include "likeness.checkShared" . }}
{{- end }}
{{- end }}

{{- /* Workers, watch and API meet in queue, records and spool: unless told otherwise each pod has files of its own, and
       photos would be taken and lie there for good. */ -}}
{{- define "likeness.checkShared" -}}
{{- $create := .Values.secrets.create | default dict -}}
{{- if not .Values.secrets.existing }}
{{- range $name := list "LIKENESS_QUEUE" "LIKENESS_RECORDS" }}
{{- if not (contains "://" (get $create $name | default "" | toString)) }}
{{- fail (printf "secrets.create lacks %s, the address of a server: workers, watch and API meet there" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- $spool := .Values.settings.spool | default (get $create "LIKENESS_SPOOL") | default "" | toString -}}
{{- if or (not (contains "://" $spool)) (hasPrefix "file:" $spool) }}
{{- fail "settings.spool: name a bucket that all pods reach, such as s3://likeness-spool; a folder is one pod's own" }}
{{- end }}
{{- end }}
