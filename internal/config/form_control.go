package config

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorate/quorate/strategies"
)

// leaseAuto is the lease that follows the measured round trips.
const leaseAuto = "auto"

// The range of a lease that is given.
const (
	leastLease = 100 * time.Millisecond
	mostLease  = time.Minute
)

func checkLease(s string) *fault {
	d, err := time.ParseDuration(s)
	switch {
	case s == leaseAuto:
		return nil
	case err != nil:
		return &fault{show(s) + " is not a lease", "auto, or a duration such as 1s"}
	case d < leastLease || d > mostLease:
		return &fault{show(s) + " is out of range", fmt.Sprintf("auto, or from %s to %s", leastLease, mostLease)}
	}
	return nil
}

// checkExecutable takes absolute names only: which program runs must not depend on where the gateway was started.
func checkExecutable(s string) *fault {
	if f := checkFileName(s); f != nil {
		return f
	}
	if !filepath.IsAbs(s) {
		return &fault{show(s) + " is not absolute", "the executable's whole path, such as /usr/lib/quorate/my-strategy"}
	}
	return nil
}

func checkSHA256(s string) *fault {
	if sum, err := hex.DecodeString(s); err != nil || len(sum) != 32 {
		return &fault{show(s) + " is not a SHA-256", "the 64 digits that sha256sum FILE prints"}
	}
	return nil
}

// checkOption bounds a text that only a plugin understands.
func checkOption(s string) *fault {
	if len(s) > strategies.MaxOption || strings.ContainsRune(s, 0) {
		return &fault{show(s) + " is too long or holds a NUL", fmt.Sprintf("a text of at most %d bytes", strategies.MaxOption)}
	}
	return nil
}
