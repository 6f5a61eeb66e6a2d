#!/usr/bin/env bash
# Brings the servers that the tests start: Prometheus, and a Kubernetes control plane. On Debian, as
# root; anywhere else it says what to install, and the tests that need them are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }
missing() { echo "$1: not found, its tests are skipped; $2" >&2; }

if ! command -v prometheus >/dev/null; then
  if may_install; then
    echo "Installing Prometheus"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends prometheus >/dev/null
  else
    missing prometheus "install it, and put it on the PATH"
  fi
fi

if ! tools/build_kubernetes.sh --find >/dev/null; then
  if may_install; then
    tools/build_kubernetes.sh >/dev/null
  else
    missing kube-apiserver "set KUBEBUILDER_ASSETS to a folder with it (see tools/build_kubernetes.sh)"
  fi
fi
