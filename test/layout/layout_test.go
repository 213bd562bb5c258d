// Package layout checks where things are in the repository.
package layout

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the root of the repository.
const root = "../.."

const (
	sqlite = "github.com/mattn/go-sqlite3"
	uuid   = "github.com/google/uuid"
	unix   = "golang.org/x/sys/unix"
	kit    = "httpipe/test/kit"
)

// allowed are the packages that each package may import besides the standard library. A name that ends in a slash stands for
// all packages below it. Below test/ the imports of the tests count, too.
var allowed = map[string][]string{
	".":          {"httpipe/cli", "httpipe/server"},
	"server":     {"httpipe/access", "httpipe/certs", "httpipe/cli", "httpipe/httpapi", "httpipe/metrics", "httpipe/nodes", "httpipe/pipe", "httpipe/process", "httpipe/reply", "httpipe/store"},
	"access":     {"github.com/golang-jwt/jwt/v5", "github.com/hashicorp/golang-lru/v2"},
	"certs":      {"golang.org/x/crypto/acme", "golang.org/x/crypto/acme/autocert"},
	"pipe":       {},
	"migrations": {},
	"store":      {"httpipe/migrations", sqlite, unix},
	"metrics":    {"httpipe/pipe", "httpipe/store", "github.com/prometheus/client_golang/prometheus", "github.com/prometheus/client_golang/prometheus/collectors", "github.com/prometheus/client_golang/prometheus/promhttp"},
	"audit":      {"httpipe/pipe", "httpipe/reply", "httpipe/store"},
	"reply":      {"httpipe/pipe"},
	"relay":      {"httpipe/pipe", "httpipe/relay/http1", "httpipe/reply", unix},
	"web":        {"github.com/boombuler/barcode/qr"},
	"nodes":      {},
	"httpapi":    {"httpipe/access", "httpipe/audit", "httpipe/metrics", "httpipe/nodes", "httpipe/pipe", "httpipe/relay", "httpipe/reply", "httpipe/store", "httpipe/web", uuid, "github.com/gorilla/handlers", "github.com/hashicorp/golang-lru/v2/simplelru", "golang.org/x/time/rate"},

	"relay/http1": {},

	"process": {"github.com/KimMachineGun/automemlimit/memlimit", unix},
	"client":  {"httpipe/reply"},
	"cli":     {"httpipe/access", "httpipe/audit", "httpipe/client", "httpipe/nodes", "httpipe/pipe", "httpipe/process", "httpipe/store", "github.com/dustin/go-humanize", "github.com/dustin/go-humanize/english", "github.com/peterbourgon/ff/v3", "github.com/peterbourgon/ff/v3/ffcli", "github.com/schollz/progressbar/v3", "golang.org/x/term"},

	"test/kit":      {sqlite, unix},
	"test/rawhttp":  {"httpipe/pipe", "httpipe/reply"},
	"test/e2e":      {kit, unix, "httpipe/process"},
	"test/tls":      {kit, "httpipe/test/rawhttp"},
	"test/docs":     {kit, "httpipe/access"},
	"test/packages": {kit},
	"test/nodes":    {kit, "httpipe/nodes", "httpipe/pipe"},
	"test/proxies":  {kit},
	"test/browser":  {kit, "github.com/chromedp/"},
	"test/deploy":   {kit, "httpipe/access", "github.com/BurntSushi/toml", "github.com/dustin/go-humanize", "httpipe/cli", "httpipe/process"},
	"test/crash":    {kit, "httpipe/store"},
	"test/soak":     {kit, sqlite, unix},
	"test/bench":    {"httpipe/pipe", "httpipe/store", sqlite, uuid, unix},
	"test/clients":  {kit},
	"test/openapi":  {kit},
	"test/layout":   {},
}

// TestImports keeps the direction of the packages' dependencies.
func TestImports(t *testing.T) {
	found := packages(t)
	for dir := range allowed {
		if _, ok := found[dir]; !ok {
			t.Errorf("there is no package %s", dir)
		}
	}
	for dir, imports := range found {
		permitted, ok := allowed[dir]
		if !ok {
			t.Errorf("allowed does not say what package %s may import; add it", dir)
		}
		for _, imported := range imports {
			standard := !strings.Contains(strings.Split(imported, "/")[0], ".") && !strings.HasPrefix(imported, "httpipe/")
			if (dir == "pipe" || dir == "relay/http1") && imported != "net/url" && // which does no networking
				(strings.HasPrefix(imported, "net") || strings.HasPrefix(imported, "database")) {
				t.Errorf("%s imports %s", dir, imported)
			}
			known := slices.ContainsFunc(permitted, func(p string) bool {
				return imported == p || strings.HasSuffix(p, "/") && strings.HasPrefix(imported, p)
			})
			if !standard && !known {
				t.Errorf("%s imports %s, which allowed does not list", dir, imported)
			}
		}
	}
}

// packages returns the directories of the module's packages, each with what the package imports.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	list := exec.Command("go", "list", "-tags", "packages", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string][]string)
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var p struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		dir, inside := strings.CutPrefix(p.ImportPath, "httpipe/")
		if !inside {
			dir = "."
		}
		if strings.HasPrefix(dir, "test/") {
			p.Imports = slices.Concat(p.Imports, p.TestImports, p.XTestImports)
		}
		found[dir] = p.Imports
	}
	return found
}

// TestLists: main.go lists the packages, and test/README.md those of tests.
func TestLists(t *testing.T) {
	for dir := range packages(t) {
		list, entry := "main.go", `(?m)^//\t.*\b`+dir+`\b`
		if name, ok := strings.CutPrefix(dir, "test/"); ok {
			list, entry = "test/README.md", "(?m)^\\| `"+name+"/` \\|"
		} else if strings.ContainsAny(dir, "/.") { // part of another package, or the root
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, list))
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(entry).Match(text) {
			t.Errorf("%s does not list package %s", list, dir)
		}
	}
}

// TestRoot: the only Go file in the root is main.go.
func TestRoot(t *testing.T) {
	files, err := fs.Glob(os.DirFS(root), "*.go")
	if err != nil || !slices.Equal(files, []string{"main.go"}) {
		t.Errorf("the root has %q, %v; want main.go alone", files, err)
	}
}

// TestSizes: no file has more than 400 lines and, except in tests, no function more than 60.
func TestSizes(t *testing.T) {
	files := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if lines := files.File(file.Pos()).LineCount(); lines > 401 { // the last one is empty
			t.Errorf("%s has %d lines: split it by subject", path, lines)
		}
		for _, declaration := range file.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if !ok || strings.HasSuffix(path, "_test.go") {
				continue
			}
			if lines := files.Position(f.End()).Line - files.Position(f.Pos()).Line + 1; lines > 60 {
				t.Errorf("%s: %s has %d lines: split it", path, f.Name, lines)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
