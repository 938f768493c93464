package verify

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/quorate/quorate/gateway/mcp"
)

// discovery is the outcome of server/discover.
type discovery struct {
	versions []string // newest first, nil if refused
	modern   string
	caps     capabilities
	refused  error
}

// discover asks what the node speaks. A refusal that says "I do not know this" is an outcome: legacy.
func (p *probe) discover(ctx context.Context) (discovery, error) {
	d, err := p.discoverAt(ctx, mcp.Version20260728)
	if r, ok := errors.AsType[*refusal](err); ok && modernOf(r.Supported) != "" {
		d, err = p.discoverAt(ctx, modernOf(r.Supported))
	}
	if err == nil {
		return d, nil
	}
	if !isFinal(err) {
		return d, err
	}
	r, _ := errors.AsType[*refusal](err)
	return discovery{versions: r.Supported, refused: err}, nil
}

func (p *probe) discoverAt(ctx context.Context, version string) (d discovery, err error) {
	a, err := p.call(ctx, request{method: mcp.MethodDiscover, version: version})
	if err != nil {
		return d, err
	}
	var result struct {
		SupportedVersions []string     `json:"supportedVersions"`
		Capabilities      capabilities `json:"capabilities"`
	}
	if err := json.Unmarshal(a.result, &result); err != nil || len(result.SupportedVersions) == 0 {
		return d, &refusal{Method: mcp.MethodDiscover, Status: http.StatusOK, Text: "the result names no versions"}
	}
	d.versions, d.caps = tidyVersions(result.SupportedVersions), result.Capabilities
	d.modern = modernOf(d.versions)
	return d, nil
}

const (
	maxVersions   = 32
	maxVersionLen = 32
)

// tidyVersions returns the plausible ones of versions, newest first, without duplicates.
func tidyVersions(versions []string) []string {
	var out []string
	for _, v := range versions {
		if plausible(v) && len(out) < maxVersions {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	slices.Reverse(out)
	return slices.Compact(out)
}

// plausible reports whether v can be a version: versions go into headers.
func plausible(v string) bool {
	for _, c := range []byte(v) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return v != "" && len(v) <= maxVersionLen
}

// modernOf returns the version to speak to a node that names versions: ours if it is there, else its
// newest modern one, else "".
func modernOf(versions []string) string {
	best := ""
	for _, v := range versions {
		if v == mcp.Version20260728 {
			return v
		}
		if mcp.EraOf(v) == mcp.Modern {
			best = max(best, v)
		}
	}
	return best
}

// legacyOf returns the newest legacy version of versions, else "".
func legacyOf(versions []string) string {
	best := ""
	for _, v := range versions {
		if mcp.EraOf(v) == mcp.Legacy {
			best = max(best, v)
		}
	}
	return best
}
