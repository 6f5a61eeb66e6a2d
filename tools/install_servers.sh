#!/usr/bin/env bash
# Brings the servers that tests and demonstrations start: Prometheus, and a Kubernetes control plane,
# with OpenSSL for its keys. On Debian, as root; anywhere else it says what to install: tests that
# need them are skipped there.
set -euo pipefail
cd "$(dirname "$0")/.."

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }
missing() { echo "$1: not found, tests that need it are skipped; $2" >&2; }

absent=()
for name in prometheus openssl; do
  command -v "$name" >/dev/null || absent+=("$name")
done
if [ "${#absent[@]}" -gt 0 ]; then
  if may_install; then
    echo "Installing ${absent[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${absent[@]}" >/dev/null
  else
    for name in "${absent[@]}"; do missing "$name" "install it, and put it on the PATH"; done
  fi
fi

if ! tools/build_kubernetes.sh --find >/dev/null; then
  if may_install; then
    tools/build_kubernetes.sh >/dev/null
  else
    missing kube-apiserver "set KUBEBUILDER_ASSETS to a folder with it (see tools/build_kubernetes.sh)"
  fi
fi
