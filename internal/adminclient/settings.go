package adminclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/settings"
)

// Absent is the revision of what is not there yet.
const Absent uint64 = 0

func pathOf(kind, name string) string { return "/v1/" + kind + "/" + url.PathEscape(name) }

// condition makes a change compare-and-set: on what is at that revision, or, with Absent, on what is not there.
func (q *request) condition(revision uint64) {
	if revision == Absent {
		q.none = "*"
		return
	}
	q.match = strconv.Quote(strconv.FormatUint(revision, 10))
}

// Setting reads one setting.
func (c *Client) Setting(ctx context.Context, kind settings.Kind, name string) (s admin.Setting, err error) {
	err = c.read(ctx, pathOf(string(kind), name), &s)
	return s, err
}

// PutSetting sets the document at that revision. When a try before the last one may have happened, and the document is
// found as wanted, it did.
func (c *Client) PutSetting(ctx context.Context, kind settings.Kind, name string, body []byte, revision uint64) (s admin.Setting, err error) {
	q := request{method: http.MethodPut, path: pathOf(string(kind), name), body: body}
	q.condition(revision)
	a, err := c.do(ctx, q)
	if err != nil {
		if a.unsure && Conflict(err) {
			if now, rerr := c.Setting(ctx, kind, name); rerr == nil && SameJSON(now.Settings, body) {
				return now, nil
			}
		}
		return admin.Setting{}, err
	}
	if err := json.Unmarshal(a.body, &s); err != nil {
		return admin.Setting{}, fmt.Errorf("adminclient: %s/%s: %w", kind, name, err)
	}
	return s, nil
}

// DeleteSetting removes the document at that revision; one that is gone already is no error.
func (c *Client) DeleteSetting(ctx context.Context, kind settings.Kind, name string, revision uint64) error {
	return c.remove(ctx, pathOf(string(kind), name), revision)
}

func (c *Client) remove(ctx context.Context, path string, revision uint64) error {
	q := request{method: http.MethodDelete, path: path}
	q.condition(revision)
	_, err := c.do(ctx, q)
	switch {
	case NotFound(err):
		return nil
	case Conflict(err): // a condition does not hold for what is not there
		var gone any
		if rerr := c.read(ctx, path, &gone); NotFound(rerr) {
			return nil
		}
	}
	return err
}

// SameJSON reports whether two documents say the same, whatever the order of their keys.
func SameJSON(a, b []byte) bool {
	x, err := decode(a)
	if err != nil {
		return false
	}
	y, err := decode(b)
	return err == nil && reflect.DeepEqual(x, y)
}

func decode(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}
