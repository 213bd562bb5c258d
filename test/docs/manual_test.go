package docs

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// TestManual runs the examples of the manual that curl gets, and looks up all error codes of docs/http.md there.
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
		t.Error("the manual shows no loop")
	}
	codes := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [45]\\d\\d").FindAllStringSubmatch(read(t, "docs/http.md"), -1)
	if len(codes) < 8 {
		t.Errorf("docs/http.md lists the codes %q", codes)
	}
	for _, code := range codes {
		if !strings.Contains(manual, code[1]) {
			t.Errorf("the code %s is not in the manual", code[1])
		}
	}
}
