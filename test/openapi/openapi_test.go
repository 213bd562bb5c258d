package openapi_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"httpipe/test/kit"
)

// secret is the server's, and a token with all permissions.
const secret = "the-secret-of-the-generated-clients"

func TestGeneratedClients(t *testing.T) {
	url := startServer(t)
	document := download(t, url+"/openapi.json")
	t.Run("openapi-python-client", func(t *testing.T) {
		t.Parallel()
		dir := copyOf(t, "python")
		packages := kit.Installed(t, "testdata/python", "requirements.txt", "python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
			"--no-input", "--no-deps", "--target", ".", "--requirement", "requirements.txt")
		env := []string{"PYTHONPATH=" + packages, "PYTHONDONTWRITEBYTECODE=1"}
		run(t, dir, env, "python3", "-m", "openapi_python_client", "generate", "--path", document, "--config", "config.yaml",
			"--meta", "none", "--output-path", "generated", "--fail-on-warning")
		run(t, dir, env, "python3", "client.py", url, secret)
	})
	t.Run("oapi-codegen", func(t *testing.T) {
		t.Parallel()
		dir := copyOf(t, "go")
		if err := os.Mkdir(filepath.Join(dir, "generated"), 0o755); err != nil {
			t.Fatal(err)
		}
		run(t, dir, nil, "go", "tool", "oapi-codegen", "-config", "oapi-codegen.yaml", document)
		run(t, dir, nil, "go", "run", ".", url, secret)
	})
	t.Run("openapi-typescript", func(t *testing.T) {
		t.Parallel()
		dir := copyOf(t, "typescript")
		packages := kit.Installed(t, "testdata/typescript", "package-lock.json", "npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts")
		bin := filepath.Join(packages, "node_modules", ".bin")
		run(t, dir, nil, filepath.Join(bin, "openapi-typescript"), document, "--output", "generated.d.ts")
		run(t, dir, nil, filepath.Join(bin, "tsc"), "--project", ".")
	})
}

// startServer builds and starts a server that runs until the end of the test, and returns its URL. Channels need no
// token there; the audit log does.
func startServer(t *testing.T) (url string) {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "httpipe")
	run(t, "../..", nil, "go", "build", "-o", binary, ".")
	cmd := exec.Command(binary, "--port", "0", "--host", "127.0.0.1", "--log-format", "json", "--auth-secret", secret,
		"--anonymous", "produce:*/* consume:*/* look:*/* delete:*/*")
	cmd.Dir = dir
	kit.EndWithTest(cmd)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var entry struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "listening" {
			go io.Copy(io.Discard, log)
			return "http://" + entry.Addr
		}
		t.Log(lines.Text())
	}
	t.Fatal("the server did not start")
	return ""
}

// download returns the name of a file with what url has.
func download(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	file := filepath.Join(t.TempDir(), filepath.Base(url))
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// copyOf returns a temporary directory with the files of testdata/name.
func copyOf(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs a command in dir, with env added to its environment.
func run(t *testing.T, dir string, env []string, command ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", command, err, out)
	}
}
