package control

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

func TestBoltLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	b, err := openBoltLog(path)
	must(t, err)
	var all []*raft.Log
	for i := uint64(5); i <= 9; i++ {
		all = append(all, &raft.Log{Index: i, Term: i / 2, Type: raft.LogCommand, Data: bytes.Repeat([]byte{byte(i)}, int(i)), AppendedAt: time.Unix(int64(i), 7)})
	}
	all[2].Data, all[3].Extensions = nil, []byte("ext")
	must(t, b.StoreLogs(all))
	must(t, b.SetUint64([]byte("term"), 1<<63))
	must(t, b.Set([]byte("vote"), []byte("a")))
	must(t, b.Close())
	b, err = openBoltLog(path)
	must(t, err)
	defer b.Close()
	for _, want := range all {
		var got raft.Log
		must(t, b.GetLog(want.Index, &got))
		if got.Index != want.Index || got.Term != want.Term || got.Type != want.Type || !bytes.Equal(got.Data, want.Data) ||
			!bytes.Equal(got.Extensions, want.Extensions) || !got.AppendedAt.Equal(want.AppendedAt) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if term, err := b.GetUint64([]byte("term")); err != nil || term != 1<<63 {
		t.Errorf("%d, %v", term, err)
	}
	if v, err := b.Get([]byte("nothing")); err != nil || len(v) != 0 {
		t.Errorf("%q, %v", v, err)
	}
	edges := func(first, last uint64) {
		t.Helper()
		f, ferr := b.FirstIndex()
		l, lerr := b.LastIndex()
		if f != first || l != last || ferr != nil || lerr != nil {
			t.Errorf("%d..%d, want %d..%d; %v, %v", f, l, first, last, ferr, lerr)
		}
	}
	edges(5, 9)
	must(t, b.DeleteRange(5, 6))
	must(t, b.DeleteRange(9, 20))
	edges(7, 8)
	must(t, b.check())
	must(t, b.DeleteRange(1, 100))
	edges(0, 0)
	if err := b.GetLog(7, &raft.Log{}); !errors.Is(err, raft.ErrLogNotFound) {
		t.Error(err)
	}
}

// Every bit of an entry that changes, and every entry that is missing in the middle, is found at the start.
func TestBoltLogDamage(t *testing.T) {
	b, err := openBoltLog(filepath.Join(t.TempDir(), "log.db"))
	must(t, err)
	defer b.Close()
	entry := &raft.Log{Index: 3, Term: 2, Data: []byte("data"), Extensions: []byte("e")}
	good := encodeLog(entry)
	for bit := range 8 * len(good) {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		put(t, b, 3, bad)
		if err := b.check(); !errors.Is(err, errDamaged) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	for n := range good {
		if err := decodeLog(3, good[:n], &raft.Log{}); !errors.Is(err, errDamaged) {
			t.Fatalf("%d of %d bytes: %v", n, len(good), err)
		}
	}
	put(t, b, 3, good)
	must(t, b.check())
	put(t, b, 4, good)
	if err := b.check(); !errors.Is(err, errDamaged) {
		t.Errorf("an entry in another's place: %v", err)
	}
	must(t, b.DeleteRange(4, 4))
	must(t, b.StoreLog(&raft.Log{Index: 5}))
	if err := b.check(); !errors.Is(err, errDamaged) {
		t.Errorf("a gap: %v", err)
	}
}

func put(t *testing.T, b *boltLog, index uint64, value []byte) {
	t.Helper()
	must(t, b.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(entriesBucket).Put(indexKey(index), value) }))
}
