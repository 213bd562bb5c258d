package main

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
)

// These tests build the image, as far as that goes without a Docker engine.

// A step is an instruction of the Dockerfile.
type step struct{ name, args string }

// imageStages returns the Dockerfile's stages, each of which begins with its FROM.
func imageStages() ([][]step, error) {
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		return nil, err
	}
	joined := strings.ReplaceAll(regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(text), ""), "\\\n", " ")
	var stages [][]step
	for line := range strings.Lines(joined) {
		name, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "FROM" {
			stages = append(stages, nil)
		}
		if name != "" {
			last := &stages[len(stages)-1]
			*last = append(*last, step{name, strings.TrimSpace(args)})
		}
	}
	return stages, nil
}

// argument returns the arguments of a stage's only step of that name that begins with prefix.
func argument(t *testing.T, stage []step, name, prefix string) string {
	t.Helper()
	stage = slices.DeleteFunc(slices.Clone(stage), func(s step) bool {
		return s.name != name || !strings.HasPrefix(s.args, prefix)
	})
	if len(stage) != 1 {
		t.Fatalf("the stage has %d steps %s %s, want one", len(stage), name, prefix)
	}
	return strings.TrimSpace(strings.TrimPrefix(stage[0].args, prefix))
}

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
// program in it, dist/httpipe-linux-$TARGETARCH in its working directory, is static.
var image = sync.OnceValues(func() (string, error) {
	stages, err := imageStages()
	if err != nil {
		return "", err
	}
	context, root := filepath.Join(workshop, "context"), filepath.Join(workshop, "image")
	if err := buildContext(context); err != nil {
		return "", err
	}
	workdir := root
	for _, s := range stages[0] {
		var cmd *exec.Cmd
		switch s.name {
		case "WORKDIR":
			workdir = filepath.Join(root, s.args)
			cmd = exec.Command("mkdir", "-p", workdir)
		case "COPY":
			from := strings.Fields(s.args)
			from, to := from[:len(from)-1], from[len(from)-1]
			cmd = exec.Command("cp", slices.Concat([]string{"-rp"}, from, []string{filepath.Join(workdir, to)})...)
			cmd.Dir = context
		case "RUN":
			cmd = exec.Command("sh", "-c", regexp.MustCompile(`--mount=\S+`).ReplaceAllString(s.args, ""))
			cmd.Dir = workdir
			cmd.Env = slices.Concat(os.Environ(), imageArgs)
		case "FROM", "ARG":
			continue
		default:
			return "", fmt.Errorf("the tests do not know how to %s %s", s.name, s.args)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s %s: %w\n%s", s.name, s.args, err, out)
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
	return filepath.Join(root, "src/dist/httpipe-linux-"+runtime.GOARCH)
}

func TestDockerfile(t *testing.T) {
	staticBinary(t)
	stages, err := imageStages()
	if err != nil || len(stages) != 2 {
		t.Fatalf("%d stages, %v", len(stages), err)
	}
	build, final := stages[0], stages[1]

	module, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (.*)$`).FindSubmatch(module)[1]
	if from := argument(t, build, "FROM", ""); from != fmt.Sprintf("golang:%s-bookworm AS build", version) {
		t.Errorf("it builds from %q; go.mod wants Go %s", from, version)
	}
	copied := argument(t, final, "COPY", "--from=build")
	from, to, _ := strings.Cut(copied, " ")
	from = os.Expand(from, func(string) string { return runtime.GOARCH })
	if info, err := os.Stat(filepath.Join(workshop, "image", from)); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("it copies %s, which the first stage has not built: %v", from, err)
	}
	if entry := argument(t, final, "ENTRYPOINT", ""); to != "/usr/local/bin/httpipe" || entry != `["httpipe"]` {
		t.Errorf("the program is %s, and starts as %s", to, entry)
	}
	for _, s := range final {
		if s.name == "USER" {
			t.Errorf("USER %s could not give itself a volume of root's", s.args)
		}
	}
	imageEnvironment(t)
	c, err := parseConfig(nil)
	if err != nil || c.auditDB != "/data/httpipe.db" || c.dropTo.uid != 65532 || c.dropTo.gid != 65532 {
		t.Errorf("in the image the log is %q, and the user %+v, %v", c.auditDB, c.dropTo, err)
	}
	if port := argument(t, final, "EXPOSE", ""); port != fmt.Sprint(c.port) {
		t.Errorf("it exposes port %s, and listens on %d", port, c.port)
	}
}

// imageEnvironment gives the test the environment that the image has.
func imageEnvironment(t *testing.T) {
	t.Helper()
	noEnvironment(t)
	stages, err := imageStages()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stages[len(stages)-1] {
		name, value, found := strings.Cut(s.args, "=")
		if s.name == "ENV" && found {
			t.Setenv(name, value)
		}
	}
}

// TestDockerContext: a build sees what it needs, and does not begin anew because of what it does not.
func TestDockerContext(t *testing.T) {
	staticBinary(t)
	var files []string
	context := filepath.Join(workshop, "context")
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
		known := regexp.MustCompile(`^(go\.(mod|sum)|scripts/(build|need)|httpapi/(page/.*|openapi\.json)|.*\.(go|sql))$`).MatchString(file)
		if !known || strings.HasSuffix(file, "_test.go") {
			t.Errorf("the build sees %s", file)
		}
	}
}

// TestDockerEngine builds the image and runs it, as the README says.
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
	docker("build", "--build-arg", imageArgs[0], "-t", name, ".")
	t.Cleanup(func() {
		exec.Command("docker", "rm", "-f", name).Run()
		exec.Command("docker", "volume", "rm", name).Run()
		exec.Command("docker", "rmi", name).Run()
	})
	docker("run", "-d", "--name", name, "-p", "127.0.0.1::3000", "-v", name+":/data", name)
	url := "http://" + docker("port", name, "3000")
	<-patient("--retry", "30", "--retry-delay", "1", "--retry-all-errors", "-f", url+"/healthz")
	smoke(t, url)
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
	docker("stop", "-t", "60", name)
	if got := docker("inspect", "-f", "{{.State.ExitCode}}", name); got != "0" {
		t.Errorf("exit status %s", got)
	}
}
