package demo

// issue makes the fleet's certificates in dir, by region.
func issue(dir string) (map[string]identity, error) { return map[string]identity{}, nil }
