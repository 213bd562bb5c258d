package docs

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// TestManual uses the manual that curl gets: its examples as they are, and all codes of the README.
func TestManual(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	manual := <-kit.Curl(p.URL + "/")
	var examples []string // blocks of indented lines
	for _, block := range strings.Split(manual, "\n\n") {
		if strings.HasPrefix(block, "    ") {
			examples = append(examples, block)
		}
	}
	first := strings.Split(examples[0], "\n")
	if len(first) != 2 {
		t.Fatalf("the first example is %q", first)
	}
	script := first[0] + " &\n" + first[1] + "; wait"
	if out, err := exec.Command("bash", "-c", script).Output(); string(out) != "hello" || err != nil {
		t.Errorf("the first example prints %q, %v", out, err)
	}
	looped := false
	for _, block := range examples {
		if strings.Contains(block, "while true") {
			looped = true
			feedLoop(t, p, block)
		}
	}
	if !looped {
		t.Error("no loop is shown")
	}
	for _, code := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [45]\\d\\d").FindAllStringSubmatch(readme(t), -1) {
		if code[1] != "not_a_consumer" && !strings.Contains(manual, code[1]) { // which nobody gets who reads manuals
			t.Errorf("the code %s is not in the manual", code[1])
		}
	}
}
