package config

// Check reads the text of a configuration file as Load does, but for what only the gateway's machine can show: the files
// that it names and the environment. An error is of type Problems; name is what they call the file.
func Check(name string, text []byte) (*Config, error) {
	r := newReport(name)
	c := parse(r, text, nil)
	if err := r.problems(); err != nil {
		return nil, err
	}
	return c, nil
}
