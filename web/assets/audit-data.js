// Requests to the audit API, and the stream of the live view.

import {detailOf} from './problem.js';
import {authorization} from './token.js';
import {notHttpipe} from './words.js';

// The token is kept until the tab is closed.
const place = 'httpipe-token';
export const token = () => sessionStorage.getItem(place) ?? '';
export const keepToken = text => text ? sessionStorage.setItem(place, text) : sessionStorage.removeItem(place);

// A Failure is an answer other than success, or no answer (status 0).
export class Failure extends Error {
	constructor(status, code = '', line = '') {
		super(line);
		[this.status, this.code] = [status, code];
	}

	// denied says whether another token may help.
	get denied() {
		return this.status === 401 || this.status === 403;
	}

	// says returns what happened, in a sentence.
	get says() {
		switch (true) {
		case this.status === 0:
			return 'The server does not answer.';
		case this.status === 401 && !token():
			return 'The audit log is private. Run "httpipe audit key" on the machine of the server, and enter the key that it prints. If the server has a secret, enter a token instead.';
		case this.denied:
			return `This does not open the audit log. The server says: ${this.message || this.code}.`;
		case this.message !== '':
			return `The server says: ${this.message}.`;
		default:
			return notHttpipe(this.status);
		}
	}
}

async function get(url, accept, signal) {
	const secret = token();
	let response;
	try {
		response = await fetch(url, {signal, cache: 'no-store', redirect: 'error', headers: {Accept: accept, ...authorization(secret)}});
	} catch (error) {
		throw signal.aborted ? error : new Failure(0);
	}
	if (response.ok) {
		return response;
	}
	const body = await response.text().catch(() => '');
	throw new Failure(response.status, response.headers.get('Httpipe-Error') ?? '', detailOf(body));
}

// ask returns the JSON at a path. It leaves out empty parameters.
export const ask = (path, parameters, signal) => query(path, parameters, 'application/json', response => response.json(), signal);

// askCSV returns the rows at a path as a CSV file.
export const askCSV = (path, parameters, signal) => query(path, parameters, 'text/csv', response => response.blob(), signal);

// query returns what read makes of the response at a path.
async function query(path, parameters, type, read, signal) {
	const given = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ''));
	const response = await get(`${path}?${given}`, type, signal);
	try {
		return await read(response);
	} catch (error) {
		throw signal.aborted ? error : new Failure(0);
	}
}

// silence is the time after which a silent connection counts as dead; the server sends something more often.
const silence = 45_000;

// listen calls heard with each event of a stream, until that ends or breaks, which is a Failure as well. (An
// EventSource could not send a token.)
export async function listen(path, heard) {
	const control = new AbortController();
	const broken = failure => {
		throw failure instanceof Failure ? failure : new Failure(0);
	};
	let timer = setTimeout(() => control.abort(), silence);
	try {
		const response = await get(path, 'text/event-stream, application/json', control.signal).catch(broken);
		const body = response.body.pipeThrough(new TextDecoderStream()).getReader();
		let rest = '';
		for (;;) {
			const chunk = await body.read().catch(broken);
			if (chunk.done) {
				throw new Failure(0);
			}
			clearTimeout(timer);
			timer = setTimeout(() => control.abort(), silence);
			const events = (rest + chunk.value).split('\n\n');
			rest = events.pop();
			const latest = events.findLast(event => event.startsWith('data: ')); // what came before it is past
			if (latest) {
				heard(JSON.parse(latest.slice('data: '.length)));
			}
		}
	} finally {
		clearTimeout(timer);
		control.abort();
	}
}
