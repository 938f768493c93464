package control

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/quorate/quorate/internal/planted"
)

// boltLog keeps Raft's log, and its term and vote, in one bbolt file. Every write is on the disk when it returns.
//
// It is a file of our own form since raft-boltdb does not build with what raft 1.8 wants of go-metrics, and raft-wal was
// seen to end in a panic at the start after a SIGKILL ("sealed segment has no index block").
type boltLog struct{ db *bbolt.DB }

var (
	_ raft.LogStore    = (*boltLog)(nil)
	_ raft.StableStore = (*boltLog)(nil)

	entriesBucket = []byte("entries") // by index, big endian
	stableBucket  = []byte("stable")
)

// errDamaged: an entry is not what was written.
var errDamaged = errors.New("damaged")

// boltPatience bounds the wait for a file that another process holds.
const boltPatience = time.Second

func openBoltLog(path string) (*boltLog, error) {
	unsafe := planted.On(planted.Fsync)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: boltPatience, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoSync: unsafe, NoGrowSync: unsafe,
	})
	if errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrChecksum) || errors.Is(err, bolterrors.ErrVersionMismatch) {
		err = fmt.Errorf("%s: %w: %w", filepath.Base(path), errDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	if err := makeBuckets(db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &boltLog{db}, nil
}

// makeBuckets writes nothing where there is nothing to make: a disk that is full must not keep a gateway from starting.
func makeBuckets(db *bbolt.DB) error {
	made := false
	err := db.View(func(tx *bbolt.Tx) error {
		made = tx.Bucket(entriesBucket) != nil && tx.Bucket(stableBucket) != nil
		return nil
	})
	if made || err != nil {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		_, entries := tx.CreateBucketIfNotExists(entriesBucket)
		_, stable := tx.CreateBucketIfNotExists(stableBucket)
		return errors.Join(entries, stable)
	})
}

// Close ends the use of the file.
func (b *boltLog) Close() error { return b.db.Close() }

func indexKey(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }

// FirstIndex implements raft.LogStore: 0 for no entries.
func (b *boltLog) FirstIndex() (uint64, error) {
	return b.edge(func(c *bbolt.Cursor) ([]byte, []byte) { return c.First() })
}

// LastIndex implements raft.LogStore: 0 for no entries.
func (b *boltLog) LastIndex() (uint64, error) {
	return b.edge(func(c *bbolt.Cursor) ([]byte, []byte) { return c.Last() })
}

func (b *boltLog) edge(at func(*bbolt.Cursor) ([]byte, []byte)) (index uint64, err error) {
	err = b.db.View(func(tx *bbolt.Tx) error {
		if k, _ := at(tx.Bucket(entriesBucket).Cursor()); len(k) == 8 {
			index = binary.BigEndian.Uint64(k)
		}
		return nil
	})
	return index, err
}

// GetLog implements raft.LogStore.
func (b *boltLog) GetLog(index uint64, l *raft.Log) error {
	return b.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(entriesBucket).Get(indexKey(index))
		if v == nil {
			return raft.ErrLogNotFound
		}
		return decodeLog(index, v, l)
	})
}

// StoreLog implements raft.LogStore.
func (b *boltLog) StoreLog(l *raft.Log) error { return b.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore: all of them or none.
func (b *boltLog) StoreLogs(logs []*raft.Log) error {
	return b.db.Update(func(tx *bbolt.Tx) error {
		entries := tx.Bucket(entriesBucket)
		for _, l := range logs {
			if err := entries.Put(indexKey(l.Index), encodeLog(l)); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteRange implements raft.LogStore: both ends are deleted too.
func (b *boltLog) DeleteRange(from, to uint64) error {
	return b.db.Update(func(tx *bbolt.Tx) error {
		c := tx.Bucket(entriesBucket).Cursor()
		for k, _ := c.Seek(indexKey(from)); k != nil && binary.BigEndian.Uint64(k) <= to; k, _ = c.Next() {
			if err := c.Delete(); err != nil {
				return err
			}
		}
		return nil
	})
}

// Set implements raft.StableStore.
func (b *boltLog) Set(key, value []byte) error {
	return b.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(stableBucket).Put(key, value) })
}

// Get implements raft.StableStore: nothing for a key that is not there.
func (b *boltLog) Get(key []byte) (value []byte, err error) {
	err = b.db.View(func(tx *bbolt.Tx) error {
		value = append(value, tx.Bucket(stableBucket).Get(key)...)
		return nil
	})
	return value, err
}

// SetUint64 implements raft.StableStore.
func (b *boltLog) SetUint64(key []byte, value uint64) error { return b.Set(key, indexKey(value)) }

// GetUint64 implements raft.StableStore: 0 for a key that is not there.
func (b *boltLog) GetUint64(key []byte) (uint64, error) {
	v, err := b.Get(key)
	switch {
	case err != nil || len(v) == 0:
		return 0, err
	case len(v) != 8:
		return 0, fmt.Errorf("%s: %w", key, errDamaged)
	}
	return binary.BigEndian.Uint64(v), nil
}

// check reads every entry, so that one that cannot be read is found at the start and not when it is needed.
func (b *boltLog) check() error {
	return b.db.View(func(tx *bbolt.Tx) error {
		next := uint64(0)
		return tx.Bucket(entriesBucket).ForEach(func(k, v []byte) error {
			index := binary.BigEndian.Uint64(k)
			if next != 0 && index != next {
				return fmt.Errorf("entry %d follows %d: %w", index, next-1, errDamaged)
			}
			next = index + 1
			var l raft.Log
			return decodeLog(index, v, &l)
		})
	})
}

// An entry is its checksum (CRC-32C of what follows), term, type, time of appending, the length of the data, data and
// extensions.
const logHeader = 4 + 8 + 1 + 8 + 4

func encodeLog(l *raft.Log) []byte {
	v := make([]byte, 4, logHeader+len(l.Data)+len(l.Extensions))
	v = binary.BigEndian.AppendUint64(v, l.Term)
	v = append(v, byte(l.Type))
	v = binary.BigEndian.AppendUint64(v, uint64(l.AppendedAt.UnixNano()))
	v = binary.BigEndian.AppendUint32(v, uint32(len(l.Data)))
	v = append(append(v, l.Data...), l.Extensions...)
	binary.BigEndian.PutUint32(v, sumOf(l.Index, v[4:]))
	return v
}

// sumOf covers the index too: an entry in another's place is no entry.
func sumOf(index uint64, v []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(indexKey(index), table), table, v)
}

func decodeLog(index uint64, v []byte, l *raft.Log) error {
	if len(v) < logHeader || sumOf(index, v[4:]) != binary.BigEndian.Uint32(v) {
		return fmt.Errorf("entry %d: %w", index, errDamaged)
	}
	n := int(binary.BigEndian.Uint32(v[21:]))
	if n > len(v)-logHeader {
		return fmt.Errorf("entry %d: %w", index, errDamaged)
	}
	*l = raft.Log{
		Index: index, Term: binary.BigEndian.Uint64(v[4:]), Type: raft.LogType(v[12]), AppendedAt: time.Unix(0, int64(binary.BigEndian.Uint64(v[13:]))),
		Data: append([]byte(nil), v[logHeader:logHeader+n]...), Extensions: append([]byte(nil), v[logHeader+n:]...),
	}
	return nil
}
