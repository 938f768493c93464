package jetstream

import (
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	for text, want := range map[string]string{
		`{"urls":["nats://a:4222"]}`: "",
		`{"urls":["nats://a:4222"],"home":"us-east","mirrors":["eu-west"],"near":{"eu-west":["nats://b:4222"]}}`: "",
		`{"urls":["nats://a:4222"],"near":{"eu-west":["nats://b:4222"]}}`:                                        "has no mirror",
		`{"urls":["nats://a:4222"],"mirrors":["eu-west"],"near":{"eu-west":[]}}`:                                 "0 urls",
		`{"urls":["nats://a:4222"],"mirrors":["eu-west"],"near":{"eu-west":["b"]}}`:                              "write nats://HOST:PORT",
		`{"urls":["nats://a:4222"],"home":"us east"}`:                                                            "is no region",
		`{"urls":["nats://a:4222"],"replicas":2}`:                                                                "replicas is 2",
		`{"urls":[]}`:                            "0 urls",
		`{"urls":["nats://me:secret@a:4222"]}`:   "write creds_file",
		`{"urls":["nats://a:4222"],"mirror":[]}`: "near or monitoring",
	} {
		_, err := parse(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
