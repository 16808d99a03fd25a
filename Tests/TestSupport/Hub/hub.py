"""A hub on this machine for tests: the API, redirects to another server, ranges, and every way to misbehave that a test asks for.

usage: hub.py FOLDER

FOLDER/OWNER/NAME/... are the repositories' files; those of *.safetensors are "large": they are redirected to a second server (another
port, named localhost), as the hub does. FOLDER/behaviour.json says how to misbehave and is read anew for every request:

  {"/path/of/a/request": [STEP, ...], ...}   each request takes the next step; the last one stays for good

A STEP is {} for good behaviour, or any of
  "status": 429, "headers": {...}   answer that and no more
  "cut": N        close the line after N bytes of the body
  "flip": N       change byte N of the file
  "whole": true   know nothing of ranges
  "slow": S       wait S seconds after every 64 kB
  "append": N     send and announce N bytes too many
  "token": "T"    401 without this bearer token

FOLDER/log.jsonl gets a line for every request. The ports are printed as "MAIN OTHER". It ends when its standard input does.
"""

import hashlib
import http.server
import json
import os
import re
import sys
import threading
import time
import urllib.parse

root = sys.argv[1]
commit = "0123456789abcdef0123456789abcdef01234567"
lock = threading.Lock()
taken = {}


def is_large(path):
    return path.endswith(".safetensors")


def content(path):
    with open(path, "rb") as file:
        return file.read()


def oid(path):
    data = content(path)
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(path):
    return hashlib.sha256(content(path)).hexdigest()


def files(repository):
    base = os.path.join(root, repository)
    found = [os.path.relpath(os.path.join(folder, name), base) for folder, _, names in os.walk(base) for name in names]
    return sorted(found)


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        port = self.server.server_address[1]
        with lock:
            with open(os.path.join(root, "log.jsonl"), "a") as log:
                log.write(json.dumps({
                    "server": "main" if port == main.server_address[1] else "other", "method": self.command, "path": path,
                    "host": self.headers.get("Host"), "range": self.headers.get("Range"),
                    "authorization": self.headers.get("Authorization"),
                }) + "\n")
            step = self.step(path)
        if "token" in step and self.headers.get("Authorization") != "Bearer " + step["token"]:
            return self.answer(401, b"", step.get("headers", {}))
        if "status" in step:
            return self.answer(step["status"], b"{}", step.get("headers", {}))
        try:
            self.serve(path, url.query, step)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def step(self, path):
        try:
            behaviour = json.loads(content(os.path.join(root, "behaviour.json")))
        except FileNotFoundError:
            return {}
        steps = behaviour.get(path)
        if not steps:
            return {}
        number = taken.get(path, 0)
        taken[path] = number + 1
        return steps[min(number, len(steps) - 1)]

    def serve(self, path, query, step):
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/([^/]+)", path):
            repository, revision = match.groups()
            if not os.path.isdir(os.path.join(root, repository)):
                return self.answer(401, b"{}", {"X-Error-Code": "RepoNotFound"})
            if revision not in ("main", commit, "v1"):
                return self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            siblings = [{"rfilename": name} for name in files(repository)]
            return self.answer(200, json.dumps({"id": repository, "sha": commit, "siblings": siblings}).encode())
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/%s" % commit, path):
            return self.tree(match.group(1), urllib.parse.parse_qs(query))
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
            repository, name = match.groups()
            file = os.path.join(root, repository, name)
            if not os.path.isfile(file):
                return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
            headers = {"X-Repo-Commit": commit}
            if is_large(name):
                headers |= {
                    "X-Linked-Size": str(os.path.getsize(file)), "X-Linked-Etag": '"%s"' % sha256(file),
                    "Location": "http://localhost:%d/store/%s/%s?signature=a%%2Bb" % (other.server_address[1], repository, name),
                }
                return self.answer(302, b"Found", headers)
            # Small ones are redirected within the hub, by a path alone.
            return self.answer(307, b"Moved", {"Location": "/resolve-cache/%s/%s" % (repository, name)})
        if match := re.fullmatch(r"/resolve-cache/([^/]+/[^/]+)/(.+)", path):
            file = os.path.join(root, *match.groups())
            return self.send(file, step, {"X-Repo-Commit": commit, "ETag": '"%s"' % oid(file)})
        if path.startswith("/store/") or path.startswith("/plain/"):
            file = os.path.join(root, path.split("/", 2)[2])
            if not os.path.isfile(file):
                return self.answer(404, b"")
            return self.send(file, step, {"ETag": '"%s"' % hashlib.md5(content(file)).hexdigest()})
        self.answer(404, b"")

    def tree(self, repository, query):
        names = files(repository)
        # Few to a page, so that every test turns pages.
        start, count = int(query.get("cursor", ["0"])[0]), 3
        entries = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "unet"}] if start == 0 else []
        for name in names[start:start + count]:
            file = os.path.join(root, repository, name)
            entry = {"type": "file", "oid": oid(file), "size": os.path.getsize(file), "path": name}
            if is_large(name):
                entry["lfs"] = {"oid": sha256(file), "size": entry["size"], "pointerSize": 133}
            entries.append(entry)
        headers = {}
        if start + count < len(names):
            headers["Link"] = '<http://%s/api/models/%s/tree/%s?recursive=true&cursor=%d>; rel="next"' % (
                self.headers.get("Host"), repository, commit, start + count)
        self.answer(200, json.dumps(entries).encode(), headers)

    def send(self, file, step, headers):
        data = bytearray(content(file))
        if "flip" in step:
            data[step["flip"]] ^= 1
        data += b"x" * step.get("append", 0)
        start, status = 0, 200
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if wanted and not step.get("whole"):
            start, status = int(wanted.group(1)), 206
            if start >= len(data):
                return self.answer(416, b"", {"Content-Range": "bytes */%d" % len(data)})
            headers["Content-Range"] = "bytes %d-%d/%d" % (start, len(data) - 1, len(data))
        body = bytes(data[start:])
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if "cut" in step:
            body = body[:step["cut"]]
            self.close_connection = True
        for place in range(0, len(body), 65536):
            self.wfile.write(body[place:place + 65536])
            self.wfile.flush()
            time.sleep(step.get("slow", 0))

    def answer(self, status, body, headers={}):
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        pass


main = Server(("127.0.0.1", 0), Hub)
other = Server(("127.0.0.1", 0), Hub)
for server in (main, other):
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(main.server_address[1], other.server_address[1], flush=True)
sys.stdin.read()
