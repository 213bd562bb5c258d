package docs

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"httpipe/test/kit"
)

// listening waits until that many clients are subscribed to a topic.
func listening(t *testing.T, p *kit.Server, topic, n string) {
	t.Helper()
	for deadline := time.Now().Add(kit.Patience); ; time.Sleep(5 * kit.Pause) {
		_, head := kit.Execute(t, p.Dir, "curl", "-sI", p.URL+"/topics/"+topic)
		if strings.Contains(head, "Httpipe-Consumers: "+n) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s listen to %s: not so: %s", n, topic, head)
		}
	}
}

// TestRecipeNotifications shows both messages with a notify-send that prints.
func TestRecipeNotifications(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notify-send"), []byte("#!/bin/sh\necho \"[$1]\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	out := bufio.NewReader(recipe(t, p, dir, "notify-send"))
	listening(t, p, "me/alerts", "1")
	send := strings.ReplaceAll(theBlock(t, "docs/recipes.md", "sh", "the backup is done"), "localhost:3000", p.URL)
	if got, err := exec.Command("bash", "-c", send).CombinedOutput(); err != nil || len(got) > 0 {
		t.Fatalf("%s%v", got, err)
	}
	for _, want := range []string{"[the backup is done]\n", "[somebody is at the door]\n"} {
		if got, err := out.ReadString('\n'); got != want {
			t.Errorf("shown is %q, %v; want %q", got, err, want)
		}
	}
}

// TestRecipeChat lets two people talk.
func TestRecipeChat(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	chat := strings.ReplaceAll(theBlock(t, "docs/recipes.md", "sh", "topics/chat/room"), "localhost:3000", p.URL)
	type person struct {
		say  func(string)
		hear *bufio.Reader
	}
	join := func(name string) person {
		bash := exec.Command("bash", "-mc", chat)
		bash.Env = append(os.Environ(), "USER="+name)
		kit.EndWithTest(bash)
		in, err := bash.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := bash.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := bash.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close(); bash.Wait() })
		return person{func(s string) { in.Write([]byte(s + "\n")) }, bufio.NewReader(out)}
	}
	ann, bob := join("ann"), join("bob")
	listening(t, p, "chat/room", "2")
	ann.say("hello, who is there?")
	for _, who := range []person{ann, bob} {
		if got, err := who.hear.ReadString('\n'); got != "ann: hello, who is there?\n" {
			t.Errorf("%q, %v", got, err)
		}
	}
	bob.say("me")
	for _, who := range []person{ann, bob} {
		if got, err := who.hear.ReadString('\n'); got != "bob: me\n" {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestRecipeFile sends a file, which arrives under its name.
func TestRecipeFile(t *testing.T) {
	p := kit.Start(t, t.TempDir())
	from, to := t.TempDir(), t.TempDir()
	kit.WriteFile(t, filepath.Join(from, "photo.jpg"), "not really a photo")
	run := func(dir, contains string) <-chan string {
		block := strings.ReplaceAll(theBlock(t, "docs/recipes.md", "sh", contains), "localhost:3000", p.URL)
		done := make(chan string, 1)
		go func() {
			out, err := inDir(t, dir, "bash", "-c", block).CombinedOutput()
			if err != nil {
				out = append(out, err.Error()...)
			}
			done <- string(out)
		}()
		return done
	}
	sender, receiver := run(from, "file=@photo.jpg"), run(to, "-fsSOJ")
	if s, r := <-sender, <-receiver; s != "" || r != "" {
		t.Fatalf("the sender printed %q, the receiver %q", s, r)
	}
	if got, err := os.ReadFile(filepath.Join(to, "photo.jpg")); string(got) != "not really a photo" {
		t.Errorf("%q, %v", got, err)
	}
}
