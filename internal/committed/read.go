package committed

// Get returns a record as it is applied here, a deleted one too.
func (p *Part) Get(k Key) (Record, bool) {
	r, _, found := p.look(k)
	return r, found
}

// look returns a record and the ballot that is promised for it.
func (p *Part) look(k Key) (r Record, promised uint64, found bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	e := p.records[k]
	if e == nil {
		return Record{}, 0, false
	}
	if !e.held {
		return Record{}, e.promised, false
	}
	return e.Record, e.promised, true
}

// all returns every record, in no order.
func (p *Part) all() []Record {
	p.mu.RLock()
	defer p.mu.RUnlock()
	all := make([]Record, 0, len(p.records))
	for _, e := range p.records {
		if e.held {
			all = append(all, e.Record)
		}
	}
	return all
}

// Room is how much of the part's room is used.
type Room struct {
	Records int // that are not deleted, of MaxRecords
	Deleted int // that are remembered, of MaxDeleted
	Bytes   int // of MaxBytes
}

// Room returns how much of the part's room is used here.
func (p *Part) Room() Room {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return Room{p.live, len(p.records) - p.live, p.bytes}
}

// over reports whether something is over at a time.
func (p *Part) over(now int64) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, e := range p.records {
		if e.Until <= now {
			return true
		}
	}
	return false
}
