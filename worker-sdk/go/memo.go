// Section M of docs/replay-machine.md.

package pawl

import (
	"encoding/json"
	"slices"
	"sort"
	"strings"
	"time"

	pb "pawl.dev/pawl/pawlv1"
)

// record is what the journal says about a step or wait that has ended.
type record struct {
	// Its place in the journal: a replay hands results out in this order.
	seq              uint32
	kind             pb.StepKind
	attempt          uint32
	payload          *pb.Payload
	failure          *pb.Failure
	outcome          string
	details          map[string]string
	inputDigest      string
	definitionDigest string
}

// outcomeWord is an outcome such as timed_out; empty for none, and for one that only a newer server knows.
func outcomeWord(outcome pb.WaitOutcome) string {
	name, isKnown := pb.WaitOutcome_name[int32(outcome)]
	if !isKnown || outcome == pb.WaitOutcome_WAIT_OUTCOME_UNSPECIFIED {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(name, "WAIT_OUTCOME_"))
}

func recordOf(entry *pb.JournalEntry) *record {
	return &record{
		seq:              entry.Seq,
		kind:             entry.Kind,
		attempt:          entry.Attempt,
		payload:          entry.Payload,
		failure:          entry.Failure,
		outcome:          outcomeWord(entry.Outcome),
		details:          entry.Details,
		inputDigest:      entry.InputDigest,
		definitionDigest: entry.DefinitionDigest,
	}
}

// memo is what a run's journal says about each step key.
type memo struct {
	records  map[string]*record
	attempts map[string]uint32
	// When the next attempt of a step that backs off is due.
	backing map[string]time.Time
	// The attempt of each wait that is registered and not resolved.
	openWaits map[string]uint32
	// Waits for children that the server has closed. Those continue for as long as the code may ask again.
	closedChildren map[string]struct{}
	// Where callbacks were registered.
	callbacks map[string]uint32
	asked     map[string]struct{}
	lastSeq   uint32
	// The place of the last record that the journal came with: a replay is over once it is handed out.
	lastRecordSeq uint32
	// How often the run was retried after it had failed.
	retries int
	// Why the run is being cancelled; empty where nobody said.
	cancelReason string
	// It was retried since it was cancelled: if it is being cancelled, what its clean-up left undone is all that is to be done.
	undoesOnly bool
}

func newMemo() *memo {
	return &memo{
		records:        map[string]*record{},
		attempts:       map[string]uint32{},
		backing:        map[string]time.Time{},
		openWaits:      map[string]uint32{},
		closedChildren: map[string]struct{}{},
		callbacks:      map[string]uint32{},
		asked:          map[string]struct{}{},
	}
}

func (m *memo) add(entries ...*pb.JournalEntry) {
	for _, entry := range entries {
		m.lastSeq = max(m.lastSeq, entry.Seq)
		switch {
		case entry.Type == "run.retried":
			m.retries++
			m.supersede(entry)
			m.undoesOnly = true
		case entry.Type == "run.cancelling":
			m.cancelReason = entry.Details["reason"]
			m.undoesOnly = false
		case entry.StepKey != "":
			m.addStep(entry)
		}
	}
}

func (m *memo) supersede(entry *pb.JournalEntry) {
	var keys []string
	// The server writes the list; without one nothing is superseded.
	if json.Unmarshal([]byte(entry.Details["superseded"]), &keys) != nil {
		return
	}
	for _, key := range keys {
		delete(m.records, key)
		delete(m.backing, key)
		delete(m.openWaits, key)
	}
	m.findLast()
}

func (m *memo) findLast() {
	m.lastRecordSeq = 0
	for _, r := range m.records {
		m.lastRecordSeq = max(m.lastRecordSeq, r.seq)
	}
}

func (m *memo) addStep(entry *pb.JournalEntry) {
	key := entry.StepKey
	switch entry.Type {
	case "workflow.step.completed", "workflow.step.failed", "workflow.wait.resolved":
		m.set(key, recordOf(entry))
		m.lastRecordSeq = entry.Seq
	case "workflow.step.retrying":
		m.backing[key] = entry.Until.AsTime()
	case "workflow.step.cancelled":
		delete(m.backing, key)
	case "workflow.wait.closed":
		// The code has not been given what it brought: asked for again, it is registered anew.
		delete(m.records, key)
		delete(m.openWaits, key)
		if entry.Kind == pb.StepKind_STEP_KIND_CHILD {
			m.closedChildren[key] = struct{}{}
		}
		m.findLast()
	case "workflow.wait.created":
		m.openWaits[key] = entry.Attempt
		delete(m.closedChildren, key)
		if entry.Kind == pb.StepKind_STEP_KIND_CALLBACK {
			m.callbacks[key] = entry.Seq
		}
	}
	m.attempts[key] = max(m.attempts[key], entry.Attempt)
}

func (m *memo) set(key string, r *record) {
	m.records[key] = r
	delete(m.backing, key)
	delete(m.openWaits, key)
}

// remember notes what this worker has just recorded, where it may be asked for again.
func (m *memo) remember(key string, r *record) {
	m.set(key, r)
	m.asked[key] = struct{}{}
}

// take returns the record of a key, which counts as asked for from now on.
func (m *memo) take(key string) *record {
	m.asked[key] = struct{}{}
	return m.records[key]
}

// giveUpUnasked gives up the waits of ended branches that the code has not asked for, and that a signal
// has resolved or still may: asking for one registers it anew.
func (m *memo) giveUpUnasked(scopes []*scope) []string {
	var keys []string
	note := func(key string) {
		if _, asked := m.asked[key]; asked {
			return
		}
		if slices.ContainsFunc(scopes, func(s *scope) bool { return strings.HasPrefix(key, s.prefix) }) {
			keys = append(keys, key)
		}
	}
	for key, r := range m.records {
		if r.outcome == outcomeWord(pb.WaitOutcome_WAIT_OUTCOME_SIGNALLED) {
			note(key)
		}
	}
	for key := range m.openWaits {
		note(key)
	}
	for _, key := range keys {
		delete(m.records, key)
		delete(m.openWaits, key)
	}
	slices.Sort(keys)
	return keys
}

// forgetWithin frees what was recorded inside of a step that is done.
func (m *memo) forgetWithin(key string) {
	for inner := range m.records {
		if strings.HasPrefix(inner, key+"/") {
			delete(m.records, inner)
		}
	}
}

// failedWithin lists the finally failed steps inside of a step, in the order of the journal.
func (m *memo) failedWithin(key string) []string {
	var keys []string
	for inner, r := range m.records {
		if r.failure != nil && strings.HasPrefix(inner, key+"/") {
			keys = append(keys, inner)
		}
	}
	sort.Slice(keys, func(i, j int) bool { return m.records[keys[i]].seq < m.records[keys[j]].seq })
	return keys
}

// unconsumed lists records that the code never asked for, apart from those
// inside of a step that it did ask for.
func (m *memo) unconsumed() []string {
	var keys []string
	for key := range m.records {
		if _, asked := m.asked[key]; !asked && !m.ancestorAsked(key) {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	return keys[:min(len(keys), reportedKeysMax)]
}

func (m *memo) ancestorAsked(key string) bool {
	for at := strings.LastIndexByte(key, '/'); at > 0; at = strings.LastIndexByte(key[:at], '/') {
		if _, asked := m.asked[key[:at]]; asked {
			return true
		}
	}
	return false
}
