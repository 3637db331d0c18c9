#!/bin/sh
# The demo: enrol the twelve invented people, then ask about photos of them that were not enrolled.
# Works without a network. Everything is written to demo-out, which is made anew.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$(dirname "$here")/demo-out
rm -rf "$out"
mkdir -p "$out"
export LIKENESS_GALLERY="$out/people.gallery"

run() {
    printf '\n$ likeness %s\n' "$*"
    likeness "$@"
}

cd "$here"
run enroll people
run identify probes/Nadia_Okafor_new.jpg
run twins probes/Nadia_Okafor_new.jpg --others -k 3 --sheet "$out/twins.png"
run identify group.jpg
run describe group.jpg --draw "$out/group.png"
printf '\nPictures: %s\n' "$out/twins.png $out/group.png"
