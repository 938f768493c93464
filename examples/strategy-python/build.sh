#!/bin/sh
# Writes one executable file, $1 (default my-strategy), that holds the strategy and the code generated for it. It needs
# Debian's protobuf-compiler, protobuf-compiler-grpc, python3-grpcio, python3-protobuf and python3-cryptography.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-my-strategy}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/__main__.py" "$here/decide.py" "$work/"
for proto in "$here/../../plugins/v1/strategy.proto" "$here/health.proto"; do
  protoc -I "$(dirname "$proto")" --python_out="$work" --grpc_out="$work" \
    --plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin "$proto"
done
/usr/bin/python3 -m zipapp "$work" --python '/usr/bin/python3 -I' --output "$out"
