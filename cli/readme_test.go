package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestReadmeOptions: the documentation has the table of options as it is.
func TestReadmeOptions(t *testing.T) {
	var want strings.Builder
	want.WriteString("| option | default | variables | |\n| --- | --- | --- | --- |\n")
	for _, o := range options(&Config{}) {
		name, def := "`--"+o.name+"`", "none"
		if o.short != "" {
			name = "`-" + o.short + "`, " + name
		}
		if o.def != "" {
			def = "`" + o.def + "`"
		}
		fmt.Fprintf(&want, "| %s | %s | `%s` | %s |\n", name, def, strings.Join(o.variables(), "`, `"), o.help)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), want.String()) {
		t.Errorf("the table of options in README.md should be:\n%s", want.String())
	}
}
