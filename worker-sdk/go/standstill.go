package pawl

import (
	"context"
	"sync"
	"time"
)

// pulse notices that this process stood still: it was stopped, its machine slept or had no time
// for it. What it knows of its leases is old then, however fresh it looks: the server may have
// given its runs to others meanwhile, and be another one by now. So no step starts until a
// heartbeat is answered that was sent afterwards.
type pulse struct {
	mu sync.Mutex
	// By both clocks, since the monotonic one stands still while a machine sleeps.
	last time.Time
	// When it continued; zero once a heartbeat has vouched for the leases.
	wokeAt time.Time
	// When it last continued.
	gapEnd time.Time
}

// processPulse is for those that have no connection, which has a pulse of its own: it beats for as long as
// the process lives.
var (
	processPulse pulse
	beatOnce     sync.Once
)

func watchProcess() {
	beatOnce.Do(func() {
		go func() {
			for {
				processPulse.beat()
				time.Sleep(pulseEvery)
			}
		}()
	})
}

// beat notes that the process is alive, and returns how long it stood still, where it has.
func (p *pulse) beat() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	gap := time.Duration(0)
	if !p.last.IsZero() {
		gap = max(now.Sub(p.last), now.Round(0).Sub(p.last.Round(0)))
	}
	p.last = now
	if gap <= stillMax {
		return 0
	}
	p.wokeAt, p.gapEnd = now, now
	return gap
}

// stoodStillSince says whether a gap has ended since that moment. The caller has it beat first.
func (p *pulse) stoodStillSince(moment time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gapEnd.After(moment)
}

// vouched notes that a heartbeat was answered that was sent then.
func (p *pulse) vouched(sent time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if sent.After(p.wokeAt) {
		p.wokeAt = time.Time{}
	}
}

func (p *pulse) isVouched() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wokeAt.IsZero()
}

// watchPulse beats for as long as the worker works.
func (s *connection) watchPulse(ctx context.Context) {
	ticker := time.NewTicker(pulseEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		s.stoodStill()
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// stoodStill says whether no heartbeat has been answered since the process last stood still.
func (s *connection) stoodStill() bool {
	if gap := s.pulse.beat(); gap > 0 {
		s.log.Warn("this process stood still; no step starts until the server has said that its runs are still its own", "ms", gap.Milliseconds())
		s.stale.Store(true)
		// The caller may hold a run, which a heartbeat looks at.
		go s.heartbeat()
	}
	return !s.pulse.isVouched()
}
