package jetstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/quorate/quorate/strategies"
)

// Limits of the settings.
const (
	maxURLs     = 32
	maxMirrors  = 16
	maxReplicas = 5
)

// settings are what the operator writes under replication.plugin.settings.
type settings struct {
	URLs       []string `json:"urls"`       // of the NATS servers; one at least
	CredsFile  string   `json:"creds_file"` // of the user; "": none is needed
	CAFile     string   `json:"ca_file"`    // PEM, for servers with certificates of an authority of one's own
	Bucket     string   `json:"bucket"`     // default quorate
	Replicas   int      `json:"replicas"`   // 1, 3 or 5, default 3
	Home       string   `json:"home"`       // the region whose servers, by the tag region:NAME, keep the bucket; "": any do
	Mirrors    []string `json:"mirrors"`    // regions with a mirror, on servers with the tag region:NAME
	Monitoring []string `json:"monitoring"` // of the servers' monitoring ports, for quorate doctor
	// Near are, by region, the servers that mirrors are read from; of a region without, those of URLs.
	Near map[string][]string `json:"near"`
}

var isName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// parse returns what the settings say, with defaults, or what to write instead.
func parse(text string) (settings, error) {
	s := settings{Bucket: "quorate", Replicas: 3}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil || text == "" {
		return s, strategies.Refuse("settings %.200q: %v; write urls, and creds_file, ca_file, bucket, replicas, home, mirrors, near or monitoring", text, err)
	}
	return s, s.check()
}

func (s settings) check() error {
	if len(s.URLs) == 0 || len(s.URLs) > maxURLs {
		return strategies.Refuse("settings name %d urls; write 1 to %d, such as urls: [\"nats://nats-1:4222\"]", len(s.URLs), maxURLs)
	}
	if !isName.MatchString(s.Bucket) {
		return strategies.Refuse("bucket %.80q is no name; write 1 to 64 letters, digits, - and _", s.Bucket)
	}
	if s.Replicas < 1 || s.Replicas > maxReplicas || s.Replicas%2 == 0 {
		return strategies.Refuse("replicas is %d; write 3, or 1 or 5", s.Replicas)
	}
	if len(s.Mirrors) > maxMirrors || slices.ContainsFunc(s.Mirrors, func(m string) bool { return !isName.MatchString(m) }) {
		return strategies.Refuse("mirrors %.200q: write at most %d regions", s.Mirrors, maxMirrors)
	}
	if s.Home != "" && !isName.MatchString(s.Home) {
		return strategies.Refuse("home %.80q is no region", s.Home)
	}
	if err := s.checkNear(); err != nil {
		return err
	}
	for _, f := range []string{s.CredsFile, s.CAFile} {
		if f != "" && !filepath.IsAbs(f) {
			return strategies.Refuse("file %.200q: write its whole path, which begins with /", f)
		}
	}
	return checkURLs(slices.Concat(s.URLs, s.Monitoring))
}

// checkNear wants servers of regions that have a mirror.
func (s settings) checkNear() error {
	for region, urls := range s.Near {
		if !slices.Contains(s.Mirrors, region) {
			return strategies.Refuse("near names %.80q, which has no mirror; write it into mirrors too", region)
		}
		if len(urls) == 0 || len(urls) > maxURLs {
			return strategies.Refuse("near names %d urls of %s; write 1 to %d", len(urls), region, maxURLs)
		}
		if err := checkURLs(urls); err != nil {
			return err
		}
	}
	return nil
}

// checkURLs wants no passwords in the configuration: what is there is shown to operators.
func checkURLs(all []string) error {
	for _, text := range all {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss", "http", "https"}, u.Scheme) {
			return strategies.Refuse("url %.200q: write nats://HOST:PORT, or tls://, and http:// for monitoring", text)
		}
		if u.User != nil {
			return strategies.Refuse("the url of %s has a user in it; write creds_file", u.Host)
		}
	}
	return nil
}

// stream is the name of the bucket's stream.
func (s settings) stream() string { return "KV_" + s.Bucket }

// mirror is the name of the stream that a region reads hints from.
func (s settings) mirror(region string) string { return fmt.Sprintf("KV_%s_%s", s.Bucket, region) }

// subject is where a key's entry is kept.
func (s settings) subject(key string) string { return "$KV." + s.Bucket + "." + key }
