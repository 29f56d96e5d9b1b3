// Section K of docs/replay-machine.md.

package pawl

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
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
	spaceSpawn      = "spawn:"
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

// checkText refuses a text that is to be a part of a name or id, and has what cannot be stored
// as it is: a NUL, or a byte that is not UTF-8.
func checkText(what, text string) error {
	position := 0
	for rest := text; rest != ""; {
		character, size := utf8.DecodeRuneInString(rest)
		position++
		fault := ""
		if character == 0 {
			fault = "a NUL"
		} else if character == utf8.RuneError && size == 1 {
			fault = "a byte that is not UTF-8 (a text that was cut within a character, perhaps)"
		}
		if fault != "" {
			return usage("%s has %s as character %d; leave it out: %q", what, fault, position, clip(text, 40))
		}
		rest = rest[size:]
	}
	return nil
}

// checkTexts is checkText of several, by their names, and of the keys and values of tags and queues.
func checkTexts(texts map[string]string, tags map[string]string, queues ...string) error {
	for _, what := range slices.Sorted(maps.Keys(texts)) {
		if err := checkText(what, texts[what]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		if err := checkText("the key of a tag", name); err != nil {
			return err
		}
		if err := checkText(fmt.Sprintf("the tag %q", name), tags[name]); err != nil {
			return err
		}
	}
	for _, queue := range queues {
		if err := checkText("the name of a queue", queue); err != nil {
			return err
		}
	}
	return nil
}

func checkName(what, name string) error {
	if err := checkText("the name of "+what, name); err != nil {
		return err
	}
	if name == "" {
		return usage("%s needs a name that is not empty", what)
	}
	if len(name) > nameBytesMax {
		return usage("the name of %s has %d bytes (limit %d): %q…", what, len(name), nameBytesMax, clip(name, 40))
	}
	return nil
}

func checkKey(key string) error {
	if len(key) > stepKeyBytesMax {
		return usage("the step key has %d bytes (limit %d); use shorter names, keys or scopes: %q…", len(key), stepKeyBytesMax, clip(key, 80))
	}
	return nil
}

func isAlphanumeric(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
}

// childRunID is made of the parent's id and the step's key, so that it is the
// same whenever it is asked for. Ids that become too long are hashed.
func childRunID(parentRunID, stepKey string) string {
	escaped := escape(stepKey, func(r rune) bool {
		return !isAlphanumeric(r) && !strings.ContainsRune("-_:/", r)
	})
	id := parentRunID + "~" + strings.ReplaceAll(escaped, "/", ".")
	if len(id) <= runIDBytesMax {
		return id
	}
	return "child~" + digestText(parentRunID+"\n"+stepKey)
}

func digestText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
