package upstream

import "sync/atomic"

// results counts attempts by how they ended: index 0 for an answer, a Failure's value for that
// failure, and the last one for answers with a server error.
type results [Fenced + 2]atomic.Uint64

func (r *results) ok()              { r[0].Add(1) }
func (r *results) failed(f Failure) { r[f].Add(1) }
func (r *results) serverError()     { r[len(r)-1].Add(1) }

func (r *results) each(f func(result string, count uint64)) {
	f("ok", r[0].Load())
	for i := Refused; i <= Fenced; i++ {
		if n := r[i].Load(); n > 0 {
			f(i.String(), n)
		}
	}
	if n := r[len(r)-1].Load(); n > 0 {
		f("status_5xx", n)
	}
}
