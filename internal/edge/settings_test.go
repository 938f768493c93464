package edge

import (
	"testing"

	"github.com/quorate/quorate/internal/config"
)

// A route's writes need authority unless its file says otherwise.
func TestAuthorityOfRoutes(t *testing.T) {
	routes := routesOf([]config.Route{{}, {Authority: config.AuthorityRequired}, {Authority: config.AuthorityNone}}, config.Service{})
	for i, exempt := range []bool{false, false, true} {
		if routes[i].Exempt != exempt {
			t.Errorf("route %d: exempt %t", i, routes[i].Exempt)
		}
	}
}
