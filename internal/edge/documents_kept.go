package edge

import (
	"errors"
	"io/fs"
	"time"

	"github.com/quorate/quorate/internal/atomicfile"
	"github.com/quorate/quorate/internal/settings"
)

// keptFile is the name of the file in data_dir with the run-time settings that were followed last.
const keptFile = "settings.json"

// restore returns the settings on disk, none where there are none. A file that cannot be read is set aside: the group
// has them too.
func (d *documents) restore() *settings.Set {
	none := settings.NewPart().Set()
	if d.kept == "" {
		return none
	}
	b, err := atomicfile.Read(d.kept, settings.MaxSnapshot)
	if errors.Is(err, fs.ErrNotExist) {
		return none
	}
	var set *settings.Set
	if err == nil {
		set, err = settings.Decode(b)
	}
	if err != nil {
		err = atomicfile.SetAside(d.kept, time.Now(), err)
		d.log.Error("run-time settings on disk are unusable: this gateway starts without them", "file", d.kept, "cause", err.Error())
		return none
	}
	return set
}

// keep writes the settings that are followed to disk.
func (d *documents) keep(set *settings.Set) {
	if d.kept == "" {
		return
	}
	b, err := set.Encode()
	if err == nil {
		err = atomicfile.Write(d.kept, b)
	}
	if err != nil {
		d.log.Error("run-time settings are not saved: after a restart this gateway has them from the group alone", "file", d.kept, "cause", err.Error())
	}
}
