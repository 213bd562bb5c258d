#!/usr/bin/env bash
# An HTTP client with curl, wget or nc, as the argument says. See ../python/client.py for what it reads and prints.
set -u
got=$(mktemp) head=$(mktemp)
trap 'rm -f "$got" "$head"' EXIT

sum() { sha256sum <"$1" | cut -d' ' -f1; }

curl_consume() {
	status=$(curl -sS -o "$got" -w '%{http_code}' "$1" 2>"$head") || { echo "broken curl: $(head -1 "$head")"; return; }
	[ "$status" = 200 ] && echo "200 $(sum "$got")" || echo "$status"
}

curl_produce() {
	local from=$3
	[ "$2" = length ] || from=- # with a length of 0 and a header that asks for chunks, curl 7.88 sends none
	curl -sS -o "$got" -w '%{http_code}\n' -T "$from" -X POST "$1" <"$3" 2>"$head" || echo "broken curl: $(head -1 "$head")"
}

wget_consume() {
	wget -nv -S -O "$got" "$1" 2>"$head"
	case $? in
	0) echo "200 $(sum "$got")" ;;
	8) grep -o '^  HTTP/1.[01] [0-9]*' "$head" | tail -1 | cut -d' ' -f4 ;;
	*) echo "broken wget: $(tail -1 "$head")" ;;
	esac
}

wget_produce() {
	wget -nv -S -O "$got" --post-file "$3" "$1" 2>"$head"
	case $? in
	0) echo 200 ;;
	8) grep -o '^  HTTP/1.[01] [0-9]*' "$head" | tail -1 | cut -d' ' -f4 ;;
	*) echo "broken wget: $(tail -1 "$head")" ;;
	esac
}

# nc knows nothing of HTTP. A request of version 1.0 gets its body without chunks.
nc_consume() {
	local address=${1#http://} path
	path=/${address#*/} address=${address%%/*}
	printf 'GET %s HTTP/1.0\r\n\r\n' "$path" | nc "${address%:*}" "${address#*:}" >"$got" 2>"$head" || { echo "broken nc: $(cat "$head")"; return; }
	status=$(head -1 "$got" | cut -d' ' -f2)
	length=$(sed '/^\r$/q' "$got" | wc -c)
	announced=$(sed '/^\r$/q' "$got" | sed -n 's/^Content-Length: \([0-9]*\)\r$/\1/p')
	tail -c "+$((length + 1))" "$got" >"$head"
	if [ -n "$announced" ] && [ "$announced" -ne "$(wc -c <"$head")" ]; then
		echo "broken nc: a part of the body"
	elif [ "$status" = 200 ]; then
		echo "200 $(sum "$head")"
	else
		echo "$status"
	fi
}

nc_produce() {
	local address=${1#http://} path size
	path=/${address#*/} address=${address%%/*} size=$(wc -c <"$3")
	{
		printf 'POST %s HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n' "$path"
		if [ "$2" = length ]; then
			printf 'Content-Length: %d\r\n\r\n' "$size"
			cat "$3"
		else
			printf 'Transfer-Encoding: chunked\r\n\r\n%x\r\n' "$size"
			cat "$3"
			printf '\r\n0\r\n\r\n'
		fi
	} 2>/dev/null | nc "${address%:*}" "${address#*:}" >"$got" 2>"$head"
	[ -s "$got" ] && head -1 "$got" | cut -d' ' -f2 || echo "broken nc: $(cat "$head")"
}

while read -r what url framing file; do
	"${1}_$what" "$url" "$framing" "$file"
done
