{{- /* Of every pod: who it runs as, and what it must not have. A Service named likeness would put LIKENESS_… variables
       into pods, which are no settings: no service links. */ -}}
{{- define "likeness.pod" -}}
serviceAccountName: {{ include "likeness.account" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "likeness.container" -}}
{{- include "likeness.containerOf" (dict "root" . "image" (include "likeness.image" .)) }}
{{- end }}

{{- define "likeness.containerOf" -}}
image: {{ .image }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- /* Threads are those of the container's limit, which cannot be seen from inside. */ -}}
{{- define "likeness.env" -}}
- name: LIKENESS_THREADS
  valueFrom:
    resourceFieldRef: {resource: limits.cpu}
- name: LIKENESS_KEYS
  value: /keys/api.keys
{{- if .Values.galleryKey.secret }}
- name: LIKENESS_GALLERY_KEY_FILE
  value: /gallery-key/{{ .Values.galleryKey.key }}
{{- end }}
{{- with .Values.s3.endpoint }}
- name: AWS_ENDPOINT_URL_S3
  value: {{ . | quote }}
{{- end }}
{{- if .Values.models.claim }}
- name: LIKENESS_MODELS
  value: /shared/models
- name: LIKENESS_FLOWS_FOLDER
  value: /shared/refresh
{{- end }}
{{- if .Values.workers.enabled }}
- name: LIKENESS_SERVE_WORKERS
  value: "true"
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: LIKENESS_{{ upper $name }}
  value: {{ include "likeness.figure" $value | quote }}
{{- end }}
{{- end }}

{{- /* Helm reads whole numbers as fractions, and writes large ones with an exponent; lists are told with commas. */ -}}
{{- define "likeness.figure" -}}
{{- if kindIs "slice" . }}{{ join "," . }}{{ else if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ toString . }}{{ end }}
{{- end }}

{{- define "likeness.envFrom" -}}
{{- with include "likeness.secret" . -}}
envFrom:
  - secretRef: {name: {{ . }}}
{{- end }}
{{- end }}

{{- define "likeness.mounts" -}}
- {name: data, mountPath: /data}
- {name: tmp, mountPath: /tmp}
- {name: keys, mountPath: /keys, readOnly: true}
{{- include "likeness.galleryKeyMount" . }}
{{- if .Values.models.claim }}
- {name: shared, mountPath: /shared, readOnly: true}
{{- end }}
{{- end }}

{{- define "likeness.galleryKeyMount" -}}
{{- if .Values.galleryKey.secret }}
- {name: gallery-key, mountPath: /gallery-key, readOnly: true}
{{- end }}
{{- end }}

{{- define "likeness.volumes" -}}
- name: data
  {{- if eq .Values.mode "single" }}
  persistentVolumeClaim: {claimName: {{ include "likeness.data" . }}}
  {{- else }}
  emptyDir: {sizeLimit: {{ .Values.api.answersSize }}}
  {{- end }}
- name: tmp
  emptyDir: {sizeLimit: {{ .Values.tmpSize }}}
- name: keys
  secret: {secretName: {{ .Values.keys.secret }}, defaultMode: 0440}
{{- with .Values.galleryKey }}
{{- if .secret }}
- name: gallery-key # it belongs to root and to the pod's group, which is taken; were it readable to all, it would not be
  secret: {secretName: {{ .secret }}, defaultMode: 0440, items: [{key: {{ .key | quote }}, path: {{ .key | quote }}}]}
{{- end }}
{{- end }}
{{- if .Values.models.claim }}
- name: shared
  persistentVolumeClaim: {claimName: {{ .Values.models.claim }}}
{{- end }}
{{- end }}

{{- /* A change of the secrets that the chart makes, or of settings, starts pods anew. */ -}}
{{- define "likeness.podMetadata" -}}
annotations:
  checksum/secrets: {{ toYaml .root.Values.secrets.create | sha256sum }}
  {{- with .root.Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
labels:
  {{- include "likeness.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "likeness.httpProbes" -}}
startupProbe:
  httpGet: {path: /v1/health, port: http}
  periodSeconds: 3
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /v1/health, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /v1/ready, port: http}
  periodSeconds: 5
  timeoutSeconds: 4
  failureThreshold: 2
{{- end }}

{{- /* Spread over machines and zones, where there are several. */ -}}
{{- define "likeness.spread" -}}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "likeness.selector" $.root | nindent 8 }}
        app.kubernetes.io/component: {{ $.component }}
  {{- end }}
{{- end }}
