package pawl

import (
	"context"
	"fmt"
	"strings"
)

// scope names steps: the workflow itself, a branch, an item of a Map, or the
// body of a step that has steps of its own. Names are counted per scope, so a
// key never depends on what other scopes do. Guarded by its run's mutex.
type scope struct {
	parent *scope
	// Empty, or the scope's path with a `/` behind it.
	prefix string
	// The body of a step is somewhere around it.
	insideStep bool
	// The race that it is a branch of.
	race     *group
	uses     map[string]uses
	explicit map[string]struct{}
	// Neither the end of the scopes around it nor a cancel reaches into it.
	shielded bool
	// What undoes steps is in it.
	undoing bool
	// Why nothing starts here any more, if that is so.
	ended *Cancelled
}

func (s *scope) child(segment string) *scope {
	return &scope{parent: s, prefix: s.prefix + segment + "/", insideStep: s.insideStep}
}

func (s *scope) isWithin(other *scope) bool {
	for at := s; at != nil; at = at.parent {
		if at == other {
			return true
		}
	}
	return false
}

// uses are those of one name in a scope.
type uses struct {
	count int
	// Of these, how many have not ended.
	inFlight int
}

// shield is a scope for clean-up.
func (s *scope) shield(segment string) *scope {
	if segment != "" {
		segment += "/"
	}
	return &scope{parent: s, prefix: s.prefix + segment, insideStep: s.insideStep, shielded: true}
}

// isReachedBy is isWithin, but shields end the way up.
func (s *scope) isReachedBy(other *scope) bool {
	for at := s; at != nil; at = at.parent {
		if at == other {
			return true
		}
		if at.shielded {
			return false
		}
	}
	return false
}

func (s *scope) isShielded() bool {
	for at := s; at != nil; at = at.parent {
		if at.shielded {
			return true
		}
	}
	return false
}

func (s *scope) isUndoing() bool {
	for at := s; at != nil; at = at.parent {
		if at.undoing {
			return true
		}
	}
	return false
}

func (s *scope) endedBy() *Cancelled {
	for at := s; at != nil; at = at.parent {
		if at.ended != nil {
			return at.ended
		}
		if at.shielded {
			return nil
		}
	}
	return nil
}

// claim returns the segment of the next use of that name and counts it. A call
// returns before the next one of the same goroutine is made: so a second use
// before the first has ended is another goroutine's, and which of the two came
// first is chance.
func (s *scope) claim(space, name, key string) (string, error) {
	base := space + escapeName(name)
	if key != "" {
		if err := checkText(fmt.Sprintf("the key of %q", name), key); err != nil {
			return "", err
		}
		segment := base + "[" + escapeName(key) + "]"
		if _, taken := s.explicit[segment]; taken {
			return "", usage("the step %q with the key %q is used twice in one scope; give each use a key of its own", name, key)
		}
		if s.explicit == nil {
			s.explicit = map[string]struct{}{}
		}
		s.explicit[segment] = struct{}{}
		return segment, checkKey(s.prefix + segment)
	}
	if s.uses == nil {
		s.uses = map[string]uses{}
	}
	known := s.uses[base]
	if known.inFlight > 0 {
		return "", &AmbiguousStepKeyError{Message: fmt.Sprintf(
			"AMBIGUOUS_STEP_KEY: %q is used again in one scope while its use before is in flight, so which use comes first depends on timing. Give this step a Key of its own, or run the parallel parts as branches of All, Race or Map", space+name)}
	}
	known.count++
	s.uses[base] = known
	segment := base
	if known.count > 1 {
		segment = fmt.Sprintf("%s#%d", base, known.count)
	}
	return segment, checkKey(s.prefix + segment)
}

// occupy notes that a use of a name is under way, or is no longer. Uses with keys of their own
// may be at the same time.
func (s *scope) occupy(key string, by int) {
	// What undoes a step has its key from elsewhere, and an open callback is in a scope of its own.
	if s.uses == nil || len(key) <= len(s.prefix) || strings.HasSuffix(key, "]") {
		return
	}
	base := key[len(s.prefix):]
	if at := strings.IndexByte(base, '#'); at >= 0 {
		base = base[:at]
	}
	known := s.uses[base]
	known.inFlight += by
	s.uses[base] = known
}

// place is where in a run a context is.
type place struct {
	run   *run
	scope *scope
	// The attempt whose body it is in, for live output.
	body *attempt
	// The event that opened the span around; empty outside of spans.
	span string
}

type placeKey struct{}

func placeOf(ctx context.Context) (*place, bool) {
	p, ok := ctx.Value(placeKey{}).(*place)
	return p, ok
}

func withPlace(ctx context.Context, p *place) context.Context {
	return context.WithValue(ctx, placeKey{}, p)
}
