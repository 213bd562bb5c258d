package web

import (
	"errors"
	"fmt"
	"image/color"
	"strings"
	"sync"

	"github.com/boombuler/barcode/qr"
)

// MaxQR is the longest text of a QR code, in bytes. It is enough for the link to any channel of a server whose own name is
// not unusually long, and few cameras read more.
const MaxQR = 1000

// encoding is held while a code is made: a long one takes 50 ms of a processor, and any client may ask for it.
var encoding sync.Mutex

// QR returns a QR code of a text as an SVG picture, black on white, with the margin that readers need. It makes one at a time.
func QR(text string) (string, error) {
	if text == "" || len(text) > MaxQR {
		return "", errors.New("web: the text is empty or too long for a QR code")
	}
	encoding.Lock()
	defer encoding.Unlock()
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return "", err
	}
	const margin = 4
	size := code.Bounds().Dx()
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[1]d" shape-rendering="crispEdges">`+
		`<path fill="#fff" d="M0 0h%[1]dv%[1]dH0z"/><path d="`, size+2*margin)
	for y := range size {
		for x := 0; x < size; x++ {
			run := 0
			for x+run < size && dark(code.At(x+run, y)) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&svg, "M%d %dh%dv1h-%dz", x+margin, y+margin, run, run)
				x += run
			}
		}
	}
	svg.WriteString(`"/></svg>` + "\n")
	return svg.String(), nil
}

// dark reports whether a module of a code is black.
func dark(c color.Color) bool {
	r, _, _, _ := c.RGBA()
	return r == 0
}
