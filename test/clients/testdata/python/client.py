"""An HTTP client in the library that the argument names. It reads one operation per line, and prints its result:

    consume URL                      200 and the SHA-256 of the body, or another status
    produce URL length|chunked FILE  the status

or "broken" and why, if the library raises an error."""

import asyncio
import hashlib
import io
import sys
import urllib.error
import urllib.request


def pieces(file):
    with open(file, "rb") as f:
        while piece := f.read(64 << 10):
            yield piece


def body(framing, file):
    if framing == "chunked":
        return pieces(file)
    with open(file, "rb") as f:
        return f.read()


def result(status, content=None):
    if content is None or status != 200:
        return str(status)
    return f"{status} {hashlib.sha256(content).hexdigest()}"


def use_urllib():
    def run(method, url, data=None):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method=method, data=data)) as r:
                return r.status, r.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()

    return run


def use_requests():
    import requests

    session = requests.Session()

    def run(method, url, data=None):
        r = session.request(method, url, data=data)
        return r.status_code, r.content

    return run


def use_httpx():
    import httpx

    session = httpx.Client(timeout=None)

    def run(method, url, data=None):
        r = session.request(method, url, content=data)
        return r.status_code, r.content

    return run


def use_pycurl():  # a newer curl than the system has
    import pycurl

    handle = pycurl.Curl()

    def run(method, url, data=None):
        got = io.BytesIO()
        handle.reset()  # keeps the connection
        handle.setopt(pycurl.URL, url)
        handle.setopt(pycurl.WRITEDATA, got)
        if isinstance(data, bytes):
            handle.setopt(pycurl.POST, 1)
            handle.setopt(pycurl.POSTFIELDSIZE_LARGE, len(data))
            handle.setopt(pycurl.READFUNCTION, io.BytesIO(data).read)
        elif data is not None:
            handle.setopt(pycurl.POST, 1)
            handle.setopt(pycurl.HTTPHEADER, ["Transfer-Encoding: chunked"])
            handle.setopt(pycurl.READFUNCTION, io.BytesIO(b"".join(data)).read)
        handle.perform()
        return handle.getinfo(pycurl.RESPONSE_CODE), got.getvalue()

    return run


def use_aiohttp():
    import aiohttp

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    async def connect():
        return aiohttp.ClientSession()

    session = loop.run_until_complete(connect())

    async def asynchronous(data):
        for piece in data:
            yield piece

    async def request(method, url, data):
        if data is not None and not isinstance(data, bytes):
            data = asynchronous(data)
        async with session.request(method, url, data=data) as r:
            return r.status, await r.read()

    def run(method, url, data=None):
        return loop.run_until_complete(request(method, url, data))

    return run


run = globals()["use_" + sys.argv[1]]()
for line in sys.stdin:
    what, url, *rest = line.split()
    try:
        if what == "consume":
            print(result(*run("GET", url)), flush=True)
        else:
            print(run("POST", url, body(*rest))[0], flush=True)
    except Exception as e:
        print("broken", type(e).__name__, str(e).replace("\n", " ")[:200], flush=True)
