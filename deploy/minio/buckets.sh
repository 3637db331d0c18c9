#!/bin/sh
# Make the buckets, and the account that Likeness has there. Given again it changes nothing.
# The image of mc brings a shell and little else: only what the shell itself can do is used.
set -eu
secret() {
    value=
    read -r value < "/run/secrets/$1" || [ -n "$value" ]
    printf '%s' "$value"
}

mc alias set here http://minio:9000 "$(secret minio_root_user)" "$(secret minio_root_password)" > /dev/null
for bucket in photos spool faces; do
    mc mb --ignore-existing "here/$bucket"
done
# What is left of killed workers goes in the end; answered photos go from there at once.
mc ilm rule ls here/spool > /dev/null 2>&1 || mc ilm rule add --expire-days 14 here/spool
mc admin user add here likeness "$(secret minio_likeness)"
mc admin policy create here likeness-buckets /likeness-policy.json
case $(mc admin policy entities here --user likeness) in
*likeness-buckets*) ;;
*) mc admin policy attach here likeness-buckets --user likeness ;;
esac
