# The formula for Homebrew. scripts/release fills in the version and the checksum, and leaves dist/httpipe.rb. REPOSITORY is the
# address of the repository without https://, such as github.com/you/httpipe. SQLite is compiled in, so a C compiler is needed.
class Httpipe < Formula
  desc "Relay that pipes the body of one HTTP request into the response of another"
  homepage "https://REPOSITORY"
  url "https://REPOSITORY/releases/download/vVERSION/httpipe-VERSION.tar.gz"
  sha256 "CHECKSUM"
  license "MIT"

  depends_on "go" => :build

  def install
    ENV["CGO_ENABLED"] = "1"
    system "go", "build", *std_go_args(ldflags: "-s -w -X main.version=v#{version}")
    generate_completions_from_executable(bin/"httpipe", "completion")
    (man1/"httpipe.1").write Utils.safe_popen_read(bin/"httpipe", "man")
    (var/"lib/httpipe").mkpath
  end

  service do
    run [opt_bin/"httpipe", "--host", "127.0.0.1"]
    environment_variables HTTPIPE_AUDIT_DB: var/"lib/httpipe/httpipe.db"
    keep_alive true
    log_path var/"log/httpipe.log"
    error_log_path var/"log/httpipe.log"
  end

  test do
    assert_match "v#{version}", shell_output("#{bin}/httpipe version")
  end
end
