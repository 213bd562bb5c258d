//go:build packages

package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// A container is the image's program in a root file system of its own, run by runc as Docker and Kubernetes have it run.
type container struct {
	id, data string // data is the volume, on this machine
}

// dockerCapabilities are those that Docker leaves to root.
var dockerCapabilities = []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE"}

// startContainer runs the server as that user, with a volume that belongs to root and, as Kubernetes' fsGroup has it, a group.
func startContainer(t *testing.T, uid, gid, volumeGroup int, capabilities []string) (*kit.Server, *container) {
	t.Helper()
	kit.NeedRoot(t)
	kit.NeedTool(t, "runc")
	c := &container{id: fmt.Sprintf("httpipe-test-%d-%d", os.Getpid(), uid), data: kit.PublicDir(t)}
	bundle := filepath.Dir(c.data)
	if err := os.Chown(c.data, 0, volumeGroup); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(c.data, 0o775|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(bundle, "root")
	for _, dir := range []string{"data", "proc", "usr/local/bin"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("cp", staticBinary(t), filepath.Join(root, "usr/local/bin/httpipe")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	type object = map[string]any
	config, err := json.Marshal(object{
		"ociVersion": "1.0.0",
		"root":       object{"path": root, "readonly": true},
		"process": object{
			"user": object{"uid": uid, "gid": gid, "additionalGids": []int{volumeGroup}}, "cwd": "/", "noNewPrivileges": uid != 0,
			"args": append([]string{"/usr/local/bin/httpipe"}, kit.OnFreePort...), "env": imageVariables(t),
			"capabilities": object{"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
		},
		"mounts": []object{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/data", "type": "none", "source": c.data, "options": []string{"bind", "rw"}},
		},
		"linux": object{"namespaces": []object{{"type": "pid"}, {"type": "mount"}}}, // the network is this machine's
	})
	if err != nil {
		t.Fatal(err)
	}
	kit.WriteFile(t, filepath.Join(bundle, "config.json"), string(config))
	t.Cleanup(func() { exec.Command("runc", "delete", "--force", c.id).Run() })
	cmd := exec.Command("runc", "run", "--bundle", bundle, c.id)
	cmd.Dir = c.data
	return kit.StartCommand(t, cmd), c
}

// imageVariables returns the environment of the image.
func imageVariables(t *testing.T) (variables []string) {
	t.Helper()
	stages, err := ImageStages()
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range stages[len(stages)-1] {
		if step.Name == "ENV" {
			variables = append(variables, step.Args)
		}
	}
	return append(variables, "PATH=/usr/local/bin")
}

// exec runs a command of httpipe in the container, as root, like docker exec and kubectl exec where they may.
func (c *container) exec(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command("runc", append([]string{"exec", c.id, "/usr/local/bin/httpipe"}, args...)...).CombinedOutput()
	if err != nil {
		t.Errorf("httpipe %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestContainerAsRoot: with what Docker leaves to root, and a volume of root's, the server becomes an ordinary user.
// What root makes beside the log belongs to that user.
func TestContainerAsRoot(t *testing.T) {
	p, c := startContainer(t, 0, 0, 0, dockerCapabilities)
	kit.Smoke(t, "--audit-db", filepath.Join(c.data, "httpipe.db"), p.URL)
	c.exec(t, "healthcheck", p.URL)
	c.exec(t, "audit", "check")
	c.exec(t, "audit", "backup", "/data/backup.db")
	kit.WantOwner(t, 65532, 65532, c.data, filepath.Join(c.data, "httpipe.db"), filepath.Join(c.data, "httpipe.db-wal"), filepath.Join(c.data, "backup.db"))
	p.Stop(t)
}

// TestContainerUnprivileged: as any other user it runs without a capability, on a read-only root file system, with a fresh volume.
func TestContainerUnprivileged(t *testing.T) {
	for _, user := range []struct{ uid, gid, volumeGroup int }{{65532, 65532, 65532}, {1000620000, 0, 0}} { // Kubernetes; OpenShift
		p, c := startContainer(t, user.uid, user.gid, user.volumeGroup, []string{})
		kit.Smoke(t, "--audit-db", filepath.Join(c.data, "httpipe.db"), p.URL)
		c.exec(t, "healthcheck", p.URL)
		c.exec(t, "audit", "check")
		c.exec(t, "audit", "backup", "/data/backup.db")
		for _, file := range []string{"httpipe.db", "backup.db"} {
			kit.WantOwner(t, uint32(user.uid), uint32(user.volumeGroup), filepath.Join(c.data, file))
		}
		p.Stop(t)
	}
}
