package regional

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/atomicfile"
)

const (
	fileName = "orders.json"
	// maxFile bounds what is read; a full file has a tenth of it.
	maxFile = 1 << 20
	// saveAgain is how long after a failed attempt the disk is tried again.
	saveAgain = 5 * time.Second
)

// file keeps the orders on disk. It is replaced as a whole: a crash leaves the old one or the new one.
type file struct {
	path    string
	writing sync.Mutex
}

// content is the file's schema.
type content struct {
	V      int     `json:"v"`
	Orders []saved `json:"orders"`
}

type saved struct {
	order
	Began time.Time `json:"began"`
}

func openFile(dir string) (*file, error) {
	if err := atomicfile.MakeDir(dir); err != nil {
		return nil, err
	}
	return &file{path: filepath.Join(dir, fileName)}, nil
}

// load reads the orders; none where there is no file. A file that is no good is renamed, so that the
// next save does not destroy what somebody may want to look at.
func (f *file) load(now time.Time) ([]given, error) {
	c, err := f.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, atomicfile.SetAside(f.path, now, err)
	}
	out := make([]given, 0, len(c.Orders))
	for _, s := range c.Orders {
		o := s.given(now)
		if o.Began = s.Began; o.Began.After(now) {
			o.Began = now // the clock was put back: no order may wait for that time to come again
		}
		out = append(out, o)
	}
	return out, nil
}

func (f *file) read() (c content, err error) {
	b, err := atomicfile.Read(f.path, maxFile)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, err
	}
	if c.V != viewVersion {
		return c, fmt.Errorf("version %d is not %d", c.V, viewVersion)
	}
	return c, nil
}

// save writes all orders and returns when they are safe. f.writing is held by the caller.
func (f *file) save(all []given, now time.Time) error {
	c := content{V: viewVersion, Orders: []saved{}}
	for _, o := range all {
		c.Orders = append(c.Orders, saved{o.wire(now), o.Began})
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(f.path, append(b, '\n'))
}

// save writes the orders as they are now.
func (d *Driver) save() error {
	d.file.writing.Lock() // before the orders are read: the last to write has the newest
	defer d.file.writing.Unlock()
	d.mu.Lock()
	all := d.orders.sorted()
	d.mu.Unlock()
	return d.file.save(all, time.Now())
}

// wakeSaver has the orders saved soon.
func (d *Driver) wakeSaver() {
	if d.file == nil {
		return
	}
	select {
	case d.saves <- struct{}{}:
	default:
	}
}

// keepSaved saves orders from elsewhere, and tries again what the disk refused, until ctx ends and once
// more then. It has a goroutine of its own because a disk can hang, and regions must be judged meanwhile.
func (d *Driver) keepSaved(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			select {
			case <-d.saves:
				d.trySave()
			default:
			}
			return
		case <-d.saves:
		}
		if d.trySave() {
			continue
		}
		d.wakeSaver()
		select {
		case <-ctx.Done():
		case <-time.After(saveAgain):
		}
	}
}

func (d *Driver) trySave() bool {
	err := d.save()
	if err != nil {
		d.cfg.Logger.Error("operators' orders are not saved: a restart of this gateway may lose them", "file", d.file.path, "cause", err.Error())
	}
	return err == nil
}
