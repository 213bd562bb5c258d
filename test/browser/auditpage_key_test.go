package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// keyWanted is what the page says to a visitor without a key or a token.
const keyWanted = `The audit log is private. Run "httpipe audit key" on the machine of the server, and enter the key that it prints. ` +
	"If the server has a secret, enter a token instead."

// TestAuditPageKey: the page says where the key is, takes it out of its address at once, and keeps it in its tab.
func TestAuditPageKey(t *testing.T) {
	t.Parallel()
	v, p := visit(t)
	exchange(t, p, "v1/c", "hello")
	key := p.AuditKey(t)
	tab := v.open("/audit#last=7d")
	tab.shows("#access-why", keyWanted)
	value[bool](tab, "(location.hash = 'token=wrong&last=7d', true)")
	tab.shows("#access-why", `This does not open the audit log. The server says: audit on */*: the credential is not the audit key; on the machine of the server "httpipe audit key" prints it.`)
	value[bool](tab, "(location.hash = "+quoted("last=7d&token="+key)+", true)")
	for range 2 { // and after it was loaded again
		tab.shows("#link", "Live")
		tab.has("#rows tbody tr", 1)
		if got := value[string](tab, "location.hash"); got != "#last=7d" {
			t.Errorf("the address is %s", got)
		}
		if tab.text("#access") != "" {
			t.Error("the key is asked for")
		}
		for _, shown := range []string{"document.documentElement.outerHTML", "location.href", "document.cookie", "JSON.stringify(localStorage)"} {
			if strings.Contains(value[string](tab, shown), key) {
				t.Errorf("the key is in %s", shown)
			}
		}
		tab.do(chromedp.Reload())
	}
	fresh := v.open("/audit#token=" + key)
	fresh.shows("#link", "Live")
	fresh.has("#rows tbody tr", 1)
	if got := value[string](fresh, "location.href"); strings.Contains(got, key) {
		t.Errorf("the address is %s", got)
	}
}
