// An HTTP client in Go's net/http. See ../python/client.py for what it reads and prints.
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		result, err := run(strings.Fields(lines.Text()))
		if err != nil {
			result = "broken " + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Println(result)
	}
}

func run(words []string) (string, error) {
	request, err := http.NewRequest("GET", words[1], nil)
	if err != nil {
		return "", err
	}
	if words[0] == "produce" {
		file, err := os.Open(words[3])
		if err != nil {
			return "", err
		}
		defer file.Close()
		if request, err = http.NewRequest("POST", words[1], file); err != nil {
			return "", err
		}
		if words[2] == "length" {
			info, err := file.Stat()
			if err != nil {
				return "", err
			}
			request.ContentLength = info.Size()
		}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, response.Body); err != nil {
		return "", err
	}
	if words[0] == "consume" && response.StatusCode == 200 {
		return fmt.Sprintf("200 %x", sum.Sum(nil)), nil
	}
	return fmt.Sprint(response.StatusCode), nil
}
