//go:build !linux

package proxy

import (
	"errors"
	"time"
)

var errNotLinux = errors.New("proxy: processor time and memory are read from /proc, which only Linux has")

func cpu(int) (time.Duration, error) { return 0, errNotLinux }

func resident(int) (int64, error) { return 0, errNotLinux }
