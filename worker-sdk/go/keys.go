package pawl

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Step keys: the path of scopes and the step's own segment, joined by `/`. A
// segment is a name, `name#2` for its second use in that scope, or `name[key]`.
// What is not a user's step has a namespace in front; a colon in a user's name
// is escaped, so that no name collides with those.
const (
	spaceStep       = ""
	spaceSleep      = "sleep:"
	spaceSignal     = "signal:"
	spaceUser       = "user:"
	spaceChild      = "child:"
	spaceValue      = "value:"
	spaceCallback   = "callback:"
	spaceCompensate = "compensate:"
	spaceAll        = "all:"
	spaceMap        = "map:"
	spaceScope      = "scope:"
	spaceCleanup    = "cleanup:"
	spaceSignals    = "signals:"
	spaceApproval   = "approval:"
)

func escape(text string, reserved func(r rune) bool) string {
	if strings.IndexFunc(text, reserved) < 0 {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if !reserved(r) {
			out.WriteRune(r)
			continue
		}
		for _, b := range []byte(string(r)) {
			fmt.Fprintf(&out, "%%%02X", b)
		}
	}
	return out.String()
}

func escapeName(name string) string {
	return escape(name, func(r rune) bool {
		return strings.ContainsRune("%/#[]:", r) || r < 0x20 || r == 0x7f
	})
}

func checkName(what, name string) error {
	if name == "" {
		return usage("%s needs a name that is not empty", what)
	}
	if len(name) > nameBytesMax {
		return usage("the name of %s has %d bytes, %d are possible: %q…", what, len(name), nameBytesMax, clip(name, 40))
	}
	return nil
}

func checkKey(key string) error {
	if len(key) > stepKeyBytesMax {
		return usage("the step key has %d bytes, %d are possible; use shorter names, keys or scopes: %q…", len(key), stepKeyBytesMax, clip(key, 80))
	}
	return nil
}

func isAlphanumeric(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
}

// childRunID is made of the parent's id and the step's key, so that it is the
// same whenever it is asked for. Ids that become too long are hashed.
func childRunID(parentRunID, stepKey string, attempt uint32) string {
	escaped := escape(stepKey, func(r rune) bool {
		return !isAlphanumeric(r) && !strings.ContainsRune("-_:/", r)
	})
	suffix := ""
	if attempt > 1 {
		suffix = fmt.Sprintf("~%d", attempt)
	}
	id := parentRunID + "~" + strings.ReplaceAll(escaped, "/", ".") + suffix
	if len(id) <= runIDBytesMax {
		return id
	}
	return "child~" + digestText(parentRunID+"\n"+stepKey) + suffix
}

func digestText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
