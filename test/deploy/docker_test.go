package deploy

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"httpipe/test/kit"
)

// These tests build the image, as far as that goes without a Docker engine.

// ignored reports whether .dockerignore, given as its lines, keeps a path out of the build. The last line
// that matches the path, or a directory that it is in, decides.
func ignored(lines []string, path string) bool {
	out := false
	for _, line := range lines {
		pattern, negated := strings.CutPrefix(line, "!")
		pattern, anywhere := strings.CutPrefix(pattern, "**/")
		for p := path; p != "."; p = filepath.Dir(p) {
			name := p
			if anywhere {
				name = filepath.Base(p)
			}
			if matched, _ := filepath.Match(pattern, name); matched {
				out = !negated
			}
		}
	}
	return out
}

// buildContext copies into dir what a build gets to see of this directory.
func buildContext(dir string) error {
	text, err := os.ReadFile(".dockerignore")
	if err != nil {
		return err
	}
	lines := slices.DeleteFunc(strings.Fields(regexp.MustCompile(`(?m)^#.*`).ReplaceAllString(string(text), "")),
		func(line string) bool { return line == "" })
	return filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && path == ".git" {
			return cmp.Or(err, fs.SkipDir)
		}
		if entry.IsDir() || ignored(lines, path) {
			return nil
		}
		to := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		return exec.Command("cp", "-p", path, to).Run()
	})
}

// The version and the architecture for which the tests build the image.
var imageArgs = []string{"VERSION=v1.2.3-test", "TARGETARCH=" + runtime.GOARCH}

// image is what the Dockerfile's first stage leaves: a directory that stands for the stage's root. The
// program in it, dist/httpipe in its working directory, is static.
var image = sync.OnceValues(func() (string, error) {
	stages, err := ImageStages()
	if err != nil {
		return "", err
	}
	context, root := filepath.Join(kit.Scratch, "context"), filepath.Join(kit.Scratch, "image")
	if err := buildContext(context); err != nil {
		return "", err
	}
	workdir := root
	for _, s := range stages[0] {
		var cmd *exec.Cmd
		switch s.Name {
		case "WORKDIR":
			workdir = filepath.Join(root, s.Args)
			cmd = exec.Command("mkdir", "-p", workdir)
		case "COPY":
			from := strings.Fields(s.Args)
			from, to := from[:len(from)-1], from[len(from)-1]
			if err := os.MkdirAll(filepath.Join(workdir, filepath.Dir(to+"x")), 0o700); err != nil {
				return "", err
			}
			cmd = exec.Command("cp", slices.Concat([]string{"-rp"}, from, []string{filepath.Join(workdir, to)})...)
			cmd.Dir = context
		case "RUN":
			cmd = exec.Command("sh", "-c", s.Args) // so without --mount, which only BuildKit knows
			cmd.Dir = workdir
			cmd.Env = slices.Concat(os.Environ(), imageArgs)
		case "FROM", "ARG":
			continue
		default:
			return "", fmt.Errorf("the tests do not know how to %s %s", s.Name, s.Args)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s %s: %w\n%s", s.Name, s.Args, err, out)
		}
	}
	return root, nil
})

// staticBinary returns the path of the static program.
func staticBinary(t *testing.T) string {
	t.Helper()
	root, err := image()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "src/dist/httpipe")
}

func TestDockerfile(t *testing.T) {
	staticBinary(t)
	stages, err := ImageStages()
	if err != nil || len(stages) != 2 {
		t.Fatalf("%d stages, %v", len(stages), err)
	}
	build, final := stages[0], stages[1]

	module, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (.*)$`).FindSubmatch(module)[1]
	if from := Argument(t, build, "FROM", ""); from != fmt.Sprintf("golang:%s-bookworm AS build", version) {
		t.Errorf("it builds from %q; go.mod wants Go %s", from, version)
	}
	copied := Argument(t, final, "COPY", "--from=build")
	from, to, _ := strings.Cut(copied, " ")
	if info, err := os.Stat(filepath.Join(kit.Scratch, "image", from)); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("it copies %s, which the first stage has not built: %v", from, err)
	}
	if entry := Argument(t, final, "ENTRYPOINT", ""); to != "/usr/local/bin/httpipe" || entry != `["httpipe"]` {
		t.Errorf("the program is %s, and starts as %s", to, entry)
	}
	for _, s := range final {
		if s.Name == "USER" {
			t.Errorf("USER %s could not give itself a volume of root's", s.Args)
		}
	}
}

// TestDockerContext checks that the build's context has all files that it needs, and no other, so that no other file
// invalidates its cache.
func TestDockerContext(t *testing.T) {
	staticBinary(t)
	var files []string
	context := filepath.Join(kit.Scratch, "context")
	err := filepath.WalkDir(context, func(path string, entry fs.DirEntry, err error) error {
		if path, _ := filepath.Rel(context, path); err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		known := regexp.MustCompile(`^(go\.(mod|sum)|scripts/(build|need)|web/(assets/.*|openapi\.json|[a-z0-9]*\.(html|txt))|.*\.(go|sql))$`).MatchString(file)
		if !known || strings.HasSuffix(file, "_test.go") {
			t.Errorf("the build sees %s", file)
		}
	}
}

// TestDockerEngine builds the image and runs it, as docs/deploy.md says.
func TestDockerEngine(t *testing.T) {
	if out, err := exec.Command("docker", "info").CombinedOutput(); err != nil {
		t.Skipf("no Docker engine here: %s", bytes.TrimSpace(out))
	}
	docker := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("docker", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	name := fmt.Sprintf("httpipe-test-%d", os.Getpid())
	for _, kit := range []string{"0", "1"} {
		t.Setenv("DOCKER_BUILDKIT", kit)
		docker("build", "--build-arg", imageArgs[0], "-t", name, ".")
	}
	t.Cleanup(func() {
		exec.Command("docker", "rm", "-f", name).Run()
		exec.Command("docker", "volume", "rm", name).Run()
		exec.Command("docker", "rmi", name).Run()
	})
	docker("run", "-d", "--name", name, "-p", "127.0.0.1::3000", "-v", name+":/data", name)
	url := "http://" + docker("port", name, "3000")
	<-kit.Patient("--retry", "30", "--retry-delay", "1", "--retry-all-errors", "-f", url+"/healthz")
	kit.Smoke(t, url)
	docker("exec", name, "httpipe", "healthcheck")
	if got := docker("exec", name, "httpipe", "version"); got != "httpipe v1.2.3-test" {
		t.Errorf("it is %s", got)
	}
	if got := docker("exec", name, "sqlite3", "-readonly", "/data/httpipe.db", "select count(*) from exchanges"); got != "3" {
		t.Errorf("%s exchanges are in the log", got)
	}
	if got := docker("exec", name, "stat", "-c", "%u:%g", "/data", "/data/httpipe.db"); got != "65532:65532\n65532:65532" {
		t.Errorf("the log belongs to %s", got)
	}
	if got := docker("inspect", "-f", `{{index .Config.Labels "org.opencontainers.image.version"}}`, name); got != "v1.2.3-test" {
		t.Errorf("its label says %s", got)
	}
	docker("exec", name, "httpipe", "audit", "backup", "/data/backup.db")
	if got := docker("exec", name, "stat", "-c", "%u:%g", "/data/backup.db"); got != "65532:65532" {
		t.Errorf("the backup belongs to %s", got)
	}
	docker("stop", "-t", "60", name)
	if got := docker("inspect", "-f", "{{.State.ExitCode}}", name); got != "0" {
		t.Errorf("exit status %s", got)
	}
}
