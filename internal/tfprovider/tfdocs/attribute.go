package main

import (
	"github.com/hashicorp/terraform-plugin-framework/attr"
	datasource "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// described is what attributes of resources, data sources and the provider have in common.
type described interface {
	GetMarkdownDescription() string
	GetType() attr.Type
	IsComputed() bool
	IsOptional() bool
	IsRequired() bool
	IsSensitive() bool
}

func attributeOf(a described) field {
	f := field{doc: a.GetMarkdownDescription(), kind: kindOf(a.GetType())}
	switch {
	case a.IsRequired():
		f.use = "required"
	case a.IsOptional():
		f.use = "optional"
	default:
		f.use = "read"
	}
	if a.IsSensitive() {
		f.use += ", sensitive"
	}
	switch n := a.(type) {
	case schema.SingleNestedAttribute:
		f.below = resourceFields(n.Attributes)
	case schema.ListNestedAttribute:
		f.below = resourceFields(n.NestedObject.Attributes)
	case schema.MapNestedAttribute:
		f.below = resourceFields(n.NestedObject.Attributes)
	case datasource.SingleNestedAttribute:
		f.below = sourceFields(n.Attributes)
	case datasource.ListNestedAttribute:
		f.below = sourceFields(n.NestedObject.Attributes)
	}
	return f
}

func resourceFields(all map[string]schema.Attribute) map[string]field {
	out := map[string]field{}
	for name, a := range all {
		out[name] = attributeOf(a)
	}
	return out
}

func sourceFields(all map[string]datasource.Attribute) map[string]field {
	out := map[string]field{}
	for name, a := range all {
		out[name] = attributeOf(a)
	}
	return out
}

func kindOf(t attr.Type) string {
	switch t := t.(type) {
	case types.ListType:
		if _, ok := t.ElemType.(types.ObjectType); ok {
			return "list of objects"
		}
		return "list of texts"
	case types.MapType:
		if _, ok := t.ElemType.(types.ObjectType); ok {
			return "map of objects"
		}
		return "map of texts"
	case types.ObjectType:
		return "object"
	}
	switch {
	case t.Equal(types.BoolType):
		return "true or false"
	case t.Equal(types.Int64Type), t.Equal(types.NumberType):
		return "number"
	}
	return "text"
}
