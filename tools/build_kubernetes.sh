#!/usr/bin/env bash
# Fills a cache with etcd and Debian 12's Kubernetes API server, controller manager and scheduler,
# for the tests that talk to a real cluster. Debian ships them as source alone: this builds them,
# once (3 to 6 minutes on two cores). Prints the folder that holds them.
#
# Looked for first: $KUBEBUILDER_ASSETS (the convention of envtest), then the PATH.
#
#   tools/build_kubernetes.sh            # build where nothing is found
#   tools/build_kubernetes.sh --find     # only look: prints the folder, or exits with 1
set -euo pipefail

commands=(etcd kube-apiserver kube-controller-manager kube-scheduler)
cache="${STOKER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stoker}/kubernetes"

holds_all() { # FOLDER
  local name
  for name in "${commands[@]}"; do [ -x "$1/$name" ] || return 1; done
}

find_assets() {
  if [ -n "${KUBEBUILDER_ASSETS:-}" ] && holds_all "$KUBEBUILDER_ASSETS"; then
    echo "$KUBEBUILDER_ASSETS"
    return
  fi
  local server
  if server="$(command -v kube-apiserver)" && holds_all "$(dirname "$server")"; then
    dirname "$server"
    return
  fi
  if holds_all "$cache/bin"; then
    echo "$cache/bin"
    return
  fi
  return 1
}

if find_assets; then exit; fi
if [ "${1:-}" = --find ]; then exit 1; fi

say() { echo "$*" >&2; }
stop() { say "$*"; exit 1; }

. /etc/os-release 2>/dev/null || true
[ "${VERSION_CODENAME:-}" = bookworm ] || stop \
  "Kubernetes is built here on Debian 12 alone; elsewhere, set KUBEBUILDER_ASSETS to a folder with:" \
  "${commands[*]} (setup-envtest brings the first two)"
[ "$(id -u)" = 0 ] || stop "Building Kubernetes installs Debian packages: run as root, or set KUBEBUILDER_ASSETS"

mkdir -p "$cache/bin"
exec 9>"$cache/lock"
flock 9
if find_assets; then exit; fi # another process was faster

log="$cache/build.log"
say "Building Kubernetes for the tests, once (3 to 6 minutes); log: $log"
trap 'say "It failed; the end of $log:"; tail -n 20 "$log" >&2' ERR

work="$cache/work"
rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/sources" "$work/go/src/k8s.io"

{
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends \
    golang-go dpkg-dev etcd-server golang-github-modern-go-reflect2-dev

  # Sources of the archives that packages come from already, without touching the system's list.
  for list in /etc/apt/sources.list.d/*.sources; do
    grep -q '^Suites:.*bookworm' "$list" || continue
    sed 's/^Types:.*/Types: deb-src/' "$list" >"$work/sources/$(basename "$list")"
  done
  if [ -f /etc/apt/sources.list ]; then
    sed -n 's/^deb \(.*bookworm.*\)/deb-src \1/p' /etc/apt/sources.list >"$work/sources/sources.list"
  fi
  apt_source=(
    -o "Dir::Etc::sourcelist=$work/sources/sources.list"
    -o "Dir::Etc::sourceparts=$work/sources"
    -o "Dir::State::lists=$work/lists"
  )
  apt-get "${apt_source[@]}" update -qq
  cd "$work"
  apt-get "${apt_source[@]}" source -qq --download-only kubernetes
  dpkg-source -x kubernetes_*.dsc kubernetes

  # The vendored reflect2 crashes in CRDs with this compiler; Debian's own does not.
  rm -rf kubernetes/vendor/github.com/modern-go/reflect2
  cp -r /usr/share/gocode/src/github.com/modern-go/reflect2 \
    kubernetes/vendor/github.com/modern-go/reflect2
  ln -s "$work/kubernetes" "$work/go/src/k8s.io/kubernetes"

  export GOPATH="$work/go" GO111MODULE=off GOPROXY=off CGO_ENABLED=0 GOFLAGS= \
    GOCACHE="$work/go-cache"
  cd "$GOPATH/src/k8s.io/kubernetes"

  # The server refuses to start without the descriptions of its types, which are generated.
  mapfile -t described < <(
    grep -rl --include='*.go' '+k8s:openapi-gen=' pkg vendor/k8s.io staging/src/k8s.io 2>/dev/null |
      grep -v -e _test.go -e testdata -e /cmd/ -e '/test/' -e sample- -e /examples/ -e code-generator -e kube-openapi |
      xargs -n 1 dirname | sed 's#^staging/src/#vendor/#' | sort -u
  )
  packages=""
  for folder in "${described[@]}"; do
    case "$folder" in
      vendor/*) packages="$packages,${folder#vendor/}" ;;
      *) packages="$packages,k8s.io/kubernetes/$folder" ;;
    esac
  done
  go build -o "$work/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
  touch "$work/header.txt"
  "$work/openapi-gen" --go-header-file "$work/header.txt" \
    --output-file-base zz_generated.openapi \
    --output-package k8s.io/kubernetes/pkg/generated/openapi \
    --input-dirs "${packages#,}" \
    --report-filename "$work/violations.txt"

  version="v1.20.2"
  flags=""
  for package in component-base/version client-go/pkg/version; do
    prefix="k8s.io/kubernetes/vendor/k8s.io/$package"
    flags="$flags -X $prefix.gitVersion=$version -X $prefix.gitMajor=1 -X $prefix.gitMinor=20"
    flags="$flags -X $prefix.gitTreeState=clean"
  done
  go build -tags providerless -trimpath -ldflags "-s -w$flags" -o "$work/bin/" \
    ./cmd/kube-apiserver ./cmd/kube-controller-manager ./cmd/kube-scheduler
  cp "$(command -v etcd)" "$work/bin/etcd"
  mv "$work"/bin/* "$cache/bin/"
} >"$log" 2>&1

rm -rf "$work"
find_assets
