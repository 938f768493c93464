package demo

import (
	"path/filepath"

	"github.com/quorate/quorate/internal/ca"
)

// issue makes a fleet's authority and a certificate for each region's gateway in dir.
func issue(dir string, regions []string) (map[string]identity, error) {
	dir = filepath.Join(dir, "ca")
	if err := ca.Init(dir, ca.Options{}); err != nil {
		return nil, err
	}
	ids := make(map[string]identity, len(regions))
	for _, region := range regions {
		files, err := ca.Issue(dir, region, gatewayName(region), ca.Options{})
		if err != nil {
			return nil, err
		}
		ids[region] = identity{ca: filepath.Join(dir, ca.CertFile), cert: files.Cert, key: files.Key}
	}
	return ids, nil
}
