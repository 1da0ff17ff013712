#!/usr/bin/env bash
# Builds the CPU image without a container engine, and runs it as an orchestrator would: process 1,
# a user without rights, a read-only root. Its base is a stand-in for Docker Hub's python:*-slim,
# made of Debian's own packages. Needs root, and Debian's buildah, debootstrap and curl.
# Arguments go to `buildah build`; --volume lets it see package indexes that lie on this machine.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp --directory)
port=${PORT:-8019}
store=(--log-level error --storage-driver vfs --root "$work/store" --runroot "$work/run")
clean() { # whatever was begun: it can end before there is a server, a store, or buildah itself
    [ -z "${server:-}" ] || pkill -KILL --parent "$server" || true
    buildah "${store[@]}" umount --all >/dev/null || true
    rm -rf "$work"
}
trap clean EXIT

say() { printf '%-56s %s\n' "$@"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
megabytes() { echo "$(($(du --summarize --bytes "$1" | cut -f 1) / 1000000)) MB"; }

# The base: Python where python:*-slim has it, and pip beside it, which the image takes away.
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
    bookworm "$work/base" >"$work/base.log" 2>&1 || { cat "$work/base.log" >&2; exit 1; }
chroot "$work/base" python3 -m venv /usr/local
rm -rf "$work"/base/var/{cache/apt,lib/apt/lists}/* "$work"/base/usr/share/{doc,man,locale}/*
base=$(buildah "${store[@]}" from scratch)
buildah "${store[@]}" add --quiet "$base" "$work/base" / >/dev/null
buildah "${store[@]}" commit --quiet "$base" localhost/python:stand-in >/dev/null
say 'base, a stand-in' "$(megabytes "$work/base")"

arguments=(--isolation chroot --pull-never --build-arg PYTHON=stand-in
    --volume /etc/ssl/certs:/etc/ssl/certs:ro "$@")
make --no-print-directory image BUILDER="buildah ${store[*]}" ARGS="${arguments[*]}" \
    >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log" >&2; exit 1; }
image=$(buildah "${store[@]}" from cxr-inference:cpu)
root=$(buildah "${store[@]}" mount "$image")
field() { buildah "${store[@]}" inspect --format "$1" "$image"; }
say 'image' "$(megabytes "$root")"
say '  of which packages' "$(megabytes "$root/opt/venv")"
say '  of which the service and its checkpoint' "$(megabytes "$root/srv")"
say 'version, by its label' "$(field '{{index .OCIv1.Config.Labels "org.opencontainers.image.version"}}')"

for name in tensorflow pip pytest; do
    found=$(find "$root/opt/venv" "$root/usr/local" -type d -path "*/site-packages/$name" -print -quit)
    [ -z "$found" ] || fail "$name is in the image: $found"
done
[ "$(ls "$root/srv")" = "$(printf 'app\nmodels')" ] || fail "in /srv: $(ls "$root/srv")"
say 'TensorFlow, pip, tests and training' 'not in it'

user=$(field '{{.OCIv1.Config.User}}')
mapfile -t environment < <(field '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' | sed '/^$/d')
mapfile -t command < <(field '{{range .OCIv1.Config.Entrypoint}}{{println .}}{{end}}' | sed '/^$/d')
inside() { # the command of the image, or another, in a container poor in everything
    # shellcheck disable=SC2016
    unshare --mount --pid --fork --kill-child sh -c '
        root=$1; shift
        mount --bind "$root" "$root"; mount -o remount,bind,ro "$root"
        mount -t proc proc "$root/proc"; mount -t tmpfs tmpfs "$root/tmp"
        mount -t tmpfs tmpfs "$root/dev"; mkdir -m 1777 "$root/dev/shm"
        for device in null zero urandom; do
            touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"
        done
        cd "$root/srv"; exec "$@"' sh "$root" \
        chroot --userspec="$user:$user" "$root" env --chdir=/srv --ignore-environment \
        "${environment[@]}" CXR_PORT="$port" CXR_OOD=warn CXR_ADMIN_KEY=check "$@"
}
inside "${command[@]}" >"$work/log" 2>&1 &
server=$!
for _ in $(seq 150); do
    curl --silent --fail --output "$work/health" "http://127.0.0.1:$port/health/ready" && break
    kill -0 $server 2>/dev/null || { cat "$work/log" >&2; fail 'it ended'; }
    sleep 0.2
done
pid=$(pgrep --parent "$(pgrep --parent $server)") || fail "no process"
say 'runs as user, and as process' "$(awk '/^Uid/ {printf $2} /^NSpid/ {print ", " $NF}' "/proc/$pid/status")"
inside touch /srv/app/x 2>"$work/refused" && fail 'its root can be written to'
say 'writing to its root' "$(sed 's/.*: //' "$work/refused")"

make --no-print-directory install >/dev/null
.venv/bin/python -c 'import sys; from benchmarks.rig.corpus.drawing import draw_radiograph, encode
sys.stdout.buffer.write(encode(draw_radiograph()))' >"$work/drawn.png"
status=$(curl --silent --output "$work/answer" --write-out '%{http_code}' \
    --form "file=@$work/drawn.png" "http://127.0.0.1:$port/predict")
grep --quiet "$(sha256sum models/best_model.h5 | cut -d ' ' -f 1)" "$work/answer" || fail "$(cat "$work/answer")"
say 'POST /predict, by models/best_model.h5' "$status"

reloaded=$(curl --silent --output "$work/answer" --write-out '%{http_code}' \
    --request POST --header 'X-API-Key: check' "http://127.0.0.1:$port/admin/reload")
[ "$reloaded" = 200 ] || fail "$(cat "$work/answer")"
say 'POST /admin/reload, without TensorFlow' "$reloaded"

kill -TERM "$pid"
wait "$server" && ended=0 || ended=$?
unset server
say 'exit status after SIGTERM' "$ended"
[ "$status $ended" = '200 0' ]
