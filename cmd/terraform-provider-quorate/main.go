// Command terraform-provider-quorate is the Terraform provider for Quorate fleets; Terraform runs it. It must not be part
// of the gateway, nor start one.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/quorate/quorate/internal/tfprovider"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "terraform-provider-quorate:", err)
		os.Exit(1)
	}
}

func run() error {
	var wait bool
	flag.BoolVar(&wait, "debug", false, "wait for a debugger, and print what Terraform needs to find this process")
	flag.Parse()
	return providerserver.Serve(context.Background(), func() provider.Provider { return &tfprovider.Provider{Version: version()} },
		providerserver.ServeOpts{Address: tfprovider.Address, ProtocolVersion: 6, Debug: wait})
}

// version is the module's, or dev for a build of a work tree.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "dev"
	}
	return info.Main.Version
}
