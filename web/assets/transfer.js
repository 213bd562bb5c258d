// Sending and receiving. Both wait as long as it takes, and return how it ended:
//
//	send      delivered, cancelled, unreadable (the file), lost (no answer), answered (any other status)
//	receive   whole, broken, full (no room), cancelled, lost, answered
//
// A 200 without Httpipe-Exchange comes from something in between, and does not count.

import {fileName} from './names.js';
import {detailOf} from './problem.js';
import {authorization} from './token.js';

// JSON, because an error of a receiver has no text otherwise.
function headers(token) {
	return {Accept: 'application/json', ...authorization(token)};
}

// answered returns what a response other than success says.
function answered(status, header, body) {
	return {kind: 'answered', status, code: header('Httpipe-Error') ?? '', exchange: header('Httpipe-Exchange'), retryAfter: header('Retry-After'), line: detailOf(body)};
}

// send produces a blob, and calls progress with how many of its bytes have left this browser. That they have
// says nothing of delivery: they may wait in buffers on the way.
export async function send(url, {blob, type, disposition, token}, signal, progress) {
	if (!await readable(blob)) {
		return {kind: 'unreadable', left: 0};
	}
	let left = 0;
	const ending = await new Promise(resolve => {
		const request = new XMLHttpRequest(); // fetch does not report the progress of an upload
		request.upload.onprogress = event => progress(left = event.loaded);
		request.onerror = () => resolve({kind: 'lost'});
		request.onabort = () => resolve({kind: 'cancelled'});
		request.onload = () => {
			const header = name => request.getResponseHeader(name);
			resolve(request.status === 200 && header('Httpipe-Exchange')
				? {kind: 'delivered', exchange: header('Httpipe-Exchange')}
				: answered(request.status, header, request.responseText));
		};
		request.open('POST', url);
		for (const [name, value] of Object.entries({...headers(token), 'Content-Type': type, ...disposition && {'Content-Disposition': disposition}})) {
			request.setRequestHeader(name, value);
		}
		signal.addEventListener('abort', () => request.abort());
		if (signal.aborted) {
			resolve({kind: 'cancelled'});
		} else {
			request.send(blob);
		}
	});
	if (ending.kind === 'lost' && !await readable(blob)) {
		return {kind: 'unreadable', left};
	}
	return {...ending, left};
}

// readable reports whether the first byte can be read. It cannot if the blob is a folder, a file that has changed, or
// one that this browser had no room for.
async function readable(blob) {
	try {
		await blob.slice(0, 1).arrayBuffer();
		return true;
	} catch {
		return false;
	}
}

// receive consumes one message, and calls progress with how many bytes of how many (null: not known) have come.
// A complete one is a blob, with its name if it is a file ('' if not), and its text if it is text (null if not).
export async function receive(url, {token}, signal, progress) {
	let response;
	try {
		// Chrome makes requests for the same address wait for one another, unless they bypass its cache.
		response = await fetch(url, {headers: headers(token), signal, cache: 'no-store', redirect: 'error'});
	} catch {
		return {kind: signal.aborted ? 'cancelled' : 'lost'};
	}
	const header = name => response.headers.get(name);
	if (response.status !== 200 || !header('Httpipe-Exchange')) {
		return answered(response.status, header, await response.text().catch(() => ''));
	}
	const ending = await read(response, signal, progress);
	ending.exchange = header('Httpipe-Exchange');
	if (ending.kind === 'whole') {
		ending.name = fileName(header('Content-Disposition') ?? '');
		ending.text = ending.name ? null : await asText(ending.blob, header('Content-Type') ?? '');
	}
	return ending;
}

// read reads a body to its end, and returns how it ended.
async function read(response, signal, progress) {
	// A body that the browser decompresses has another length than Content-Length.
	const packed = response.headers.has('Content-Encoding');
	const total = response.headers.has('Content-Length') && !packed ? Number(response.headers.get('Content-Length')) : null;
	const pile = new Pile();
	const end = kind => ({kind, begun: true, bytes: pile.bytes, total});
	progress(0, total);
	try {
		const body = response.body.getReader();
		for (let chunk = await body.read(); !chunk.done; chunk = await body.read()) {
			pile.add(chunk.value);
			progress(pile.bytes, total);
		}
	} catch {
		return end(signal.aborted ? 'cancelled' : 'broken');
	}
	if (total !== null && pile.bytes !== total) {
		return end('broken'); // some browsers accept fewer bytes than Content-Length
	}
	const blob = pile.blob();
	return await readable(blob) ? {...end('whole'), blob} : end('full');
}

// A Pile collects a body. It hands what it has to the browser in blobs, which browsers keep outside of the
// page's memory, on disk if they are large.
class Pile {
	static enough = 16 << 20;

	bytes = 0;
	#blobs = [];
	#chunks = [];
	#loose = 0; // bytes in chunks

	add(chunk) {
		this.bytes += chunk.length;
		this.#loose += chunk.length;
		this.#chunks.push(chunk);
		if (this.#loose >= Pile.enough) {
			this.#blobs.push(new Blob(this.#chunks));
			this.#chunks = [];
			this.#loose = 0;
		}
	}

	// blob returns all of it. No browser runs or shows content of this type.
	blob() {
		return new Blob([...this.#blobs, ...this.#chunks], {type: 'application/octet-stream'});
	}
}

const textual = /^(text\/|application\/(json|xml|x-ndjson|octet-stream)\b|[^;]+\+(json|xml)\b)/i;
const longest = 256 << 10; // bytes of text that a page should show

async function asText(blob, type) {
	if (blob.size > longest || !textual.test(type)) {
		return null;
	}
	try {
		const text = new TextDecoder('utf-8', {fatal: true}).decode(await blob.arrayBuffer());
		return text.includes('\0') ? null : text;
	} catch {
		return null; // not UTF-8
	}
}
