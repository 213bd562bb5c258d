package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// The shells' scripts ask `httpipe complete` for each word, so they are never older than the program. Where it prints
// nothing, the shell completes file names.
var completionScripts = map[string]string{
	"bash": `# bash completion for httpipe; in ~/.bashrc: source <(httpipe completion bash)
_httpipe() {
	local IFS=$'\n'
	COMPREPLY=($("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1))
}
complete -o default -F _httpipe httpipe
`,
	"zsh": `#compdef httpipe
# zsh completion for httpipe; in ~/.zshrc, after compinit: source <(httpipe completion zsh)
_httpipe() {
	local -a found
	found=(${${${(f)"$($words[1] complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"}//:/\\:}/$'\t'/:})
	if (( $#found )); then
		_describe httpipe found
	else
		_files
	fi
}
compdef _httpipe httpipe
`,
	"fish": `# fish completion for httpipe; in ~/.config/fish/config.fish: httpipe completion fish | source
function __httpipe_complete
	set -l words (commandline -opc) (commandline -ct)
	set -l found ($words[1] complete -- $words[2..-1] 2>/dev/null)
	if test -n "$found"
		string join \n -- $found
	else
		__fish_complete_path (commandline -ct)
	end
end
complete -c httpipe -f -a '(__httpipe_complete)'
`,
}

func (p Program) completion() command {
	shells := slices.Sorted(maps.Keys(completionScripts))
	return command{
		name: "completion", args: "SHELL", words: shells,
		help: "print the completion script for bash, zsh or fish",
		run: func(_ context.Context, args []string, stdout, _ io.Writer) error {
			_, err := io.WriteString(stdout, completionScripts[args[0]])
			return err
		},
	}
}

// complete is the hidden command behind the scripts. Its arguments are the words up to the one to complete.
func (p Program) complete() command {
	return command{
		name: "complete", args: "[WORD]...",
		run: func(_ context.Context, args []string, stdout, _ io.Writer) error {
			for _, line := range candidates(p.commands(&Config{}), args) {
				if _, err := fmt.Fprintln(stdout, line); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// candidates returns the completions of the last word, each with a tab and an explanation if it has one.
func candidates(table []command, words []string) (found []string) {
	words, hidden := joinEquals(words)
	if len(words) == 0 {
		return nil
	}
	typed, last := words[:len(words)-1], words[len(words)-1]
	add := func(word, help string) {
		if strings.HasPrefix(word, last) {
			found = append(found, strings.TrimSuffix(word[hidden:]+"\t"+help, "\t"))
		}
	}
	cmd, pending, args := scan(table, typed)
	option, _, hasValue := strings.Cut(last, "=")
	switch {
	case pending.name != "":
		for _, word := range pending.words {
			add(word, "")
		}
	case strings.HasPrefix(last, "-") && hasValue:
		for _, word := range cmd.option(option).words {
			add(option+"="+word, "")
		}
	case strings.HasPrefix(last, "-"):
		for _, o := range slices.Concat(cmd.flags, cmd.options) {
			add("--"+o.name, o.help)
		}
	case cmd.run == nil:
		for _, member := range members(table, cmd.name) {
			_, word := member.split()
			add(word, member.help)
		}
	case args == 0:
		for _, word := range cmd.words {
			add(word, "")
		}
	}
	return found
}

// joinEquals undoes what bash does to --audit=strict: bash splits it into three words, and completes the third. hidden
// is the length of the part of the last word that the answer to bash must leave out.
func joinEquals(words []string) (joined []string, hidden int) {
	for i, word := range words {
		n := len(joined)
		switch {
		case word == "=" && n > 0:
			joined[n-1] += "="
			hidden = len(joined[n-1])
		case i > 0 && words[i-1] == "=" && n > 0:
			joined[n-1] += word
		default:
			joined, hidden = append(joined, word), 0
		}
	}
	return joined, hidden
}

// scan returns the command that the words call for, or the group; the option whose value comes next, if any; and the
// number of arguments so far. Without a command word, it returns a group that has the options of the relay.
func scan(table []command, words []string) (cmd command, pending option, args int) {
	if len(words) > 0 && words[0] == "help" {
		words = words[1:]
	}
	cmd = command{options: table[0].options}
	for _, word := range words {
		if pending.name != "" {
			pending = option{}
			continue
		}
		if strings.HasPrefix(word, "-") {
			if o := cmd.option(word); o.arg != "" {
				pending = o
			}
			continue
		}
		name := strings.TrimSpace(cmd.name + " " + word)
		i := slices.IndexFunc(table, func(other command) bool { return other.name == name })
		if cmd.run == nil && i >= 0 {
			cmd = table[i]
		} else {
			args++
		}
	}
	return cmd, pending, args
}

// option returns the option that a word such as -p or --port names, or none.
func (cmd command) option(word string) option {
	name := strings.TrimLeft(word, "-")
	for _, o := range slices.Concat(cmd.flags, cmd.options) {
		if o.name == name || o.short != "" && o.short == name {
			return o
		}
	}
	return option{}
}
