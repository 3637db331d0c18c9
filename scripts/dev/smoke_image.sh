#!/bin/sh
# Whether an image runs as it is deployed: read-only root, no capabilities, nobody's account; and ends when it is told to.
#
#   sh scripts/dev/smoke_image.sh likeness:local
set -eu
image=$1
name=likeness-smoke-$$
guarded="--read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs /tmp --volume $name:/data"
trap 'docker rm --force "$name" > /dev/null 2>&1 || true; docker volume rm --force "$name" > /dev/null' EXIT

docker volume create "$name" > /dev/null
# shellcheck disable=SC2086 # options, split on purpose
key=$(docker run --rm $guarded "$image" keys create smoke --scope admin --quiet)
# shellcheck disable=SC2086
docker run --detach --name "$name" $guarded --publish 127.0.0.1:8765:8000 "$image" serve --ui --host 0.0.0.0 > /dev/null
for _ in $(seq 60); do
    state=$(docker inspect --format '{{.State.Health.Status}}' "$name")
    [ "$state" = healthy ] && break
    sleep 2
done
[ "$state" = healthy ] || {
    docker logs "$name"
    exit 1
}
curl --fail --silent --header "x-api-key: $key" --form photo=@samples/group.jpg http://127.0.0.1:8765/v1/faces |
    grep -q box
docker stop --time 40 "$name" > /dev/null
code=$(docker inspect --format '{{.State.ExitCode}}' "$name")
[ "$code" = 0 ] || {
    echo "it ended with code $code" >&2
    exit 1
}
echo "$image starts, answers and ends"
