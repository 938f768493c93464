package admin

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/settings"
)

// etag is a revision as the header has it.
func etag(revision uint64) string { return `"` + strconv.FormatUint(revision, 10) + `"` }

// conditionOf reads If-Match and If-None-Match of a change (RFC 9110 section 13.1), or says what is wrong with them.
func conditionOf(r *http.Request) (c settings.Condition, problem string) {
	match, none := r.Header.Values("If-Match"), r.Header.Values("If-None-Match")
	if len(none) > 0 {
		if strings.TrimSpace(strings.Join(none, ",")) != "*" {
			return c, "If-None-Match takes * here: the setting must not be there yet"
		}
		c.Absent = true
	}
	if len(match) == 0 {
		return c, ""
	}
	all := strings.Split(strings.Join(match, ","), ",")
	if len(all) > settings.MaxConditions {
		return c, fmt.Sprintf("If-Match takes at most %d tags", settings.MaxConditions)
	}
	for _, tag := range all {
		switch tag = strings.TrimSpace(tag); {
		case tag == "*" && len(all) == 1:
			c.Exists = true
		case !isTag(tag):
			return c, `If-Match takes the ETag of an answer with its quotes, such as "17", or *`
		default:
			c.Revisions = append(c.Revisions, revisionsOf(tag)...)
		}
	}
	c.Never = !c.Exists && len(c.Revisions) == 0
	return c, ""
}

// isTag reports whether s is an entity tag, weak or strong.
func isTag(s string) bool {
	s = strings.TrimPrefix(s, "W/")
	return len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' && !strings.Contains(s[1:len(s)-1], `"`)
}

// revisionsOf returns what a tag names; nothing for one that no setting ever had. Weak tags match nothing (strong
// comparison).
func revisionsOf(tag string) []uint64 {
	n, err := strconv.ParseUint(strings.Trim(tag, `"`), 10, 64)
	if err != nil || n == 0 || etag(n) != tag {
		return nil
	}
	return []uint64{n}
}

// unchanged reports whether a reader has this revision already.
func unchanged(r *http.Request, revision uint64) bool {
	for tag := range strings.SplitSeq(strings.Join(r.Header.Values("If-None-Match"), ","), ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" || tag == etag(revision) {
			return revision > 0
		}
	}
	return false
}
