package nodes

import (
	"os"
	"testing"

	"httpipe/test/kit"
)

func TestMain(m *testing.M) { os.Exit(kit.Main(m)) }
