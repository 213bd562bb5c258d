// An HTTP client in fetch or the module http, as the argument says. See ../python/client.py for what it reads and prints.
import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import http from "node:http";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";

const agent = new http.Agent({ keepAlive: true });

const libraries = {
	async fetch(method, url, framing, file) {
		const options = { method };
		if (framing === "length") options.body = readFileSync(file);
		if (framing === "chunked") Object.assign(options, { body: Readable.toWeb(createReadStream(file)), duplex: "half" });
		const response = await fetch(url, options);
		return [response.status, Buffer.from(await response.arrayBuffer())];
	},
	http(method, url, framing, file) {
		return new Promise((resolve, reject) => {
			const request = http.request(url, { method, agent }, async (response) => {
				const pieces = [];
				try {
					for await (const piece of response) pieces.push(piece);
					resolve([response.statusCode, Buffer.concat(pieces)]);
				} catch (error) {
					reject(error);
				}
			});
			request.on("error", reject);
			if (framing === "length") {
				const body = readFileSync(file);
				request.setHeader("Content-Length", body.length);
				request.end(body);
			} else if (framing === "chunked") {
				createReadStream(file).pipe(request);
			} else {
				request.end();
			}
		});
	},
};

const run = libraries[process.argv[2]];
for await (const line of createInterface({ input: process.stdin })) {
	const [what, url, framing, file] = line.split(" ");
	try {
		const [status, content] = await run(what === "consume" ? "GET" : "POST", url, framing, file);
		const sum = createHash("sha256").update(content).digest("hex");
		console.log(what === "consume" && status === 200 ? `200 ${sum}` : `${status}`);
	} catch (error) {
		console.log(`broken ${error} ${error.cause ?? ""}`.replaceAll("\n", " "));
	}
}
