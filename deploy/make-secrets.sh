#!/bin/sh
# Random passwords for deploy/compose.yaml, below deploy/secrets. What is there already stays as it is.
#
#   sh deploy/make-secrets.sh             the gallery on PostgreSQL
#   sh deploy/make-secrets.sh --elastic   the gallery on Elasticsearch
#
# The folder is yours alone (0700). The files in it may be read (0444; 0644 those that you edit), because each container
# reads its own as another account, and without the folder nobody on this machine reaches them.
set -eu
umask 077
folder=${SECRETS:-$(dirname "$0")/secrets}
gallery=postgres
case ${1:-} in
'') ;;
--elastic) gallery=elastic ;;
*)
    echo "usage: $0 [--elastic]" >&2
    exit 2
    ;;
esac
engine=$folder/likeness.toml
if [ "$gallery" = elastic ] && [ -s "$engine" ] && ! grep -q '^gallery = "elasticsearch:' "$engine"; then
    echo "$engine is there and names another engine: it was not changed. Write the gallery's address into it yourself," >&2
    echo "or remove it (and the webhook_secret in it) and run this again." >&2
    exit 1
fi
mkdir -p "$folder"
chmod 700 "$folder"

# 192 bits, of letters and figures alone: they stand in addresses and in files of several kinds.
random() { LC_ALL=C tr -dc 'A-Za-z0-9' < /dev/urandom | head -c 32; }
# keep NAME: what comes on standard input, unless the file is there.
keep() {
    if [ -s "$folder/$1" ]; then
        cat > /dev/null
    else
        cat > "$folder/$1.new"
        chmod 444 "$folder/$1.new"
        mv "$folder/$1.new" "$folder/$1"
        echo "made $1"
    fi
}

for name in postgres_root postgres_likeness minio_root_password minio_likeness elastic_password grafana_admin redis_password; do
    random | keep "$name"
done
echo likeness-root | keep minio_root_user
keep redis.conf << END
requirepass $(cat "$folder/redis_password")
dir /data
appendonly yes
appendfsync always
maxmemory 512mb
maxmemory-policy noeviction
END
keep likeness_s3 << END
[default]
aws_access_key_id = likeness
aws_secret_access_key = $(cat "$folder/minio_likeness")
END
postgres=postgresql://likeness:$(cat "$folder/postgres_likeness")@postgres:5432/likeness
case $gallery in
postgres) address=$postgres ;;
elastic) # without TLS, as it is reached on the inner network alone
    address="elasticsearch://elastic:$(cat "$folder/elastic_password")@elasticsearch:9200/likeness?allow_plain=yes" ;;
esac
keep likeness.toml << END
gallery = "$address"
records = "$postgres"
queue = "redis://:$(cat "$folder/redis_password")@redis:6379/0"
webhook_secret = "$(random)"
END
[ -e "$folder/bot_token" ] || : > "$folder/bot_token"
chmod 644 "$folder/bot_token" "$folder/likeness.toml"
echo "secrets are in $folder; for the bot write its token into $folder/bot_token"
