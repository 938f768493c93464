package control

import (
	"context"
	"errors"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

// Close ends this life in the roster if that is possible within ctx, and everything else in any case.
func (n *Node) Close(ctx context.Context) error {
	n.leave(ctx)
	n.stop()
	n.work.Wait()
	err := n.stopRaft()
	n.lease.Set(0)
	return errors.Join(err, n.store.close())
}

// leave says that this gateway writes no more, so that nobody has to wait for its promises to run out.
func (n *Node) leave(ctx context.Context) {
	if n.cfg.Alone || ctx.Err() != nil {
		return
	}
	n.leaving.Store(true)
	var life authority.Life
	if n.driver.do(ctx, func(d *driver) { d.gate.End(); life = d.gate.Life() }) != nil || life.Incarnation == 0 {
		return
	}
	entry, err := authorityEntry(authority.Leave{Life: life})
	if err != nil {
		return
	}
	if n.leading() {
		n.handOver()
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, _, err := n.submit(ctx, entry); err != nil {
		n.log.Info("this gateway could not leave the roster; it is fenced when it returns", "cause", err.Error())
	}
}

// handOver gives leadership to another voter, so that a planned stop costs no election timeout.
func (n *Node) handOver() {
	if r := n.current(); r != nil {
		_ = r.LeadershipTransfer().Error() // nobody to take it: then there is nothing to hand over
	}
}
