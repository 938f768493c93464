// Module proto pins what writes the Go code of plugins/v1, apart from the other tools: a linter's new pin does not
// build it anew. It is protoc without protoc: the compiler is a Go library, so that nothing has to be installed.
module github.com/quorate/quorate/tools/proto

go 1.26.0

tool (
	github.com/quorate/quorate/tools/proto/protogen
	google.golang.org/grpc/cmd/protoc-gen-go-grpc
	google.golang.org/protobuf/cmd/protoc-gen-go
)

require (
	github.com/bufbuild/protocompile v0.14.1
	google.golang.org/protobuf v1.36.12
)

require (
	golang.org/x/sync v0.8.0 // indirect
	google.golang.org/grpc/cmd/protoc-gen-go-grpc v1.6.2 // indirect
)
