package tfprovider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// unmarshal reads JSON without losing digits.
func unmarshal(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// decode makes a value of Terraform's of what a gateway answered. What is absent, or not of that type, is null: a
// gateway of another release must not break a plan.
func decode(t tftypes.Type, raw any) tftypes.Value {
	null := tftypes.NewValue(t, nil)
	switch {
	case raw == nil:
		return null
	case t.Is(tftypes.String):
		return tftypes.NewValue(t, text(raw))
	case t.Is(tftypes.Number):
		if n, ok := new(big.Float).SetString(fmt.Sprint(raw)); ok {
			return tftypes.NewValue(t, n)
		}
		return null
	case t.Is(tftypes.Bool):
		if b, ok := raw.(bool); ok {
			return tftypes.NewValue(t, b)
		}
		return null
	}
	return compound(t, raw)
}

// text is a single value as text; what only a plugin understands stays JSON.
func text(raw any) string {
	switch v := raw.(type) {
	case string:
		return v
	case map[string]any, []any:
		b, err := marshal(v)
		if err != nil {
			return ""
		}
		return string(b)
	}
	return fmt.Sprint(raw)
}

func compound(t tftypes.Type, raw any) tftypes.Value {
	entries, isList := raw.([]any)
	fields, isMap := raw.(map[string]any)
	switch t := t.(type) {
	case tftypes.List:
		if isList {
			all := make([]tftypes.Value, len(entries))
			for i, entry := range entries {
				all[i] = decode(t.ElementType, entry)
			}
			return tftypes.NewValue(t, all)
		}
	case tftypes.Map:
		if isMap {
			all := map[string]tftypes.Value{}
			for name, entry := range fields {
				all[name] = decode(t.ElementType, entry)
			}
			return tftypes.NewValue(t, all)
		}
	case tftypes.Object:
		if isMap {
			all := map[string]tftypes.Value{}
			for name, of := range t.AttributeTypes {
				all[name] = decode(of, fields[name])
			}
			return tftypes.NewValue(t, all)
		}
	}
	return tftypes.NewValue(t, nil)
}
