// Package deploy reads what the repository is deployed with: Dockerfile, fly.toml and the files of deploy/. Its tests
// build the static program and the image's content, and hold each file against the tools that will read it.
package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"httpipe/test/kit"

	"github.com/BurntSushi/toml"
)

// A step is an instruction of the Dockerfile.
type Step struct{ Name, Args string }

// ImageStages returns the Dockerfile's stages, each of which begins with its FROM.
func ImageStages() ([][]Step, error) {
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		return nil, err
	}
	joined := strings.ReplaceAll(regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(text), ""), "\\\n", " ")
	var stages [][]Step
	for line := range strings.Lines(joined) {
		name, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "FROM" {
			stages = append(stages, nil)
		}
		if name != "" {
			last := &stages[len(stages)-1]
			*last = append(*last, Step{name, strings.TrimSpace(args)})
		}
	}
	return stages, nil
}

// Argument returns the arguments of a stage's only step of that name that begins with prefix.
func Argument(t *testing.T, stage []Step, name, prefix string) string {
	t.Helper()
	stage = slices.DeleteFunc(slices.Clone(stage), func(s Step) bool {
		return s.Name != name || !strings.HasPrefix(s.Args, prefix)
	})
	if len(stage) != 1 {
		t.Fatalf("the stage has %d steps %s %s, want one", len(stage), name, prefix)
	}
	return strings.TrimSpace(strings.TrimPrefix(stage[0].Args, prefix))
}

// ImageEnvironment gives the test the environment that the image has.
func ImageEnvironment(t *testing.T) {
	t.Helper()
	stages, err := ImageStages()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stages[len(stages)-1] {
		name, value, found := strings.Cut(s.Args, "=")
		if s.Name == "ENV" && found {
			t.Setenv(name, value)
		}
	}
}

// FlyConfig is what the tests read of fly.toml.
type FlyConfig struct {
	App         string
	KillSignal  string  `toml:"kill_signal"`
	KillTimeout FlyTime `toml:"kill_timeout"`
	Env         map[string]string
	Deploy      struct{ Strategy string }
	Mounts      []struct {
		Destination string
		Threshold   int    `toml:"auto_extend_size_threshold"`
		Increment   string `toml:"auto_extend_size_increment"`
		Limit       string `toml:"auto_extend_size_limit"`
	}
	HTTPService struct {
		InternalPort int    `toml:"internal_port"`
		ForceHTTPS   bool   `toml:"force_https"`
		AutoStop     string `toml:"auto_stop_machines"`
		Concurrency  struct {
			Type string
			Soft int `toml:"soft_limit"`
			Hard int `toml:"hard_limit"`
		}
		Options struct {
			IdleTimeout int `toml:"idle_timeout"`
			Compress    *bool
			H2Backend   *bool `toml:"h2_backend"`
		} `toml:"http_options"`
		Checks []struct {
			Method, Path string
			Timeout      FlyTime
			Interval     FlyTime
			Grace        FlyTime `toml:"grace_period"`
		}
	} `toml:"http_service"`
	VM      []struct{ Memory string }
	Metrics struct {
		Port int
		Path string
	}
}

// FlyTime is a time as flyctl reads it.
type FlyTime struct{ time.Duration }

func (f *FlyTime) UnmarshalText(text []byte) (err error) {
	f.Duration, err = time.ParseDuration(string(text))
	return err
}

// ReadFly reads fly.toml.
func ReadFly(t *testing.T) (FlyConfig, toml.MetaData) {
	t.Helper()
	var fly FlyConfig
	meta, err := toml.DecodeFile("fly.toml", &fly)
	if err != nil {
		t.Fatal(err)
	}
	return fly, meta
}

// FlyEnvironment gives the test the environment that the server has on Fly.
func FlyEnvironment(t *testing.T) FlyConfig {
	t.Helper()
	ImageEnvironment(t)
	fly, _ := ReadFly(t)
	for name, value := range fly.Env {
		t.Setenv(name, value)
	}
	return fly
}

// Unit returns the settings of deploy/httpipe.service with that name.
func Unit(t *testing.T, name string) []string {
	t.Helper()
	var values []string
	for line := range strings.Lines(kit.Deployed(t, "httpipe.service")) {
		if key, value, found := strings.Cut(line, "="); found && key == name {
			values = append(values, strings.TrimSpace(value))
		}
	}
	return values
}

// composeTool is what Docker Compose reads its files with.
const composeTool = "github.com/compose-spec/compose-go/v2/cmd@v2.16.2"

// Compose is what the tests read of deploy/compose.yaml.
type Compose struct {
	Services map[string]struct {
		Build       struct{ Context string }
		Environment map[string]string
		Grace       string `json:"stop_grace_period"`
		Ports       []struct{ Target int }
		Volumes     []struct{ Source, Target string }
	}
}

// ReadCompose reads deploy/compose.yaml.
func ReadCompose(t *testing.T) Compose {
	t.Helper()
	cmd := exec.Command("go", "run", composeTool, "-no-interpolation", "-no-path-resolution", "-format", "json", "compose.yaml")
	cmd.Dir = "deploy"
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	var compose Compose
	if err := json.Unmarshal(out, &compose); err != nil {
		t.Fatal(err)
	}
	return compose
}
