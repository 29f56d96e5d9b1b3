package pawl

import (
	"testing"
	"time"
)

// A process that stood still knows nothing of its leases until a heartbeat is answered that it sent afterwards.
func TestAProcessThatStoodStillWaitsForAHeartbeat(t *testing.T) {
	p := &pulse{}
	if gap := p.beat(); gap != 0 || !p.isVouched() {
		t.Errorf("at first it stood still for %v", gap)
	}
	before := time.Now()
	p.last = p.last.Add(-3 * time.Second)
	if gap := p.beat(); gap < 3*time.Second || p.isVouched() {
		t.Errorf("it stood still for %v", gap)
	}
	if p.vouched(before); p.isVouched() {
		t.Error("a heartbeat from before vouches for it")
	}
	if gap := p.beat(); gap != 0 || p.isVouched() {
		t.Errorf("a moment later: %v", gap)
	}
	if p.vouched(time.Now().Add(time.Nanosecond)); !p.isVouched() {
		t.Error("a heartbeat from afterwards does not vouch for it")
	}
}
