package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// validator is a package of PyPI that has Kubernetes' own schemas.
const validator = "kubernetes-validate==1.37.0"

// TestKubernetes holds deploy/kubernetes.yaml against the schemas of two versions of Kubernetes, in which no field is unknown.
func TestKubernetes(t *testing.T) {
	validate := kubernetesValidate(t)
	for _, version := range []string{"1.30", "1.37"} {
		out, err := exec.Command(validate, "--strict", "--kubernetes-version", version, "deploy/kubernetes.yaml").CombinedOutput()
		if err != nil {
			t.Errorf("Kubernetes %s: %v\n%s", version, err, out)
		}
	}
	wrong := kit.WriteFile(t, filepath.Join(t.TempDir(), "wrong.yaml"), kit.Deployed(t, "kubernetes.yaml", "readinessProbe:", "readynessProbe:"))
	if out, err := exec.Command(validate, "--strict", wrong).CombinedOutput(); err == nil || !strings.Contains(string(out), "readynessProbe") {
		t.Errorf("a wrong field is not found: %v\n%s", err, out)
	}
}

// kubernetesValidate returns the path of the validator, in the user's cache.
func kubernetesValidate(t *testing.T) string {
	t.Helper()
	kit.NeedTool(t, "pip3")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	final := filepath.Join(cache, "httpipe-test", validator)
	program := filepath.Join(final, "bin", "kubernetes-validate")
	t.Setenv("PYTHONPATH", final)
	if _, err := os.Stat(program); err == nil {
		return program
	}
	for _, command := range [][]string{{"rm", "-rf", final}, {"pip3", "install", "--quiet", "--target", final, validator}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", command, err, out)
		}
	}
	return program
}
